"""Health messages and missed polls, hour by hour, become one finding for each event."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from ingest.mqtt.inbox import Delivery
from ingest.receive.gateway_reports import note
from ingest.validation.communication import look
from store.gateways.health_message import keep_hour
from store.gateways.hours import forget, take_gateway
from store.postgres.database import connect
from store.postgres.roles import Role
from store.validation.finding_list import FindingFilter, findings_page, gateway_findings
from store.validation.findings import counts
from telemetry.wire import Health, LineHealth, MeterHealth, encode, to_milliseconds

HOUR = timedelta(hours=1)


@pytest.fixture
def store(database: str) -> Iterator[psycopg.Connection]:
    """Two gateways, of which the first reads four meters."""
    with connect(database) as connection:
        connection.autocommit = True
        connection.execute("insert into utilities (code, name, time_zone) values ('a', 'A', 'UTC')")
        connection.execute("insert into gateways (utility_id, code) values (1, 'house'), (1, 'attic')")
        connection.execute(
            "insert into meters (utility_id, code, medium, gateway_id) "
            "select 1, 'KAM-' || n, 8, 1 from generate_series(1, 4) n"
        )
        connection.execute(
            "insert into registers (utility_id, meter_id, obis, unit, kind, billed) "
            "select 1, id, '8-0:1.0.0', 'm3', 'counter', true from meters"
        )
        yield connection


@pytest.fixture
def now(store: psycopg.Connection) -> datetime:
    """The last full hour: what is told lies before it, so that the database's own present plays no part."""
    row = store.execute("select date_trunc('hour', now())").fetchone()
    assert row is not None
    instant: datetime = row[0]
    return instant


def tell(store: psycopg.Connection, gateway: str, at: datetime, **said: Any) -> None:
    settings = {"disk_free_bytes": 60, "disk_total_bytes": 100} | said
    synchronised = settings.pop("clock_synchronised", True)
    message = Health(to_milliseconds(at), "1", "e", synchronised, 0, **settings)
    keep_hour(store, "a", gateway, message)


def tell_all(
    store: psycopg.Connection, now: datetime, hours: range, gateway: str = "house", **said: Any
) -> None:
    for ago in hours:
        tell(store, gateway, now - ago * HOUR, **said)


def found(store: psycopg.Connection) -> list[tuple[str, str, str, datetime, datetime | None]]:
    rows = gateway_findings(store, 1, limit=10, state=None)
    return [(row.gateway, row.line, row.kind, row.started_at, row.ended_at) for row in reversed(rows)]


def miss(store: psycopg.Connection, meter: int, at: datetime, reason: str = "no answer") -> None:
    store.execute(
        "insert into missed_polls (meter_id, due_at, reason, gateway_id, utility_id) "
        "values (%s, %s, %s, 1, 1)",
        (meter, at, reason),
    )


def read(store: psycopg.Connection, meter: int, at: datetime) -> None:
    store.execute("insert into readings (register_id, measured_at, value) values (%s, %s, 1)", (meter, at))


def test_a_disk_that_fills_is_one_alarm_until_there_is_room_again(
    store: psycopg.Connection, now: datetime
) -> None:
    tell_all(store, now, range(30, 20, -1))
    tell_all(store, now, range(20, 10, -1), disk_free_bytes=4)
    assert look(store, now - 11 * HOUR + timedelta(minutes=10)) == 1
    assert found(store) == [("house", "", "communication.disk", now - 20 * HOUR, None)]
    tell_all(store, now, range(10, 0, -1))
    assert look(store, now + timedelta(minutes=10)) == 1
    assert found(store) == [("house", "", "communication.disk", now - 20 * HOUR, now - 10 * HOUR)]
    assert look(store, now + timedelta(minutes=10)) == 0, "looking again changes nothing"


def test_an_hour_is_as_it_was_told_whatever_the_order_of_messages(
    store: psycopg.Connection, now: datetime
) -> None:
    messages = [
        (now - 5 * HOUR + timedelta(minutes=n), {"cpu_celsius": celsius, "lines": [LineHealth("w", n * 10)]})
        for n, celsius in enumerate((50.0, 85.0, 60.0))
    ]
    kept = []
    for order in (messages, messages[::-1], messages + messages):
        store.execute("delete from gateway_hours")
        store.execute("delete from line_hours")
        for at, said in order:
            tell(store, "house", at, **said)
        hours = store.execute("select hour, cpu_celsius, disk_used from gateway_hours").fetchall()
        kept.append((hours, store.execute("select hour, exchanges from line_hours").fetchall()))
    assert kept[0] == kept[1] == kept[2]
    assert kept[0][0][0][1] == 85.0
    assert kept[0][1] == [(now - 5 * HOUR, 20)]


