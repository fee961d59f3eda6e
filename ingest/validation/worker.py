"""The validator: claims a block of registers, judges what is not settled, stores marks and findings, commits.

The judgement is a function of the stored series alone, so it is the same whatever the order of arrival, and
doing it twice changes nothing. Removing the claim is part of the same transaction: a validator that dies
leaves the work to the next one. Any number of validators may run.
"""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, datetime

import psycopg
import structlog
from psycopg import Connection
from psycopg.pq import TransactionStatus

from anomaly.catalogue import REGISTER_KINDS
from ingest.validation.alarms import MailServer, tell
from ingest.validation.judging import judge_registers
from ingest.validation.parameters import Parameters
from ingest.validation.periodic import Rounds
from ingest.validation.register_facts import Circumstances
from ingest.validation.series_cache import Known, SeriesMemory, StoredSeries, whole_series
from ingest.worker import Outage, Turn, serve
from store.postgres.arrays import from_microseconds
from store.postgres.database import connect
from store.postgres.retention import upkeep
from store.postgres.roles import Role
from store.validation.balance_queue import note_houses
from store.validation.edits import decisions
from store.validation.findings import Concerned, sync_findings
from store.validation.judgement import (
    Claim,
    JudgedRegister,
    claim,
    enrol,
    pass_on,
    registers_of,
    set_validated,
    waiting,
)
from store.validation.marks import sync_marks
from store.validation.rule_parameters import parameters_of

BLOCKS_TOGETHER, READINGS_TOGETHER = 16, 300_000  # in one transaction
TELL_SECONDS = 10.0  # between two looks for findings to tell of
DAY_SECONDS = 86_400.0  # between two rounds of upkeep

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """What was done for some blocks, and how many wait still."""

    blocks: Sequence[int]
    registers: int
    readings: int  # that were looked at
    changed: int  # rows of marks and findings written or removed
    waiting: int


class Validator:
    """Judges blocks over one connection, remembering what is settled of them between them."""

    def __init__(self, connection: Connection, memory: SeriesMemory | None = None) -> None:
        if connection.info.transaction_status is not TransactionStatus.IDLE:
            raise ValueError("a validator needs a connection outside of any transaction: commit first")
        self._connection = connection
        self._memory = memory or SeriesMemory()
        self._together = 1

    def step(self) -> Progress | None:
        """Judge the blocks that wait longest and that nobody works on; None when there are none.

        As many together as bring about `READINGS_TOGETHER`, going by those before.
        """
        with self._connection.transaction():
            enrol(self._connection)
        with self._connection.transaction():
            claims = claim(self._connection, self._together)
            if not claims:
                return None
            known, progress = self._judge(claims)
        for claimed in claims:
            self._memory.keep(claimed, known[claimed.block])
        enough = READINGS_TOGETHER * len(claims) // max(progress.readings, 1)
        self._together = max(1, min(BLOCKS_TOGETHER, enough))
        return progress

    def _judge(self, claims: Sequence[Claim]) -> tuple[dict[int, Known], Progress]:
        pass_on(self._connection, claims)
        rows = registers_of(self._connection, [each.block for each in claims])
        ids = [row.id for row in rows]
        parameters = parameters_of(self._connection, sorted({row.utility_id for row in rows}))
        circumstances = Circumstances.of(self._connection, ids)
        known = self._memory.fetch(self._connection, claims, rows, parameters, circumstances)
        series = {id_: each for one in known.values() for id_, each in one.series.items()}
        settled = {id_: each for one in known.values() for id_, each in one.settled.items()}
        read: dict[int, StoredSeries] = {}

        def whole(register_ids: Sequence[int]) -> dict[int, StoredSeries]:
            read.update(whole_series(self._connection, register_ids))
            return read

        edits = decisions(self._connection, ids)
        judged = judge_registers(
            rows, series, edits, Parameters(parameters), circumstances, settled=settled, whole=whole
        )
        changed = sync_marks(self._connection, ids, judged.marks, judged.marks_from)
        open_ = Concerned(judged.findings_from, judged.is_open)
        changed += sync_findings(self._connection, ids, REGISTER_KINDS, judged.findings, open_)
        last = {id_: from_microseconds(each.times[-1]) for id_, each in series.items() if len(each.times)}
        set_validated(self._connection, last)
        self._note_houses(claims, rows)
        readings = sum(len(each.times) for each in (*series.values(), *read.values()))
        left = waiting(self._connection)
        progress = Progress([each.block for each in claims], len(ids), readings, changed, left)
        return {block: each.but(judged.anew, read) for block, each in known.items()}, progress

    def _note_houses(self, claims: Sequence[Claim], rows: Sequence[JudgedRegister]) -> None:
        """Of blocks that were touched on the same days, as most are, all houses at once."""
        days = {each.block: tuple(each.days) for each in claims}
        registers: dict[tuple[date, ...], list[int]] = {}
        for row in rows:
            registers.setdefault(days[row.home], []).append(row.id)
        for touched, ids in registers.items():
            note_houses(self._connection, ids, touched)


def drain(connection: Connection, report: Callable[[Progress], None] | None = None) -> int:
    """Judge everything that waits, telling `report` of each block; how many blocks were judged.

    The connection must not be inside a transaction. Blocks that another validator works on are left to it.
    """
    validator = Validator(connection)
    blocks = 0
    while (progress := validator.step()) is not None:
        blocks += len(progress.blocks)
        if report:
            report(progress)
    return blocks


def main(
    database_url: str,
    stop: threading.Event,
    clock: Callable[[], datetime],
    mail: MailServer | None = None,
    opened: Callable[[str], str] = str,
) -> None:
    """Judge what arrives and tell of what is found until `stop` is set.

    `opened` gives a webhook's secret for what is kept of it.
    """

    def begin(sessions: ExitStack) -> Turn:
        connection = sessions.enter_context(
            connect(database_url, application="hesper validate", role=Role.INGEST)
        )
        connection.autocommit = True
        log.info("validating")
        return _Work(connection, clock, mail, opened).turn

    serve(begin, stop, Outage(log))


class _Work:
    """Everything that the process does over one session: judgement first, and now and then the rest."""

    def __init__(
        self,
        connection: Connection,
        clock: Callable[[], datetime],
        mail: MailServer | None,
        opened: Callable[[str], str],
    ) -> None:
        self._connection = connection
        self._clock = clock
        self._mail = mail
        self._opened = opened
        self._validator = Validator(connection)
        self._rounds = Rounds(connection, clock=clock)
        self._tell_due = self._upkeep_due = 0.0

    def turn(self) -> bool:
        """Judge the blocks that wait longest; False where none does and nothing else was due."""
        if time.monotonic() >= self._tell_due:
            tell(self._connection, self._clock(), self._mail, opened=self._opened)
            self._tell_due = time.monotonic() + TELL_SECONDS
        self._rounds.step()
        progress = self._validator.step()
        if progress is not None:
            if progress.changed:
                log.info(
                    "judged", blocks=len(progress.blocks), changed=progress.changed, waiting=progress.waiting
                )
            return True
        if time.monotonic() < self._upkeep_due:
            return False
        _keep_up(self._connection)
        self._upkeep_due = time.monotonic() + DAY_SECONDS
        return True


def _keep_up(connection: Connection) -> None:
    """Once a day: room for the months to come, and no more of what was kept long enough."""
    try:
        removed = upkeep(connection)
    except psycopg.errors.LockNotAvailable as error:  # somebody is at it for long: tomorrow
        log.info("upkeep was put off", reason=str(error).strip())
    else:
        log.info("upkeep done", removed={kind: count for kind, count in removed.items() if count})
