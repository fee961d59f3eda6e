"""Worker that does the tasks which people ask for in the browser or over `/v1` (`store/tasks.py`).

Any number may run. Each holds one task at a time, by the lock on its row in a session of its own, while
another session does the work and commits as the task does. What fails is written beside the task, for whoever
asked.
"""

import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from datetime import datetime
from typing import Any

import psycopg
import structlog
from psycopg import Connection

from ingest.billing import close as month
from ingest.receive.replay import replay_all
from ingest.validation import drain
from ingest.worker import Outage, Turn, serve
from metering.billing.rule_set import RulesError
from metering.periods.calendar import PeriodError
from metering.registry.checks import RegistryError
from store import quarantine
from store.postgres.database import connect
from store.postgres.errors import StoreError
from store.postgres.roles import Role
from store.tasks import TaskKind, TaskRow, claim, done, failed
from telemetry.wire import to_milliseconds

Do = Callable[[Connection[Any], TaskRow, datetime], Mapping[str, Any]]
"""Does a task, at an instant, and commits; tells the figures of what was done."""

log = structlog.get_logger(__name__)


def draft(connection: Connection[Any], asked: TaskRow, now: datetime) -> Mapping[str, Any]:
    """Draft a period, once all that has arrived is judged."""
    drain(connection)
    connection.commit()
    return asdict(month.draft([connection], asked.utility, asked.subject["period"], asked.author, now))


def replay(connection: Connection[Any], asked: TaskRow, now: datetime) -> Mapping[str, Any]:
    """Take what waits in quarantine as if it came now."""
    selection = _selection(asked)
    tried = stored = 0
    for entries in quarantine.groups(connection, selection):
        tried += len(entries)
        stored += sum(one.stored for one in replay_all(connection, entries, to_milliseconds(now)))
    return {"tried": tried, "stored": stored, "waiting": _left(connection, selection)}


def discard(connection: Connection[Any], asked: TaskRow, _now: datetime) -> Mapping[str, Any]:
    """Say of what waits in quarantine that it will never be used."""
    discarded = 0
    for entries in quarantine.groups(connection, _selection(asked)):
        discarded += quarantine.discard(connection, [entry.id for entry in entries])
        connection.commit()
    return {"discarded": discarded}


TASKS: Mapping[TaskKind, Do] = {TaskKind.DRAFT: draft, TaskKind.REPLAY: replay, TaskKind.DISCARD: discard}


def _selection(asked: TaskRow) -> quarantine.Selection:
    return quarantine.Selection(**asked.subject, utility_id=asked.utility_id)


def _left(connection: Connection[Any], selection: quarantine.Selection) -> int:
    return sum(quarantine.count(connection, selection).values())


def step(
    queue: Connection[Any], work: Connection[Any], tasks: Mapping[TaskKind, Do], clock: Callable[[], datetime]
) -> bool:
    """Does the task that has waited longest; False where none does. Commits both sessions.

    Raises psycopg.OperationalError where the database goes away: then the task waits on.
    """
    with queue.transaction():
        asked = claim(queue)
        if asked is None:
            return False
        try:
            outcome = tasks[asked.kind](work, asked, clock())
            work.commit()
        except psycopg.OperationalError:
            raise
        except (StoreError, RegistryError, PeriodError, RulesError, LookupError) as error:
            work.rollback()
            advice = getattr(error, "advice", "")
            failed(queue, asked, f"{error}; {advice}" if advice else str(error))
        except Exception as error:
            work.rollback()
            log.error("a task failed by a fault of ours", id=asked.id, task=asked.kind, exc_info=error)
            failed(
                queue, asked, "This is a fault of ours, kept in the log. Ask again; if it lasts, report it."
            )
        else:
            done(queue, asked, outcome)
            log.info("done as asked", id=asked.id, task=asked.kind, author=asked.author)
    return True


def main(
    database_url: str,
    stop: threading.Event,
    clock: Callable[[], datetime],
    tasks: Mapping[TaskKind, Do] = TASKS,
) -> None:
    """Does tasks until `stop` is set."""

    def begin(sessions: ExitStack) -> Turn:
        queue, work = (
            sessions.enter_context(connect(database_url, application="hesper worker", role=Role.ADMIN))
            for _ in range(2)
        )
        log.info("waiting for tasks")
        return lambda: step(queue, work, tasks, clock)

    serve(begin, stop, Outage(log))
