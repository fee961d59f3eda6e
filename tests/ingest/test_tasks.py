"""What people ask for is done by a worker, once, and what came of it is written beside it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from hesper.commands.running.worker import accept_meter
from ingest.receive.quarantine import QuarantineReason, refuse_readout
from ingest.tasks import TASKS, step
from store import quarantine, tasks
from store.postgres.database import connect
from store.postgres.roles import Role
from store.tasks import TaskKind, TaskRow, TaskState
from telemetry.wire import Batch, WireReadout, to_milliseconds
from tests.support.town import NOW, UTILITY, VOLUME, Town

START = datetime(2026, 9, 20, tzinfo=UTC)
DAY = timedelta(days=1)
TOPIC = f"hesper/v1/{UTILITY}/test/readings"
EVERY = {**TASKS, TaskKind.ACCEPT: accept_meter}


@pytest.fixture
def town(database: str) -> Iterator[Town]:
    with connect(database) as connection:
        yield Town(connection)


@pytest.fixture
def work(database: str) -> Iterator[psycopg.Connection]:
    with connect(database, role=Role.ADMIN) as connection:
        yield connection


@pytest.fixture
def queue(database: str) -> Iterator[psycopg.Connection]:
    with connect(database, role=Role.ADMIN) as connection:
        yield connection


def ask(town: Town, task: TaskKind, **subject: object) -> TaskRow:
    row = tasks.ask(town.connection, 1, task, subject, author="anna", reason="asked")
    town.connection.commit()
    return row


def came_of(town: Town, asked: TaskRow) -> TaskRow:
    row = tasks.task(town.connection, 1, asked.id)
    town.connection.commit()
    assert row is not None
    return row


def do(queue: psycopg.Connection, work: psycopg.Connection) -> bool:
    return step(queue, work, EVERY, lambda: NOW)


def wait_in_quarantine(town: Town, meter: str, reason: QuarantineReason, count: int = 3) -> None:
    """Readouts of a meter, a day apart."""
    row = town.connection.execute("select id from utilities").fetchone()
    assert row is not None
    for number in range(count):
        at = to_milliseconds(START + number * DAY)
        readout = WireReadout(meter, at, {VOLUME: 100.0 + number})
        refusal = refuse_readout(TOPIC, Batch("e1", number + 1, at, [readout]), readout, reason, "why")
        quarantine.insert(
            town.connection,
            [
                quarantine.QuarantineEntry(
                    row[0], TOPIC, reason, refusal.detail, meter, refusal.payload, refusal.digest
                )
            ],
        )
    town.connection.commit()


def test_a_draft_is_made_by_who_asked_once_all_is_judged(
    town: Town, queue: psycopg.Connection, work: psycopg.Connection
) -> None:
    town.meter("AAA-1", {START + n * DAY: str(100 + n) for n in range(60)})
    asked = ask(town, TaskKind.DRAFT, period="2026-10")
    assert ask(town, TaskKind.DRAFT, period="2026-10").id == asked.id, "one draft of a period at a time"
    assert do(queue, work)
    row = came_of(town, asked)
    assert (row.state, row.outcome and row.outcome["billed"]) == (TaskState.DONE, 1)
    drafted = town.connection.execute("select author, drafted_at is not null from close_drafts").fetchall()
    assert drafted == [("anna", True)]
    assert not do(queue, work)
    town.connection.commit()
    assert ask(town, TaskKind.DRAFT, period="2026-10").id != asked.id


def test_what_cannot_be_done_says_why_and_stops_nobody(
    town: Town, queue: psycopg.Connection, work: psycopg.Connection
) -> None:
    early = ask(town, TaskKind.DRAFT, period="2030-01")
    unknown = ask(town, TaskKind.ACCEPT, meter="NOB-00000001")
    assert do(queue, work)
    assert do(queue, work)
    assert "close it after that" in (came_of(town, early).failure or "")
    assert "`hesper registry unknown`" in (came_of(town, unknown).failure or "")
    assert came_of(town, unknown).state is TaskState.FAILED


@pytest.mark.expects_log("a request failed by a fault of ours")
def test_a_fault_of_ours_is_logged_and_tells_nothing_of_the_inside(
    town: Town, queue: psycopg.Connection, work: psycopg.Connection
) -> None:
    asked = ask(town, TaskKind.REPLAY, nonsense=1)
    assert do(queue, work)
    assert "nonsense" not in (came_of(town, asked).failure or "nonsense")


def test_replaying_stores_what_can_be_stored_now(
    town: Town, queue: psycopg.Connection, work: psycopg.Connection
) -> None:
    town.meter("AAA-1", {START - DAY: "99"})
    wait_in_quarantine(town, "AAA-1", QuarantineReason.WRONG_GATEWAY)
    wait_in_quarantine(town, "BBB-2", QuarantineReason.WRONG_GATEWAY)
    asked = ask(town, TaskKind.REPLAY, reason="wrong_gateway")
    assert do(queue, work)
    assert came_of(town, asked).outcome == {"tried": 6, "stored": 3, "waiting": 0}
    assert quarantine.count(town.connection, quarantine.Selection()) == {"unknown_meter": 3}


def test_what_is_discarded_stays_and_waits_no_more(
    town: Town, queue: psycopg.Connection, work: psycopg.Connection
) -> None:
    wait_in_quarantine(town, "AAA-1", QuarantineReason.OBIS)
    first, *_ = quarantine.waiting(town.connection)
    one = ask(town, TaskKind.DISCARD, ids=[first.id])
    rest = ask(town, TaskKind.DISCARD, reason="obis")
    assert do(queue, work)
    assert do(queue, work)
    assert came_of(town, one).outcome == {"discarded": 1}
    assert came_of(town, rest).outcome == {"discarded": 2}
    assert quarantine.count(town.connection, quarantine.Selection()) == {}


def test_a_request_touches_its_own_utility_alone(
    town: Town, queue: psycopg.Connection, work: psycopg.Connection
) -> None:
    wait_in_quarantine(town, "AAA-1", QuarantineReason.OBIS)
    (row,) = town.connection.execute(
        "insert into utilities (code, name, time_zone) values ('other', 'Other', 'UTC') returning id"
    ).fetchall()
    first, *_ = quarantine.waiting(town.connection)
    asked = tasks.ask(town.connection, row[0], TaskKind.DISCARD, {"ids": [first.id]}, author="eve")
    town.connection.commit()
    assert do(queue, work)
    found = tasks.task(town.connection, row[0], asked.id)
    assert found is not None
    assert found.outcome == {"discarded": 0}


def test_a_new_meter_is_accepted_with_all_that_waits_of_it_in_the_name_of_who_asked(
    town: Town, queue: psycopg.Connection, work: psycopg.Connection
) -> None:
    wait_in_quarantine(town, "KAM-06855817", QuarantineReason.UNKNOWN_METER)
    asked = ask(town, TaskKind.ACCEPT, meter="KAM-06855817", model="Multical 21")
    assert do(queue, work)
    assert came_of(town, asked).outcome == {"readouts": 3, "stored": 3, "waiting": 0}
    history = town.connection.execute(
        "select author, reason from registry_history where entity = 'meters' order by id desc limit 1"
    ).fetchone()
    assert history == ("anna", "asked")


def test_a_request_that_somebody_works_on_is_left_to_them(
    town: Town, queue: psycopg.Connection, work: psycopg.Connection
) -> None:
    ask(town, TaskKind.DISCARD, reason="obis")
    with queue.transaction():
        assert tasks.claim(queue) is not None
        with connect(town.connection.info.dsn, role=Role.ADMIN) as other, other.transaction():
            assert tasks.claim(other) is None
