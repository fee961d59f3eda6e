"""Twelve closes of a real year: every meter and month is billed or excepted, and the months add up."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import psycopg
import pytest

from ingest.billing.close import CloseSummary, close
from ingest.validation import drain
from metering.billing import rule_set
from metering.periods.calendar import names, neighbour, period_of
from store.billing.measured import utility
from store.billing.rule_sets import add_rules
from store.postgres.arrays import microseconds
from store.postgres.database import connect
from store.postgres.embedded import EmbeddedPostgres
from store.readings.raw import insert, mark_for_validation
from tests.conftest import NEEDS_SHARED, SHARED_DATA
from tests.support.households import UTILITY, VOLUME, ZONE, Household, households, store_households
from tests.support.postgres import TEMPLATE, copied

FIRST, LAST = "2016-03", "2017-02"
NOW = datetime(2017, 3, 2, tzinfo=UTC)
IN_DOUBT = {"9348c9bb": "2017-01", "1de2cf65": "2016-09"}


@pytest.fixture(scope="module")
def validated(postgres_server: EmbeddedPostgres) -> Iterator[tuple[str, list[Household]]]:
    """The name of a database with the year, imported and validated once, and the meters."""
    if not SHARED_DATA.is_dir():
        pytest.skip(NEEDS_SHARED)
    homes = households(SHARED_DATA)
    for url in copied(postgres_server, TEMPLATE):
        with connect(url) as connection:
            store_households(connection, homes)
            drain(connection)
            name = connection.info.dbname
        yield name, homes


@pytest.fixture
def year(
    postgres_server: EmbeddedPostgres, validated: tuple[str, list[Household]]
) -> Iterator[tuple[psycopg.Connection, list[Household]]]:
    """A copy of it for one test."""
    name, homes = validated
    for url in copied(postgres_server, name):
        with connect(url) as connection:
            yield connection, homes


def close_year(connection: psycopg.Connection) -> list[CloseSummary]:
    return [close(connection, UTILITY, name, "test", NOW) for name in names(FIRST, LAST)]


def test_year_of_households_is_closed_and_adds_up(
    year: tuple[psycopg.Connection, list[Household]],
) -> None:
    connection, homes = year
    summaries = close_year(connection)

    every_meter_and_month_has_one_answer(connection, homes)
    consecutive_months_add_up(connection)
    nothing_but_usable_readings_is_billed_from(connection, homes)
    every_exception_says_what_is_missing_and_what_to_do(connection)

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
    text = (Path(rule_set.__file__).parent / "rule_sets" / "de-enwg.toml").read_text(encoding="utf-8")
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


def test_late_data_makes_version_two_with_the_exact_difference_and_alters_nothing(
    year: tuple[psycopg.Connection, list[Household]],
) -> None:
    """Five meters are silent around the end of October, and deliver those hours after the close."""
    connection, _ = year
    boundary = period_of("2016-10", ZONE).ends_at
    late = silence(connection, boundary)
    assert len({row[0] for row in late}) == 5
    close(connection, UTILITY, "2016-10", "anna", NOW)
    close(connection, UTILITY, "2016-11", "anna", NOW)
    before = stored(connection)

    columns = [np.array(column) for column in zip(*late, strict=True)]
    registers, times = columns[0].astype(np.int32), np.array([microseconds(row[1]) for row in late])
    insert(connection, registers, times, columns[2].astype(np.int64), np.zeros(len(late), np.int16))
    mark_for_validation(connection, registers, times)
    connection.commit()
    drain(connection)
    again = close(connection, UTILITY, "2016-10", "anna", NOW, approver="boris")
    assert (again.run, again.corrected, again.new, again.following) == (2, 5, 0, 5)
    for register in sorted({row[0] for row in late}):
        hours = [(abs(at - boundary), at, value) for each, at, value in late if each == register]
        nearest = min(hours)[2]
        first, second = connection.execute(
            """
            select consumption, start_value, end_value, start_method, end_method from billing_readings
            where period = '2016-10' and (evidence #> '{installations,0,register}')::int = %s
            order by version
            """,
            (register,),
        ).fetchall()
        assert (first[4], second[4]) == ("interpolation", "reading")
        assert second[2] == nearest
        assert second[0] - first[0] == nearest - first[2] != 0
        assert (second[1], second[3]) == (first[1], first[3])
    after = stored(connection)
    assert after[: len(before)] == before, "a version that was issued is another"
    assert len(after) == len(before) + 5

    following = close(connection, UTILITY, "2016-11", "anna", NOW, approver="boris")
    assert (following.corrected, following.following) == (5, 0)
    consecutive_months_add_up(connection, least=40)


def silence(connection: psycopg.Connection, boundary: datetime) -> list[tuple[int, datetime, int]]:
    """Take the hours around a boundary away from five meters of which nothing is to be said; the readings."""
    late = connection.execute(
        """
        delete from readings where measured_at between %(from)s and %(to)s and register_id in (
            select r.id from registers r
            where not exists (select from marks m where m.register_id = r.id and not m.usable
                              and m.measured_at between %(from)s - interval '40 days' and %(to)s)
              and 20 <= (select count(*) from readings x where x.register_id = r.id
                         and x.measured_at between %(from)s and %(to)s)
              and 0 < (select max(x.value) - min(x.value) from readings x where x.register_id = r.id
                       and x.measured_at between %(from)s and %(boundary)s)
            order by r.id limit 5)
        returning register_id, measured_at, value
        """,
        {
            "from": boundary - timedelta(hours=11),
            "to": boundary + timedelta(hours=11),
            "boundary": boundary,
        },
    ).fetchall()
    registers = np.array([row[0] for row in late], np.int32)
    mark_for_validation(connection, registers, np.array([microseconds(row[1]) for row in late]))
    connection.commit()
    drain(connection)
    return late


def stored(connection: psycopg.Connection) -> list[tuple[object, ...]]:
    rows = connection.execute("select to_jsonb(b) from billing_readings b order by id").fetchall()
    connection.commit()
    return rows


def test_every_backward_step_of_the_stored_year_is_explained(
    year: tuple[psycopg.Connection, list[Household]],
) -> None:
    """A finding covers every two readings in a row of which the later is lower.

    That none of them is billed, nor as less than nothing, is held by the close of the year above.
    """
    connection, _ = year
    steps = connection.execute(
        """
        select (select min(f.kind) from findings f
                where f.register_id = step.register_id and f.kind like 'negative_step.%'
                  and f.started_at <= step.later and coalesce(f.ended_at, 'infinity') >= step.earlier)
        from (
            select register_id, measured_at as later, lag(measured_at) over in_order as earlier, value,
                   lag(value) over in_order as before
            from readings window in_order as (partition by register_id order by measured_at)
        ) step where value < before
        """
    ).fetchall()
    kinds = Counter(finding for (finding,) in steps)
    assert sum(kinds.values()) == 156
    assert set(kinds) == {"negative_step.glitch", "negative_step.jitter", "negative_step.swap_suspect"}


def test_mixed_up_meter_and_long_leaks_are_stored_as_findings(
    year: tuple[psycopg.Connection, list[Household]],
) -> None:
    connection, _ = year
    rows = connection.execute(
        """
        select m.code, f.kind, f.started_at, f.ended_at, f.evidence from findings f
        join registers r on r.id = f.register_id join meters m on m.id = r.meter_id
        where f.kind in ('leak', 'negative_step.swap_suspect') order by f.started_at
        """
    ).fetchall()
    (mixed,) = [row for row in rows if row[1] == "negative_step.swap_suspect"]
    assert (mixed[0], mixed[4]["pattern"]) == ("DAI-9348C9BB", "mix-up")
    leaks = [row for row in rows if row[1] == "leak"]
    assert len(leaks) == 11
    (longest,) = [row for row in leaks if row[4]["lost"] == "13.424"]
    assert longest[0] == "DAI-DA98DC95"
    assert (longest[2].date(), longest[3].date()) == (date(2016, 8, 22), date(2016, 12, 23))


def every_exception_says_what_is_missing_and_what_to_do(connection: psycopg.Connection) -> None:
    for reason, detail in connection.execute("select reason, detail from billing_exceptions").fetchall():
        if reason == "no_meter":
            assert "was installed at" in detail
        else:
            assert re.search(r"the last before is [\d.]+ at 201[67]-", detail), detail
            assert re.search(r", the first after (missing|[\d.]+ at 201[67]-)", detail), detail
        assert re.search(r": (wait for|enter|if something was delivered)", detail), detail


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


def consecutive_months_add_up(connection: psycopg.Connection, least: int = 451) -> None:
    rows = connection.execute(
        """
        select distinct on (service_point_id, period)
               service_point_id, period, start_value, end_value, consumption, start_method, end_method
        from billing_readings order by service_point_id, period, version desc
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
    assert pairs >= least
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
