"""Twelve closes of a real year: every meter and month is billed or excepted, and the months add up."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest

from ingest.billing import rules
from ingest.billing.calendar import names, neighbour, period_of
from ingest.billing.close import Summary, close
from ingest.validation import drain
from store.billing import utility
from store.database import connect
from store.rules import add_rules
from tests.support.households import UTILITY, VOLUME, ZONE, Household, households, store_households

FIRST, LAST = "2016-03", "2017-02"
NOW = datetime(2017, 3, 2, tzinfo=UTC)
IN_DOUBT = {"9348c9bb": "2017-01", "1de2cf65": "2016-09"}


@pytest.fixture
def year(database: str, shared_data: Path) -> Iterator[tuple[psycopg.Connection, list[Household]]]:
    homes = households(shared_data)
    with connect(database) as connection:
        store_households(connection, homes)
        drain(connection)
        yield connection, homes


def close_year(connection: psycopg.Connection) -> list[Summary]:
    return [close(connection, UTILITY, name, "test", NOW) for name in names(FIRST, LAST)]


def test_year_of_households_is_closed_and_adds_up(
    year: tuple[psycopg.Connection, list[Household]],
) -> None:
    connection, homes = year
    summaries = close_year(connection)

    every_meter_and_month_has_one_answer(connection, homes)
    consecutive_months_add_up(connection)
    nothing_but_usable_readings_is_billed_from(connection, homes)

    assert sum(summary.registers for summary in summaries) == len(homes) * len(summaries) == 552
    assert sum(summary.billed for summary in summaries) == 515
    assert sum((Counter(summary.exceptions) for summary in summaries), Counter[str]()) == {
        "gap_too_long": 18,
        "no_meter": 3,
        "no_reading_after": 16,
    }
    again = close_year(connection)
    assert [summary.run for summary in again] == [1] * 12
    assert not any(summary.changed or summary.following for summary in again)


def test_year_under_rules_estimates_what_is_missing_and_still_adds_up(
    year: tuple[psycopg.Connection, list[Household]],
) -> None:
    connection, homes = year
    text = (Path(rules.__file__).parent / "rules" / "de-enwg.toml").read_text(encoding="utf-8")
    add_rules(
        connection,
        utility(connection, UTILITY).id,
        valid_from=date(2016, 1, 1),
        name="de-enwg",
        version="2021-07",
        content=text,
        author="test",
    )
    connection.commit()
    summaries = close_year(connection)
    every_meter_and_month_has_one_answer(connection, homes)
    assert sum(summary.registers for summary in summaries) == 552
    assert sum(summary.qualities.get("estimated", 0) for summary in summaries) == 6
    assert sum((Counter(summary.exceptions) for summary in summaries), Counter[str]()) == {
        "gap_too_long": 6,
        "no_meter": 3,
        "no_reading_after": 11,
    }
    rows = connection.execute(
        """
        select service_point_id, period, start_value, end_value, consumption, true_up, end_method,
               evidence #> '{installations,0,end,passed_over}'
        from billing_readings order by service_point_id, period
        """
    ).fetchall()
    settled = 0
    for _, _, start, end, used, true_up, method, passed_over in rows:
        assert used >= 0
        assert used + (true_up or 0) == end - start
        assert method != "average" or "interpolation" in passed_over[-1], "estimated, and why is not said"
        settled += true_up is not None
    assert settled > 0
    for earlier, later in pairwise(rows):
        if earlier[0] == later[0] and neighbour(earlier[1], 1) == later[1]:
            assert earlier[3] == later[2], "one boundary, two values"
    assert not any(summary.changed for summary in close_year(connection))


def every_meter_and_month_has_one_answer(connection: psycopg.Connection, homes: list[Household]) -> None:
    answers = connection.execute(
        """
        select p.code, answer.period, count(*) from (
            select service_point_id, period from billing_readings
            union all select service_point_id, period from billing_exceptions) answer
        join service_points p on p.id = answer.service_point_id
        group by 1, 2
        """
    ).fetchall()
    assert all(count == 1 for _, _, count in answers)
    every = {(f"DAI-{home.meter.upper()}", name) for home in homes for name in names(FIRST, LAST)}
    assert {(code, period) for code, period, _ in answers} == every

    unmetered = connection.execute(
        """
        select p.code, e.period, e.obis from billing_exceptions e
        join service_points p on p.id = e.service_point_id where e.reason = 'no_meter'
        """
    ).fetchall()
    assert set(unmetered) == {
        (f"DAI-{home.meter.upper()}", name, VOLUME)
        for home in homes
        for name in names(FIRST, LAST)
        if period_of(name, ZONE).ends_at.timestamp() * 1e6 <= home.times.min()
    }


def consecutive_months_add_up(connection: psycopg.Connection) -> None:
    rows = connection.execute(
        """
        select service_point_id, period, start_value, end_value, consumption, start_method, end_method
        from billing_readings order by service_point_id, period
        """
    ).fetchall()
    meters = defaultdict(list)
    for point, *row in rows:
        meters[point].append(row)
    pairs = 0
    for months in meters.values():
        runs = [[months[0]]]
        for earlier, later in pairwise(months):
            if neighbour(earlier[0], 1) == later[0]:
                assert (earlier[2], earlier[5]) == (later[1], later[4]), "one boundary, two values"
                runs[-1].append(later)
                pairs += 1
            else:
                runs.append([later])
        for run in runs:
            assert sum(month[3] for month in run) == run[-1][2] - run[0][1]
    assert pairs > 450
    assert all(month[3] >= 0 for months in meters.values() for month in months)


def nothing_but_usable_readings_is_billed_from(
    connection: psycopg.Connection, homes: list[Household]
) -> None:
    rows = connection.execute(
        """
        select count(*) from billing_readings b,
            jsonb_array_elements(b.evidence -> 'installations') i,
            jsonb_array_elements((i -> 'start' -> 'readings') || (i -> 'end' -> 'readings')) r
        where exists (select from marks m where m.register_id = (i ->> 'register')::int
                      and m.measured_at = (r ->> 'at')::timestamptz and not m.usable)
        """
    ).fetchone()
    assert rows == (0,)
    for meter, period in IN_DOUBT.items():
        (home,) = (home for home in homes if home.meter == meter)
        row = connection.execute(
            """
            select b.consumption from billing_readings b join service_points p on p.id = b.service_point_id
            where p.code = %s and b.period = %s
            """,
            (f"DAI-{meter.upper()}", period),
        ).fetchone()
        assert row is not None
        assert 0 < row[0] < (home.values[-1] - home.values[0]) / 6
