"""The month close on a real database: what is billed, what is an exception, and what closing again adds."""

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest

from ingest.billing.close import close
from metering.periods.calendar import PeriodError
from store.postgres.database import connect
from telemetry.quality import Quality
from telemetry.status import Status
from tests.support.town import NOW, UTILITY, Town

OCTOBER = datetime(2026, 9, 30, 22, tzinfo=UTC)  # local midnights in Madrid
NOVEMBER = datetime(2026, 10, 31, 23, tzinfo=UTC)
DECEMBER = datetime(2026, 11, 30, 23, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def town(database: str) -> Iterator[Town]:
    with connect(database) as connection:
        yield Town(connection)


def daily(start: datetime, days: int, first: float = 100, step: float = 1) -> dict[datetime, str]:
    """A reading a day from `start` on."""
    return {start + n * DAY: str(first + n * step) for n in range(days)}


def test_month_between_two_readings_is_billed(town: Town) -> None:
    town.meter("AAA-1", daily(OCTOBER - 10 * DAY - HOUR, 60))
    summary = town.close("2026-10")
    assert town.billed("2026-10") == [("AAA-1", 1, Decimal(31), Quality.VALID, "reading", "reading")]
    assert (summary.billed, summary.new, summary.run, summary.qualities) == (1, 1, 1, {"valid": 1})


def test_set_day_values_come_before_readings(town: Town) -> None:
    town.meter("AAA-1", daily(OCTOBER - 10 * DAY - HOUR, 60))
    town.read("AAA-1", {OCTOBER: "110.25", NOVEMBER: "141.5"}, Status.HISTORICAL)
    town.close("2026-10")
    assert town.billed("2026-10") == [("AAA-1", 1, Decimal("31.25"), Quality.VALID, "set_day", "set_day")]


def test_gap_at_the_boundary_is_interpolated_and_says_so(town: Town) -> None:
    readings = daily(OCTOBER - 10 * DAY - HOUR, 60)
    del readings[NOVEMBER - 2 * HOUR]
    town.meter("AAA-1", readings)
    town.close("2026-10")
    (billed,) = town.billed("2026-10")
    assert billed[2:] == (Decimal("31.083333"), Quality.MIXED, "reading", "interpolation")


def test_gap_that_is_too_long_is_an_exception_and_blocks_nobody_else(town: Town) -> None:
    readings = daily(OCTOBER - 10 * DAY, 60)
    holes = {at: value for at, value in readings.items() if abs(at - NOVEMBER) > 3 * DAY}
    town.meter("AAA-1", readings)
    town.meter("BBB-2", holes)
    summary = town.close("2026-10")
    assert [row[0] for row in town.billed("2026-10")] == ["AAA-1"]
    assert town.excepted("2026-10") == [("BBB-2", "gap_too_long")]
    assert summary.exceptions == {"gap_too_long": 1}
    assert summary.registers == 2


def test_meter_without_later_readings_is_an_exception_that_names_its_last(town: Town) -> None:
    town.meter("AAA-1", daily(OCTOBER - 10 * DAY, 20))
    town.close("2026-10")
    assert town.excepted("2026-10") == [("AAA-1", "no_reading_after")]
    row = town.connection.execute("select detail from billing_exceptions").fetchone()
    assert row is not None
    assert row[0] == (
        "AAA-1 has no usable reading for 2026-10-31T23:00:00Z; "
        "the last before is 119 at 2026-10-09T22:00:00Z, the first after missing: "
        "wait for or enter a later reading, or note the value at the removal"
    )


def test_glitch_at_the_boundary_is_passed_over(town: Town) -> None:
    readings = {OCTOBER - 5 * DAY + n * HOUR: str(100 + n) for n in range(40 * 24)}
    readings[NOVEMBER] = "0"
    town.meter("AAA-1", readings)
    town.close("2026-10")
    ((_, _, used, quality, _, _),) = town.billed("2026-10")
    assert used == 31 * 24  # of the 31 * 24 + 1 hours of this October, to the reading an hour before its end
    assert quality == Quality.VALID


def test_boundary_among_glitches_alone_is_an_exception(town: Town) -> None:
    readings = {OCTOBER - 5 * DAY + n * HOUR: str(100 + n) for n in range(36 * 24)}
    for hour in (-1, 0, 1):
        readings[NOVEMBER + hour * HOUR] = "0"
    readings = {at: value for at, value in readings.items() if at <= NOVEMBER + HOUR}
    town.meter("AAA-1", readings)
    town.connection.execute("update utilities set boundary_tolerance = '1 hour'")
    town.connection.commit()
    town.close("2026-10")
    assert town.excepted("2026-10") == [("AAA-1", "unusable_readings")]


def test_reset_is_never_billed_across(town: Town) -> None:
    readings = daily(OCTOBER - 10 * DAY, 60, first=5000)
    for n, at in enumerate(at for at in sorted(readings) if at > OCTOBER + 10 * DAY):
        readings[at] = str(n)
    town.meter("AAA-1", readings)
    town.close("2026-10")
    assert town.excepted("2026-10") == [("AAA-1", "reset")]
    town.close("2026-09")
    town.read("AAA-1", {DECEMBER: "55"})
    town.close("2026-11")
    assert [row[2] for row in town.billed("2026-11")] == [Decimal(55 - 20)]


def test_rollover_is_billed_and_named_in_the_evidence(town: Town) -> None:
    readings = {at: str(float(v) % 1000) for at, v in daily(OCTOBER - 10 * DAY, 60, first=975).items()}
    town.meter("AAA-1", readings, digits=3)
    town.close("2026-10")
    assert [row[2] for row in town.billed("2026-10")] == [Decimal(31)]
    row = town.connection.execute("select evidence from billing_readings").fetchone()
    assert row is not None
    assert [event["rule"] for event in row[0]["installations"][0]["events"]] == ["rollover"]


def test_meter_swap_is_the_sum_of_two_installations(town: Town) -> None:
    swap = OCTOBER + 12 * DAY + 9 * HOUR
    town.meter("AAA-1", daily(OCTOBER - 10 * DAY, 23))
    town.meter("BBB-2", daily(swap + HOUR, 60, first=3))
    town.connection.execute(
        """
        update installations set service_point_id = (select id from service_points where code = 'AAA-1'),
               valid_from = %s, start_values = '{"8-0:1.0.0": 2500000}'
        where meter_id = (select id from meters where code = 'BBB-2')
        """,
        (swap,),
    )
    town.connection.execute(
        """
        update installations set valid_to = %s, end_values = '{"8-0:1.0.0": 122750000}'
        where meter_id = (select id from meters where code = 'AAA-1')
        """,
        (swap,),
    )
    town.connection.commit()
    town.close("2026-10")
    (billed,) = town.billed("2026-10")
    assert billed[:4] == ("AAA-1", 1, Decimal("12.75") + Decimal("19.125"), Quality.MIXED)


def test_multiplier_applies_to_the_difference(town: Town) -> None:
    town.meter("AAA-1", daily(OCTOBER - 10 * DAY - HOUR, 60))
    town.connection.execute("update installations set multiplier = 40")
    town.connection.commit()
    town.close("2026-10")
    assert [row[2] for row in town.billed("2026-10")] == [Decimal(31 * 40)]


def test_standstill_makes_the_bill_questionable_until_a_person_says_otherwise(town: Town) -> None:
    readings = {OCTOBER - 100 * DAY + n * HOUR: str(100 + min(n, 98 * 24)) for n in range(140 * 24)}
    town.meter("AAA-1", readings)
    town.close("2026-10")
    assert [row[3] for row in town.billed("2026-10")] == [Quality.QUESTIONABLE]
    town.connection.execute("update findings set state = 'false alarm'")
    town.connection.commit()
    town.close("2026-10")
    assert [row[1:4] for row in town.billed("2026-10")] == [
        (1, Decimal(0), Quality.QUESTIONABLE),
        (2, Decimal(0), Quality.VALID),
    ]


def test_closing_again_without_new_facts_adds_no_row(town: Town) -> None:
    town.meter("AAA-1", daily(OCTOBER - 10 * DAY, 60))
    town.meter("BBB-2", daily(OCTOBER - 10 * DAY, 20))
    town.close("2026-10")
    before = rows(town)
    summary = town.close("2026-10", author="boris")
    assert rows(town) == before
    assert (summary.run, summary.unchanged, summary.changed) == (1, 1, False)


def test_late_reading_makes_a_second_version_and_leaves_the_first_alone(town: Town) -> None:
    town.meter("AAA-1", daily(OCTOBER - 10 * DAY - HOUR, 60))
    town.close("2026-10")
    first = rows(town)["billing_readings"]
    town.read("AAA-1", {NOVEMBER: "141.5"})
    summary = town.close("2026-10")
    assert [row[1:3] for row in town.billed("2026-10")] == [(1, Decimal(31)), (2, Decimal("31.5"))]
    assert (summary.run, summary.new, summary.corrected) == (2, 0, 1)
    assert rows(town)["billing_readings"][:1] == first


def test_month_begins_where_the_last_one_was_closed_whatever_came_since(town: Town) -> None:
    """Late usage is neither lost nor billed twice, and closing the earlier month again says what follows."""
    town.meter("AAA-1", daily(OCTOBER - 10 * DAY - HOUR, 80))
    town.close("2026-10")
    town.read("AAA-1", {NOVEMBER: "141.5"})
    town.close("2026-11")
    used = [row[2] for period in ("2026-10", "2026-11") for row in town.billed(period)]
    assert sum(used) == Decimal(31 + 30)
    row = town.connection.execute("select evidence from billing_readings where period = '2026-11'").fetchone()
    assert row is not None
    assert row[0]["installations"][0]["carried"]["from"] == "2026-10"
    assert row[0]["installations"][0]["carried"]["found_now"]["value"] == "141.5"
    town.connection.commit()

    assert town.close("2026-10").following == 1
    assert town.close("2026-11").corrected == 1
    assert town.close("2026-10").following == 0
    latest = [town.billed(period)[-1][2] for period in ("2026-10", "2026-11")]
    assert latest == [Decimal("31.5"), Decimal("29.5")]


def test_exception_is_billed_once_its_reading_came(town: Town) -> None:
    town.meter("AAA-1", daily(OCTOBER - 10 * DAY, 20))
    town.close("2026-10")
    town.read("AAA-1", {NOVEMBER: "141.5"})
    summary = town.close("2026-10")
    assert (summary.run, summary.new, summary.exceptions) == (2, 1, {})
    assert town.excepted("2026-10") == []


def test_readings_that_nobody_validated_are_not_billed(town: Town) -> None:
    town.meter("AAA-1", daily(OCTOBER - 10 * DAY, 60))
    close(town.connection, UTILITY, "2026-10", "anna", NOW)
    assert town.excepted("2026-10") == [("AAA-1", "not_validated")]


def test_content_hash_is_over_the_canonical_content(town: Town) -> None:
    town.meter("AAA-1", daily(OCTOBER - 10 * DAY - HOUR, 60))
    town.close("2026-10")
    row = town.connection.execute("select content_hash, evidence from billing_readings").fetchone()
    assert row is not None
    content = {
        "utility": "town",
        "service_point": "AAA-1",
        "obis": "8-0:1.0.0",
        "period": "2026-10",
        "starts_at": "2026-09-30T22:00:00Z",
        "ends_at": "2026-10-31T23:00:00Z",
        "start_value": "110",
        "end_value": "141",
        "consumption": "31",
        "unit": "m3",
        "quality": 0,
        "start_method": "reading",
        "end_method": "reading",
        "evidence": row[1],
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert row[0] == hashlib.sha256(text.encode()).digest()


def test_local_offsets_of_both_ends_are_stored(town: Town) -> None:
    town.meter("AAA-1", daily(OCTOBER - 10 * DAY, 60))
    town.close("2026-10")
    row = town.connection.execute(
        "select starts_at, ends_at, start_offset, end_offset from billing_readings"
    ).fetchone()
    assert row == (OCTOBER, NOVEMBER, 2 * HOUR, HOUR)


def test_period_that_has_not_ended_cannot_be_closed(town: Town) -> None:
    with pytest.raises(PeriodError, match="ends at 2030-01-31T23:00:00Z"):
        town.close("2030-01")


def test_unknown_utility_is_refused(connection: psycopg.Connection) -> None:
    with pytest.raises(LookupError, match="nowhere"):
        close(connection, "nowhere", "2026-10", "anna", NOW)


def test_period_without_installations_closes_empty(town: Town) -> None:
    assert town.close("2026-10").registers == 0


def rows(town: Town) -> dict[str, list[tuple[object, ...]]]:
    tables = ("closes", "billing_readings", "billing_exceptions")
    found = {
        table: town.connection.execute(f"select * from {table} order by id").fetchall() for table in tables
    }
    town.connection.commit()
    return found
