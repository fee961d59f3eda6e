"""Findings are made what validation says, with the least change to their rows."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from store.database import connect
from store.findings import FindingRow, sync_findings, unresolved
from tests.support.town import Town

START = datetime(2026, 6, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def town(database: str) -> Iterator[Town]:
    with connect(database) as connection:
        town = Town(connection)
        town.meter("AAA-1", {START: "1"})
        yield town


def stuck(town: Town, begins: int = 0, ends: int | None = 10) -> FindingRow:
    row = town.connection.execute("select id, utility_id from registers").fetchone()
    assert row is not None
    ended = None if ends is None else START + ends * HOUR
    return FindingRow(row[0], row[1], "stuck", "warning", START + begins * HOUR, ended, {"value": "1"})


def sync(town: Town, *findings: FindingRow) -> int:
    return sync_findings(town.connection, [town.registers["AAA-1"]], ["stuck"], findings)


def ids(town: Town) -> list[int]:
    return [id_ for (id_,) in town.connection.execute("select id from findings order by started_at, id")]


def test_what_is_known_already_is_not_touched(town: Town) -> None:
    assert sync(town, stuck(town)) == 1
    assert sync(town, stuck(town)) == 0


def test_event_whose_beginning_moved_keeps_its_row(town: Town) -> None:
    sync(town, stuck(town, begins=5))
    before = ids(town)
    assert sync(town, stuck(town, begins=3)) == 1
    assert ids(town) == before


def test_event_that_ended_and_a_new_one_are_two_rows(town: Town) -> None:
    sync(town, stuck(town))
    before = ids(town)
    sync(town, stuck(town), stuck(town, begins=20, ends=None))
    assert len(ids(town)) == 2
    assert ids(town)[0] == before[0]


def test_findings_of_other_kinds_stay(town: Town) -> None:
    leak = replace(stuck(town), kind="leak")
    sync_findings(town.connection, [leak.register_id], ["leak"], [leak])
    assert sync(town) == 0
    assert len(ids(town)) == 1


@pytest.mark.parametrize(
    ("state", "matters"),
    [("open", True), ("acknowledged", True), ("resolved", False), ("false alarm", False)],
)
def test_what_a_person_set_aside_does_not_matter_to_the_close(town: Town, state: str, matters: bool) -> None:
    sync(town, stuck(town))
    town.connection.execute("update findings set state = %s", (state,))
    found = unresolved(town.connection, [town.registers["AAA-1"]], "stuck", START, START + HOUR)
    assert bool(found) is matters


def test_finding_that_ended_before_does_not_matter(town: Town) -> None:
    sync(town, stuck(town, ends=10))
    register = [town.registers["AAA-1"]]
    assert not unresolved(town.connection, register, "stuck", START + 10 * HOUR, START + 20 * HOUR)
    assert unresolved(town.connection, register, "stuck", START + 9 * HOUR, START + 20 * HOUR)
