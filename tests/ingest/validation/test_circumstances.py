"""What registry and gateways know beside the readings reaches the rules: fuses, contracts, meters' clocks."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import psycopg
import pytest

from ingest.validation import drain
from ingest.validation.register_facts import Circumstances
from metering.registry.document import parse
from store.postgres.arrays import microseconds
from store.postgres.database import connect
from store.readings.raw import insert, mark_for_validation
from store.registry import apply
from telemetry.micro import to_micro
from telemetry.status import Status

START = datetime(2026, 6, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
METER = """
[[utilities]]
code = "town"
name = "Town"
time_zone = "UTC"
[[utilities.meters]]
code = "EAS-1"
medium = "electricity"
registers = [{ obis = "1-0:1.8.0", interval = "PT1H" }]
{meter}
[[utilities.service_points]]
code = "flat"
medium = "electricity"
installations = [{ meter = "EAS-1", valid_from = 2026-06-01T00:00:00, multiplier = "{multiplier}" }]
{point}
"""


@pytest.fixture
def store(database: str) -> Iterator[psycopg.Connection]:
    with connect(database) as connection:
        connection.autocommit = True
        yield connection


def registered(store: psycopg.Connection, point: str = "", meter: str = "", multiplier: str = "1") -> None:
    text = METER.replace("{meter}", meter).replace("{point}", point)
    apply(store, parse(text.replace("{multiplier}", multiplier)))


def read(store: psycopg.Connection, values: Mapping[datetime, float], status: Status = Status(0)) -> None:
    """Readings of the meter in kWh, judged."""
    row = store.execute("select id from registers").fetchone()
    assert row is not None
    times = np.array([microseconds(at) for at in values], dtype=np.int64)
    micro = np.array([to_micro(Decimal(str(value))) for value in values.values()], dtype=np.int64)
    ids = np.full(len(times), row[0], dtype=np.int32)
    with store.transaction():
        insert(store, ids, times, micro, np.full(len(times), int(status), dtype=np.int16))
        mark_for_validation(store, ids, times)
    drain(store)


def found(store: psycopg.Connection, kind: str) -> list[tuple[datetime, datetime | None, dict[str, Any]]]:
    return store.execute(
        "select started_at, ended_at, evidence from findings where kind = %s order by 1", (kind,)
    ).fetchall()


def hours(*used: float) -> dict[datetime, float]:
    """A register that shows what was used in each hour since the beginning."""
    shown = np.cumsum([100.0, *used]).round(3)
    return {START + n * HOUR: float(value) for n, value in enumerate(shown)}


USUAL = [0.3] * 60


def test_more_than_the_fuse_lets_through_is_impossible(store: psycopg.Connection) -> None:
    """16 A of one phase: 16 x 253 V x 1.45 is 5.87 kW."""
    registered(store, 'fuses = [{ since = 2020-01-01, amperes = "16" }]')
    read(store, hours(*USUAL, 5.8, *USUAL))
    assert found(store, "max_rate") == []
    read(store, {START + 200 * HOUR: 150, START + 201 * HOUR: 155.9})
    ((began, ended, evidence),) = found(store, "max_rate")
    assert (began, ended) == (START + 200 * HOUR, START + 201 * HOUR)
    assert evidence["possible_per_hour"] == "5.87"
    assert evidence["per_hour"] == "5.9"


def test_a_fuse_counts_from_its_day_on_and_what_was_before_stays_as_it_was_judged(
    store: psycopg.Connection,
) -> None:
    fuses = '{ since = 2020-01-01, amperes = "16" }, { since = 2026-06-04, amperes = "35", phases = 3 }'
    registered(store, f"fuses = [{fuses}]")
    used = USUAL + USUAL
    used[30] = used[100] = 9.0  # on the second and the fifth of June
    read(store, hours(*used))
    assert [began for began, _, _ in found(store, "max_rate")] == [START + 30 * HOUR]


def test_an_installation_some_day_is_no_change_of_fuse(store: psycopg.Connection) -> None:
    """Else every meter that was installed on a day of its own would have all of its block judged again."""
    registered(store, 'fuses = [{ since = 2020-01-01, amperes = "16" }]')
    row = store.execute("select id from registers").fetchone()
    assert row is not None
    assert Circumstances.of(store, [row[0]]).changes(row[0], ZoneInfo("UTC")) == []


def test_behind_transformers_a_register_counts_its_part_of_what_a_fuse_lets_through(
    store: psycopg.Connection,
) -> None:
    registered(store, 'fuses = [{ since = 2020-01-01, amperes = "250", phases = 3 }]', multiplier="50")
    read(store, hours(*USUAL, 5.0, *USUAL, 6.0, *USUAL))
    assert [began for began, _, _ in found(store, "max_rate")] == [START + 121 * HOUR]


def test_a_meters_own_largest_current_counts_where_no_fuse_is_known(store: psycopg.Connection) -> None:
    registered(store, meter='imax = "10"\nphases = 1')
    read(store, hours(*USUAL, 4.0, *USUAL))
    ((_, _, evidence),) = found(store, "max_rate")
    assert evidence["possible_per_hour"] == "3.668"


def test_use_without_a_contract_is_found_and_ends_with_the_next_one(store: psycopg.Connection) -> None:
    first = 'valid_from = 2026-06-01T00:00:00, valid_to = 2026-06-02T00:00:00, account = "1"'
    registered(store, f"contracts = [{{ {first} }}]")
    read(store, hours(*USUAL))
    ((began, ended, evidence),) = found(store, "inactive_consumption")
    assert (began, ended) == (START + 24 * HOUR, None)
    assert evidence["used"] == "10.8"
    registered(store, f"contracts = [{{ {first} }}, {{ valid_from = 2026-06-03T00:00:00 }}]")
    read(store, {START + 61 * HOUR: 118.3})
    ((_, ended, evidence),) = found(store, "inactive_consumption")
    assert (ended, evidence["used"]) == (START + 48 * HOUR, "7.2")


def test_where_nothing_is_known_of_contracts_nobody_is_said_to_have_none(store: psycopg.Connection) -> None:
    registered(store)
    read(store, hours(*USUAL))
    assert found(store, "inactive_consumption") == []


def test_before_it_was_installed_a_meter_needs_no_contract(store: psycopg.Connection) -> None:
    registered(store, "contracts = [{ valid_from = 2026-06-01T00:00:00 }]")
    read(store, {START - n * HOUR: 100 - 0.1 * n for n in range(1, 30)} | hours(*USUAL))
    assert found(store, "inactive_consumption") == []


def test_a_meter_whose_clock_is_off_is_found_for_the_days_on_which_it_was(store: psycopg.Connection) -> None:
    registered(store)
    store.execute(
        """
        insert into meter_clocks (meter_id, day, utility_id, ahead)
        select id, '2026-06-01'::date + n, utility_id, case n when 1 then -400 else 20 end
        from meters cross join generate_series(0, 2) n
        """
    )
    read(store, hours(*USUAL))
    ((began, ended, evidence),) = found(store, "clock_drift")
    assert (began, ended) == (START + 24 * HOUR, START + 48 * HOUR)
    assert (evidence["seconds"], evidence["limit_seconds"], evidence["readings"]) == (-400, 120, 24)


def test_what_a_meter_kept_says_nothing_of_its_clock_today(store: psycopg.Connection) -> None:
    registered(store)
    store.execute(
        "insert into meter_clocks (meter_id, day, utility_id, ahead) "
        "select id, '2026-06-01', utility_id, 999 from meters"
    )
    read(store, hours(*USUAL[:20]), Status.HISTORICAL)
    assert found(store, "clock_drift") == []
