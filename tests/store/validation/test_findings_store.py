"""Findings are made what validation says, with the least change to their rows."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from store.postgres.database import connect
from store.validation.findings import FindingRow, sync_findings, unresolved
from tests.support.town import Town

START = datetime(2026, 6, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def judged_town(database: str) -> Iterator[Town]:
    with connect(database) as connection:
        judged_town = Town(connection)
        judged_town.meter("AAA-1", {START: "1"})
        yield judged_town


def stuck(judged_town: Town, begins: int = 0, ends: int | None = 10) -> FindingRow:
    row = judged_town.connection.execute("select id, utility_id from registers").fetchone()
    assert row is not None
    ended = None if ends is None else START + ends * HOUR
    return FindingRow(row[0], row[1], "stuck", "warning", START + begins * HOUR, ended, {"value": "1"})


def sync(judged_town: Town, *findings: FindingRow) -> int:
    return sync_findings(judged_town.connection, [judged_town.registers["AAA-1"]], ["stuck"], findings)


def ids(judged_town: Town) -> list[int]:
    return [
        id_ for (id_,) in judged_town.connection.execute("select id from findings order by started_at, id")
    ]


def test_what_is_known_already_is_not_touched(judged_town: Town) -> None:
    assert sync(judged_town, stuck(judged_town)) == 1
    assert sync(judged_town, stuck(judged_town)) == 0


def test_event_whose_beginning_moved_keeps_its_row(judged_town: Town) -> None:
    sync(judged_town, stuck(judged_town, begins=5))
    before = ids(judged_town)
    assert sync(judged_town, stuck(judged_town, begins=3)) == 1
    assert ids(judged_town) == before


def test_event_that_ended_and_a_new_one_are_two_rows(judged_town: Town) -> None:
    sync(judged_town, stuck(judged_town))
    before = ids(judged_town)
    sync(judged_town, stuck(judged_town), stuck(judged_town, begins=20, ends=None))
    assert len(ids(judged_town)) == 2
    assert ids(judged_town)[0] == before[0]


def test_findings_of_other_kinds_stay(judged_town: Town) -> None:
    leak = replace(stuck(judged_town), kind="leak")
    sync_findings(judged_town.connection, [leak.register_id], ["leak"], [leak])
    assert sync(judged_town) == 0
    assert len(ids(judged_town)) == 1


@pytest.mark.parametrize(
    ("state", "matters"),
    [("open", True), ("acknowledged", True), ("resolved", False), ("false alarm", False)],
)
def test_what_a_person_set_aside_does_not_matter_to_the_close(
    judged_town: Town, state: str, matters: bool
) -> None:
    sync(judged_town, stuck(judged_town))
    judged_town.connection.execute("update findings set state = %s", (state,))
    found = unresolved(judged_town.connection, [judged_town.registers["AAA-1"]], "stuck", START, START + HOUR)
    assert bool(found) is matters


def test_finding_that_ended_before_does_not_matter(judged_town: Town) -> None:
    sync(judged_town, stuck(judged_town, ends=10))
    register = [judged_town.registers["AAA-1"]]
    assert not unresolved(judged_town.connection, register, "stuck", START + 10 * HOUR, START + 20 * HOUR)
    assert unresolved(judged_town.connection, register, "stuck", START + 9 * HOUR, START + 20 * HOUR)
