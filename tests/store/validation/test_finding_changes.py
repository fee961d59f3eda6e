"""What people do with findings: kept as history, in effect at once, and left alone by validation."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg.errors import CheckViolation, InsufficientPrivilege

from metering.access import UserRole
from store.access import users
from store.postgres.database import connect
from store.postgres.roles import enter_utility
from store.validation.finding_changes import (
    MOST,
    NOBODY,
    ChangeOutcome,
    FindingChange,
    FindingChangeError,
    FindingState,
    change,
    changes_of,
)
from store.validation.findings import FindingRow, sync_findings
from tests.support.town import Town

START = datetime(2026, 6, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
ACKNOWLEDGE = FindingChange(FindingState.ACKNOWLEDGED)


@pytest.fixture
def town(database: str) -> Iterator[Town]:
    """A meter with two findings, and a session of the API that was entered for its utility."""
    with connect(database) as connection:
        town = Town(connection)
        town.meter("AAA-1", {START: "1"})
        connection.commit()
        found(town, 0, 20)
        users.create(connection, "anna", "Anna", "")
        users.grant(connection, "anna", utility(town)[1], UserRole.ENGINEER)
        users.create(connection, "elsewhere", "", "")
        as_api(town)
        yield town
        connection.rollback()


def utility(town: Town) -> tuple[int, str]:
    row = town.connection.execute("select id, code from utilities").fetchone()
    assert row is not None
    return row


def as_api(town: Town) -> None:
    enter_utility(town.connection, utility(town)[0])
    town.connection.execute("set local role hesper_api")


def found(town: Town, *begins: int, evidence: str = "1") -> int:
    register = town.registers["AAA-1"]
    rows = [
        FindingRow(
            register, utility(town)[0], "stuck", "warning", START + hour * HOUR, None, {"value": evidence}
        )
        for hour in begins
    ]
    return sync_findings(town.connection, [register], ["stuck"], rows)


def ids(connection: psycopg.Connection) -> list[int]:
    return [row[0] for row in connection.execute("select id from findings order by started_at")]


def states(connection: psycopg.Connection) -> list[tuple[str, str]]:
    return connection.execute("select state, assignee from findings order by started_at").fetchall()


def act(town: Town, wanted: FindingChange, *finding_ids: int) -> list[ChangeOutcome]:
    return list(change(town.connection, utility(town)[0], finding_ids, wanted, author="anna").values())


def test_a_change_takes_effect_and_is_a_row_of_history(town: Town) -> None:
    first, second = ids(town.connection)
    assert act(town, ACKNOWLEDGE, first) == [ChangeOutcome.CHANGED]
    assert act(town, FindingChange(FindingState.RESOLVED, "anna", "valve was shut"), first, second) == [
        ChangeOutcome.CHANGED,
        ChangeOutcome.CHANGED,
    ]
    assert states(town.connection) == [("resolved", "anna"), ("resolved", "anna")]
    assert [
        (one.state, one.assignee, one.note, one.author)
        for one in changes_of(town.connection, utility(town)[0], first)
    ] == [("acknowledged", None, "", "anna"), ("resolved", "anna", "valve was shut", "anna")]
    act(town, FindingChange(FindingState.OPEN, NOBODY), first)
    assert states(town.connection)[0] == ("open", "")


def test_what_is_so_already_is_told_and_gets_no_row(town: Town) -> None:
    first, second = ids(town.connection)
    act(town, ACKNOWLEDGE, first)
    assert change(town.connection, utility(town)[0], [first, second, 999], ACKNOWLEDGE, author="ben") == {
        first: ChangeOutcome.UNCHANGED,
        second: ChangeOutcome.CHANGED,
        999: ChangeOutcome.UNKNOWN,
    }
    assert len(changes_of(town.connection, utility(town)[0], first)) == 1
    assert act(town, FindingChange(note="called the caretaker"), first) == [ChangeOutcome.CHANGED]


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (FindingChange(), "nothing to change"),
        (FindingChange(FindingState.RESOLVED), "with a note"),
        (FindingChange(FindingState.FALSE_ALARM), "with a note"),
        (FindingChange(assignee="elsewhere"), "nobody here"),
        (FindingChange(note="x" * 2001), "too long"),
    ],
)
def test_a_change_that_says_too_little_or_names_a_stranger_is_refused(
    town: Town, wanted: FindingChange, reason: str
) -> None:
    with pytest.raises(FindingChangeError, match=reason) as caught:
        act(town, wanted, *ids(town.connection))
    assert caught.value.advice
    assert states(town.connection) == [("open", "")] * 2


def test_no_more_are_changed_at_once_than_is_said(town: Town) -> None:
    with pytest.raises(FindingChangeError, match="too many"):
        act(town, ACKNOWLEDGE, *range(MOST + 1))


@pytest.mark.parametrize(
    "wanted",
    [
        ACKNOWLEDGE,
        FindingChange(FindingState.FALSE_ALARM, note="test of the pump"),
        FindingChange(assignee="anna"),
        FindingChange(note="who is there?"),
    ],
)
def test_validation_leaves_alone_what_a_person_dealt_with(town: Town, wanted: FindingChange) -> None:
    act(town, wanted, *ids(town.connection))
    kept, dealt_with = ids(town.connection), states(town.connection)
    town.connection.execute("set local role hesper_ingest")
    found(town, 1, 20, evidence="2")  # one begins later, and both look different
    found(town)  # nothing is found any more
    assert ids(town.connection) == kept
    found(town, 1, 20)  # and again
    town.connection.execute("reset role")
    assert (ids(town.connection), states(town.connection)) == (kept, dealt_with)


def test_nothing_sets_a_state_or_alters_history_but_a_change(town: Town) -> None:
    act(town, ACKNOWLEDGE, *ids(town.connection))
    for statement in (
        "update findings set state = 'resolved'",
        "update finding_changes set author = 'ben'",
        "delete from finding_changes",
        "delete from findings",
    ):
        with pytest.raises(InsufficientPrivilege), town.connection.transaction():
            town.connection.execute(statement.encode())


def test_a_change_of_another_utilitys_finding_is_refused_by_the_database(town: Town) -> None:
    (first, _) = ids(town.connection)
    town.connection.execute("reset role")
    other = town.connection.execute(
        "insert into utilities (code, name, time_zone) values ('other', 'Other', 'UTC') returning id"
    ).fetchone()
    assert other is not None
    enter_utility(town.connection, other[0])
    town.connection.execute("set local role hesper_api")
    assert change(town.connection, other[0], [first], ACKNOWLEDGE, author="eve") == {
        first: ChangeOutcome.UNKNOWN
    }
    with pytest.raises(CheckViolation):
        town.connection.execute(
            "insert into finding_changes (utility_id, finding_id, note, author) values (%s, %s, 'n', 'eve')",
            (other[0], first),
        )