def test_damaged_telegrams_are_found_on_their_line_also_across_a_restart(
    store: psycopg.Connection, now: datetime
) -> None:
    """Counters begin anew with the gateway's process."""
    for ago in range(20, 0, -1):
        n = (20 - ago) % 12 + 1
        lines = [LineHealth("water", n * 100, crc_errors=n * 10), LineHealth("heat", n * 100)]
        tell(store, "house", now - ago * HOUR, lines=lines)
    look(store, now + timedelta(minutes=10))
    assert found(store) == [("house", "water", "communication.crc_errors", now - 19 * HOUR, None)]


def test_a_gateway_that_falls_silent_is_found_while_another_is_heard(
    store: psycopg.Connection, now: datetime
) -> None:
    tell_all(store, now, range(30, 0, -1), "attic")
    tell_all(store, now, range(30, 20, -1))
    tell_all(store, now, range(8, 0, -1))
    look(store, now + timedelta(minutes=10))
    silent = ("house", "", "communication.missed_polls", now - 20 * HOUR, now - 8 * HOUR)
    assert found(store) == [silent]


def test_hours_in_which_nobody_listened_say_nothing(store: psycopg.Connection, now: datetime) -> None:
    for gateway in ("attic", "house"):
        tell_all(store, now, range(30, 20, -1), gateway)
        tell_all(store, now, range(8, 0, -1), gateway)
    look(store, now + timedelta(minutes=10))
    assert found(store) == []


def test_a_meter_that_does_not_answer_is_found_and_well_again(
    store: psycopg.Connection, now: datetime
) -> None:
    tell_all(store, now, range(40, 0, -1))
    for ago in range(40, 0, -1):
        if 30 >= ago > 20:
            miss(store, 1, now - ago * HOUR)
        else:
            read(store, 1, now - ago * HOUR)
    look(store, now + timedelta(minutes=10))
    (finding,) = findings_page(store, 1, FindingFilter(), limit=10)
    assert (finding.meter, finding.obis, finding.kind) == ("KAM-1", "8-0:1.0.0", "communication.missed_polls")
    assert (finding.started_at, finding.ended_at) == (now - 30 * HOUR, now - 20 * HOUR)
    assert found(store) == []


def test_two_validators_do_not_look_at_a_gateway_at_once(
    store: psycopg.Connection, database: str, now: datetime
) -> None:
    tell_all(store, now, range(9, 0, -1), disk_free_bytes=1)
    with connect(database) as other:
        assert take_gateway(other, 1)
        assert look(store, now + timedelta(minutes=10)) == 0
        other.rollback()
    assert look(store, now + timedelta(minutes=10)) == 1


def test_what_was_found_and_is_heard_of_no_more_has_ended_and_is_kept(
    store: psycopg.Connection, now: datetime
) -> None:
    tell_all(store, now, range(80 * 24, 0, -12))
    then = now - 50 * 24 * HOUR
    for ago in range(12, 0, -1):
        miss(store, 1, then - ago * HOUR)
    look(store, then + timedelta(minutes=10))
    store.execute("delete from missed_polls")  # the meter was removed, and its misses were kept long enough
    look(store, now + timedelta(minutes=10))
    (finding,) = findings_page(store, 1, FindingFilter(), limit=10)
    assert finding.started_at == then - 12 * HOUR
    assert finding.ended_at == now - timedelta(days=35)


def test_a_meter_that_moved_is_looked_at_with_its_new_gateway(
    store: psycopg.Connection, now: datetime
) -> None:
    tell_all(store, now, range(40, 0, -1))
    tell_all(store, now, range(40, 0, -1), "attic")
    for ago in range(10, 0, -1):
        miss(store, 1, now - ago * HOUR)
    store.execute("update meters set gateway_id = 2 where id = 1")
    assert look(store, now + timedelta(minutes=10)) == 0
    store.execute("update meters set gateway_id = null where id = 1")
    assert look(store, now + timedelta(minutes=10)) == 1


def test_when_a_whole_line_is_cut_that_is_said_of_the_gateway_and_not_of_each_meter(
    store: psycopg.Connection, now: datetime
) -> None:
    tell_all(store, now, range(40, 0, -1))
    for ago in range(10, 0, -1):
        for meter in (1, 2, 3, 4):
            miss(store, meter, now - ago * HOUR)
    look(store, now + timedelta(minutes=10))
    assert found(store) == [("house", "", "communication.missed_polls", now - 10 * HOUR, None)]
    assert counts(store, "a") == {"communication.missed_polls": 1}


def test_a_meter_is_not_blamed_for_a_line_that_was_down(store: psycopg.Connection, now: datetime) -> None:
    tell_all(store, now, range(40, 0, -1))
    for ago in range(10, 0, -1):
        miss(store, 1, now - ago * HOUR, "line down")
    assert look(store, now + timedelta(minutes=10)) == 0


