"""A close by steps: drafted in blocks, by any number of sessions, stopped anywhere, approved by who may."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from ingest.billing import draft as drafting
from ingest.billing.close import CloseState, approve, close, draft, withdraw
from store.billing.approval import ApprovalError
from store.billing.drafted import to_work_off
from store.billing.measured import utility
from store.postgres.database import connect
from store.postgres.roles import Role
from tests.support.town import NOW, UTILITY, Town

OCTOBER = datetime(2026, 9, 30, 22, tzinfo=UTC)  # local midnights in Madrid
NOVEMBER = datetime(2026, 10, 31, 23, tzinfo=UTC)
DAY = timedelta(days=1)
METERS = 12
SILENT = 4  # every so many meters answer no more
CLOSER = """
import os, signal, sys
from datetime import datetime
from ingest.billing.close import draft
from store.postgres.database import connect
with connect(sys.argv[1]) as session:
    def told(done, blocks):
        if done == int(sys.argv[3]):
            os.kill(os.getpid(), signal.SIGKILL)
    draft([session], "town", "2026-10", "anna", datetime.fromisoformat(sys.argv[2]), block_size=2, told=told)
"""


@pytest.fixture
def town(database: str) -> Iterator[Town]:
    with connect(database) as connection:
        town = Town(connection)
        for number in range(METERS):
            days = 60 if number % SILENT else 20
            town.meter(f"AAA-{number}", {OCTOBER + (n - 10) * DAY: str(100 + n) for n in range(days)})
        town.judge()
        yield town


def issued(connection: psycopg.Connection) -> list[tuple[object, ...]]:
    """All that was issued, but for what only says when and in which order."""
    rows = connection.execute(
        """
        select to_jsonb(x) - array['id', 'close_id', 'created_at'] from (
            select to_jsonb(b) as x from billing_readings b
            union all select to_jsonb(e) from billing_exceptions e
        ) all_of_it order by x ->> 'service_point_id', x ->> 'obis', x ->> 'version'
        """
    ).fetchall()
    connection.commit()
    return rows


def test_draft_issues_nothing_and_says_what_to_work_off(town: Town) -> None:
    summary = draft([town.connection], UTILITY, "2026-10", "anna", NOW)
    assert (summary.state, summary.new, summary.exceptions) == (
        CloseState.DRAFTED,
        9,
        {"no_reading_after": 3},
    )
    assert issued(town.connection) == []
    known = utility(town.connection, UTILITY)
    work = to_work_off(town.connection, known.id, "2026-10")
    assert [(point, reason) for point, _, reason, _ in work] == [
        (f"AAA-{number}", "no_reading_after") for number in (0, 4, 8)
    ]
    assert work[0][3].endswith("wait for or enter a later reading, or note the value at the removal")


def test_exception_that_was_worked_off_is_billed_by_the_next_draft(town: Town) -> None:
    draft([town.connection], UTILITY, "2026-10", "anna", NOW)
    town.read("AAA-0", {NOVEMBER: "141"})
    town.judge()
    assert draft([town.connection], UTILITY, "2026-10", "anna", NOW).new == 10
    assert approve(town.connection, UTILITY, "2026-10", "anna").state is CloseState.APPROVED
    assert len(town.billed("2026-10")) == 10


def _steps(town: Town) -> list[tuple[str, str, int]]:
    return town.connection.execute("select state, author, run from close_events order by id").fetchall()


def test_steps_are_kept_with_author_and_time(town: Town) -> None:
    draft([town.connection], UTILITY, "2026-10", "anna", NOW)
    withdraw(town.connection, UTILITY, "2026-10", "boris")
    draft([town.connection], UTILITY, "2026-10", "anna", NOW)
    approve(town.connection, UTILITY, "2026-10", "clara")
    steps = _steps(town)
    assert steps == [
        ("drafted", "anna", 1),
        ("withdrawn", "boris", 1),
        ("drafted", "anna", 1),
        ("approved", "clara", 1),
    ]
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="only added to"):
        town.connection.execute("delete from close_events")
    town.connection.rollback()


def test_change_of_what_was_issued_needs_a_second_person(town: Town) -> None:
    town.close("2026-10")
    first = issued(town.connection)
    town.read("AAA-1", {NOVEMBER: "141.5"})
    town.judge()
    with pytest.raises(
        ApprovalError, match=r"drafted by anna: 1 billing readings change .* another person approves it"
    ):
        close(town.connection, UTILITY, "2026-10", "anna", NOW)
    assert issued(town.connection) == first
    summary = approve(town.connection, UTILITY, "2026-10", "boris")
    assert (summary.run, summary.corrected, summary.new, summary.unchanged) == (2, 1, 0, 8)
    one, two = (row[2] for row in town.billed("2026-10") if row[0] == "AAA-1")
    assert two - one == Decimal("0.5")
    assert [row for row in issued(town.connection) if row in first and "version" in row[0]] == [
        row for row in first if "version" in row[0]
    ]


@pytest.mark.parametrize(
    ("prepare", "told"),
    [
        ("nothing", "nothing of 2026-10 waits for approval"),
        ("interrupted", "is not complete"),
        ("lost", "was lost with the server"),
        ("closed", "was closed since"),
        ("ruled", "has other rules since"),
    ],
)
def test_only_a_complete_and_present_draft_is_approved(
    town: Town, database: str, prepare: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if prepare == "interrupted":
        monkeypatch.setattr(drafting, "add_drafted", _fails)
        with pytest.raises(ArithmeticError):
            draft([town.connection], UTILITY, "2026-10", "anna", NOW)
    elif prepare != "nothing":
        draft([town.connection], UTILITY, "2026-10", "anna", NOW)
    if prepare == "lost":  # what a crash of the server does to unlogged tables
        town.connection.execute("truncate draft_blocks, draft_readings, draft_exceptions")
    if prepare == "closed":
        town.connection.execute("update close_drafts set base_run = 7")
    if prepare == "ruled":
        town.connection.execute(
            """
            insert into billing_rules (utility_id, valid_from, name, version, content, author)
            select id, '2026-01-01', 'test', '1', %s, 'anna' from utilities
            """,
            ('name = "test"\nversion = "1"',),
        )
    town.connection.commit()
    with pytest.raises(ApprovalError, match=told):
        approve(town.connection, UTILITY, "2026-10", "anna")
    assert issued(town.connection) == []


def _fails(*_: object) -> None:
    raise ArithmeticError


def test_draft_in_whose_place_another_came_is_not_completed(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = drafting.add_drafted

    def meanwhile(*arguments: Any) -> None:
        original(*arguments)
        town.connection.execute("update close_drafts set author = 'boris'")

    monkeypatch.setattr(drafting, "add_drafted", meanwhile)
    with pytest.raises(ApprovalError, match="by somebody else at the same time"):
        draft([town.connection], UTILITY, "2026-10", "anna", NOW)
    assert _steps(town) == []


def test_killed_between_blocks_and_begun_again_it_comes_to_the_same(town: Town, database: str) -> None:
    for blocks in (2, 4):
        killed = subprocess.run(
            [sys.executable, "-c", CLOSER, database, NOW.isoformat(), str(blocks)], check=False, timeout=60
        )
        assert killed.returncode == -signal.SIGKILL
    done: list[int] = []
    draft([town.connection], UTILITY, "2026-10", "anna", NOW, block_size=2, told=lambda n, _: done.append(n))
    assert done == [5, 6]  # of the six blocks only what was missing
    approve(town.connection, UTILITY, "2026-10", "anna")
    resumed = issued(town.connection)
    town.connection.execute("truncate close_events, closes, billing_readings, billing_exceptions cascade")
    town.connection.commit()
    close(town.connection, UTILITY, "2026-10", "anna", NOW)
    assert issued(town.connection) == resumed


def test_sessions_side_by_side_draft_each_block_once(town: Town, database: str) -> None:
    with connect(database, role=Role.ADMIN) as one, connect(database, role=Role.ADMIN) as two:
        summary = draft([one, two], UTILITY, "2026-10", "anna", NOW, block_size=1)
        assert (summary.billed, summary.exceptions) == (9, {"no_reading_after": 3})
        assert approve(one, UTILITY, "2026-10", "anna").registers == METERS
    assert len(town.billed("2026-10")) == 9
