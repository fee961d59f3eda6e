"""Edits: decisions of people about readings, only added to, that hold as marks and are respected by rules."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from store.postgres.database import connect
from store.postgres.roles import enter_utility
from store.validation import edits
from store.validation.edits import Action, Edit, EditError, EditRow
from tests.support.town import Town

START = datetime(2026, 6, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
GLITCH = START + 50 * HOUR


@pytest.fixture
def town(database: str) -> Iterator[Town]:
    """A meter that says 0 once."""
    with connect(database) as connection:
        town = Town(connection)
        readings = {START + n * HOUR: str(1000 + n // 10) for n in range(100)}
        town.meter("AAA-1", readings | {GLITCH: "0"})
        town.judge()
        yield town


def edit(town: Town, action: Action, at: datetime = GLITCH, value: int | None = None) -> EditRow:
    row = edits.add(town.connection, Edit(town.registers["AAA-1"], at, action, "anna", "seen on site", value))
    town.judge()
    return row


def marks(town: Town) -> list[tuple[Any, ...]]:
    rows = town.connection.execute(
        "select measured_at, rule, quality, usable, author from marks order by 1, 2"
    ).fetchall()
    town.connection.commit()
    return rows


def utility(town: Town) -> int:
    row = town.connection.execute("select id from utilities").fetchone()
    assert row is not None
    return int(row[0])


def glitches(town: Town) -> int:
    row = town.connection.execute("select count(*) from findings where kind like '%glitch'").fetchone()
    town.connection.commit()
    assert row is not None
    return int(row[0])


BY_RULE = (GLITCH, "glitch", 10, False, "validation")


def test_an_excluded_reading_is_judged_no_more_until_it_is_restored(town: Town) -> None:
    assert marks(town) == [BY_RULE]
    assert not edit(town, Action.EXCLUDE).waits
    assert marks(town) == [(GLITCH, "edit", 10, False, "anna")]
    assert glitches(town) == 0
    undo = edit(town, Action.RESTORE)
    assert undo.undoes is not None
    assert marks(town) == [BY_RULE]
    assert glitches(town) == 1


def test_an_accepted_reading_is_usable_although_rules_object(town: Town) -> None:
    edit(town, Action.ACCEPT)
    assert marks(town) == [(GLITCH, "edit", 17, True, "anna")]
    assert glitches(town) == 0
    town.read("AAA-1", {START + 200 * HOUR: "1010"})  # judged again, it is respected still
    town.judge()
    assert marks(town) == [(GLITCH, "edit", 17, True, "anna")]


def test_an_entered_value_is_a_reading_of_its_own_and_undone_without_being_removed(town: Town) -> None:
    at = START + 50 * HOUR + timedelta(minutes=1)
    edit(town, Action.ENTER, at, 1_005_000_000)
    assert marks(town) == [BY_RULE, (at, "edit", 7, True, "anna")]
    edit(town, Action.RESTORE, at)
    assert marks(town) == [BY_RULE, (at, "edit", 7, False, "anna")]
    row = town.connection.execute(
        "select value, status from readings where measured_at = %s", (at,)
    ).fetchone()
    assert row == (1_005_000_000, 256)


def test_undoing_goes_back_one_edit_at_a_time(town: Town) -> None:
    edit(town, Action.ACCEPT)
    edit(town, Action.EXCLUDE)
    edit(town, Action.RESTORE)
    assert marks(town) == [(GLITCH, "edit", 17, True, "anna")]
    edit(town, Action.RESTORE)
    assert marks(town) == [BY_RULE]
    with pytest.raises(EditError, match="no edit"):
        edit(town, Action.RESTORE)


def test_readings_are_never_altered(town: Town) -> None:
    def readings() -> list[Any]:
        return town.connection.execute("select * from readings order by 1, 2").fetchall()

    before = readings()
    for action in (Action.EXCLUDE, Action.RESTORE, Action.ACCEPT):
        edit(town, action)
    with pytest.raises(EditError, match="already"):
        edit(town, Action.ENTER, value=1_005_000_000)
    assert readings() == before
    with pytest.raises(EditError, match="no reading"):
        edit(town, Action.EXCLUDE, GLITCH + timedelta(seconds=1))


def closed(town: Town) -> None:
    town.connection.execute(
        """
        insert into closes (utility_id, period, starts_at, ends_at, run, author, summary)
        select id, '2026-06', %s, %s, 1, 'anna', '{}' from utilities
        """,
        (START, START + 30 * 24 * HOUR),
    )
    town.connection.commit()


def test_an_edit_of_a_closed_period_holds_once_a_second_person_approves(town: Town) -> None:
    closed(town)
    row = edit(town, Action.EXCLUDE)
    assert row.waits
    assert marks(town) == [BY_RULE]
    with pytest.raises(EditError, match="is by anna too"):
        edits.approve(town.connection, utility(town), row.id, "anna")
    town.connection.rollback()
    approved = edits.approve(town.connection, utility(town), row.id, "ben")
    town.judge()
    assert (approved.approved_by, approved.waits) == ("ben", False)
    assert marks(town) == [(GLITCH, "edit", 10, False, "anna")]
    with pytest.raises(EditError, match="does not wait"):
        edits.approve(town.connection, utility(town), row.id, "ben")


def test_an_undo_in_a_closed_period_is_approved_too(town: Town) -> None:
    edit(town, Action.EXCLUDE)
    closed(town)
    undo = edit(town, Action.RESTORE)
    assert marks(town) == [(GLITCH, "edit", 10, False, "anna")]
    with pytest.raises(EditError, match="waits for its approval"):
        edit(town, Action.RESTORE)
    town.connection.rollback()
    edits.approve(town.connection, utility(town), undo.id, "ben")
    town.judge()
    assert marks(town) == [BY_RULE]


def test_entries_waiting_for_approval_are_no_readings_yet(town: Town) -> None:
    closed(town)
    at = GLITCH + timedelta(minutes=1)
    row = edit(town, Action.ENTER, at, 1_005_000_000)
    assert row.waits
    assert town.connection.execute("select from readings where measured_at = %s", (at,)).fetchone() is None


@pytest.mark.parametrize(
    "statement",
    [
        "update edits set reason = 'x'",
        "delete from edits",
        "delete from edit_approvals",
        "delete from rule_parameters",
    ],
)
def test_the_database_refuses_to_alter_what_was_written_down(town: Town, statement: str) -> None:
    closed(town)
    row = edit(town, Action.EXCLUDE)
    town.connection.execute(
        "insert into edit_approvals (edit_id, utility_id, author) select id, utility_id, 'ben' from edits"
    )
    town.connection.execute(
        """
        insert into rule_parameters (utility_id, name, value, valid_from, author, reason)
        select id, 'spike', 'off', '2026-01-01', 'anna', 'r' from utilities
        """
    )
    town.connection.commit()
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        town.connection.execute(statement)
    town.connection.rollback()
    assert row.waits


def test_the_database_refuses_an_approval_by_the_author(town: Town) -> None:
    closed(town)
    edit(town, Action.EXCLUDE)
    with pytest.raises(psycopg.errors.CheckViolation):
        town.connection.execute(
            """
            insert into edit_approvals (edit_id, utility_id, author) select id, utility_id, author from edits
            """
        )


def test_a_session_without_a_right_to_readings_makes_edits_of_its_own_utility_alone(town: Town) -> None:
    register = town.registers["AAA-1"]
    at = GLITCH + timedelta(minutes=1)
    edit = Edit(register, at, Action.ENTER, "anna", "read on site", 1_005_000_000)
    with town.connection.transaction():
        enter_utility(town.connection, utility(town))
        town.connection.execute("set local role hesper_api")
        edits.add(town.connection, edit)
    assert marks(town) == [BY_RULE, (at, "edit", 7, True, "anna")]
    other = town.connection.execute(
        "insert into utilities (code, name, time_zone) values ('other', 'Other', 'UTC') returning id"
    ).fetchone()
    assert other is not None
    enter_utility(town.connection, other[0])
    town.connection.execute("set local role hesper_api")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        town.connection.execute(
            """
            insert into edits (utility_id, register_id, measured_at, action, author, reason, needs_approval)
            values (%s, %s, %s, 'exclude', 'eve', 'r', false)
            """,
            (other[0], register, GLITCH),
        )
    town.connection.rollback()


def test_an_edit_and_its_approval_are_in_the_audit_log(town: Town) -> None:
    closed(town)
    row = edit(town, Action.EXCLUDE)
    edits.approve(town.connection, utility(town), row.id, "ben")
    town.connection.commit()
    rows = town.connection.execute(
        "select actor, subject from audit_log where subject like 'edit%' order by id"
    ).fetchall()
    assert rows == [("anna", f"edits {row.id}"), ("ben", "edit_approvals")]