def test_an_event_that_goes_on_for_longer_than_is_looked_back_keeps_its_beginning(
    store: psycopg.Connection, now: datetime
) -> None:
    tell_all(store, now, range(50 * 24, 0, -12), cpu_celsius=90.0)
    began = now - 49 * 24 * HOUR
    for days in (30, 15, 0):
        look(store, now - days * 24 * HOUR + timedelta(minutes=10))
        if days == 30:
            began = found(store)[0][3]
    assert found(store) == [("house", "", "communication.temperature", began, None)]
    assert began < now - timedelta(days=45)


def test_a_gateways_clock_that_is_off_or_without_reference_is_found_once(
    store: psycopg.Connection, now: datetime
) -> None:
    """What it says of meters' clocks then is of no use."""
    store.execute(
        "insert into gateway_hours select 1, h, 1, null, 0.1, true, 700 from "
        "generate_series(%s::timestamptz - interval '9 hours', %s, '1 hour') h",
        (now, now - HOUR),
    )
    store.execute(
        "insert into gateway_hours select 2, h, 1, null, 0.1, true, 0.3 from "
        "generate_series(%s::timestamptz - interval '9 hours', %s, '1 hour') h",
        (now, now - HOUR),
    )
    look(store, now + timedelta(minutes=10))
    assert found(store) == [
        ("house", "", "communication.clock", now - 9 * HOUR, None),
        ("attic", "", "communication.clock", now - 9 * HOUR, None),
    ]
    wrong, lost = (row.evidence for row in reversed(gateway_findings(store, 1, limit=9)))
    assert wrong["worst"] == "700"
    assert lost["synchronised"] == "no"
    drifts = MeterHealth("KAM-1", to_milliseconds(now), 0, 900.0)
    tell(store, "house", now, clock_synchronised=False, meters=[drifts])
    assert store.execute("select count(*) from meter_clocks").fetchone() == (0,)


def test_the_furthest_distance_of_a_meters_clock_is_kept_for_the_day_and_judged(
    store: psycopg.Connection, now: datetime
) -> None:
    """Good clocks write nothing, and nobody speaks for the meters of another gateway."""
    day = datetime(2026, 6, 1, tzinfo=UTC)
    for drift in (70.0, -300.4, 80.0, 3.0):
        meters = [MeterHealth(f"KAM-{n}", to_milliseconds(day), 0, d) for n, d in ((1, drift), (2, 59.0))]
        tell(store, "house", now, meters=[*meters, MeterHealth("KAM-3", None, 7, 500.0)])
        tell(store, "attic", now, meters=[MeterHealth("KAM-4", to_milliseconds(day), 0, 5_000.0)])
    assert store.execute("select meter_id, day, ahead from meter_clocks").fetchall() == [
        (1, day.date(), -300)
    ]
    assert store.execute("select day from validation_queue").fetchall() == [(day.date(),)]


def test_a_health_message_that_arrives_is_kept_by_who_ingests(
    store: psycopg.Connection, database: str, now: datetime
) -> None:
    """With the rights that an ingester has, and no more."""
    read_at = to_milliseconds(now - HOUR)
    message = Health(
        to_milliseconds(now - HOUR),
        "1",
        "e",
        clock_synchronised=True,
        buffered_readouts=0,
        cpu_celsius=51.5,
        lines=[LineHealth("water", 7)],
        meters=[MeterHealth("KAM-1", read_at, 0, 600.0)],
    )
    with connect(database, role=Role.INGEST) as ingest:
        assert note(ingest, Delivery("hesper/v1/a/house/health", encode(message)))
        ingest.commit()
        tell_all(store, now, range(9, 1, -1), disk_free_bytes=1)
        ingest.autocommit = True
        assert look(ingest, now + timedelta(minutes=10)) == 1
    told = store.execute(
        "select hour, cpu_celsius, clock_ahead from gateway_hours order by hour desc"
    ).fetchmany(2)
    assert told[1] == (now - HOUR, 51.5, None)
    assert told[0][:2] == (now, None), "the hour in which it came tells of the clock alone"
    assert -7300 < told[0][2] <= -3600
    assert store.execute("select line, exchanges from line_hours").fetchall() == [("water", 7)]
    assert store.execute("select ahead from meter_clocks").fetchall() == [(600,)]


@pytest.mark.expects_log("report of a gateway that is not registered")
def test_nothing_is_kept_of_a_gateway_that_is_not_registered(
    store: psycopg.Connection, now: datetime
) -> None:
    message = Health(to_milliseconds(now), "1", "e", clock_synchronised=True, buffered_readouts=0)
    assert not note(store, Delivery("hesper/v1/a/cellar/health", encode(message)))
    assert store.execute("select count(*) from gateway_hours").fetchone() == (0,)


def test_hours_are_forgotten(store: psycopg.Connection, now: datetime) -> None:
    tell_all(store, now, range(10, 0, -1), lines=[LineHealth("water")])
    assert forget(store, now - 3 * HOUR) == 14
    assert store.execute("select count(*) from gateway_hours where hour < %s", [now]).fetchone() == (3,)
