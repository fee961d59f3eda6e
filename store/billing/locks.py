"""Locks of a month: taken first, in one order, waited for shortly, and told with the name of who holds them.

Approvals of a utility come one after the other, since months share evidence: the telegrams at their boundary,
the destinations, the audit log. Then comes the period, which one at a time drafts, approves or withdraws.
"""

from contextlib import suppress
from datetime import timedelta
from enum import StrEnum
from typing import Any

from psycopg import Connection
from psycopg.errors import LockNotAvailable

from store.postgres.errors import StoreError

WAIT = timedelta(seconds=5)  # an answer of the API may take 20
_APPROVALS = 0x4150_5256  # "APRV"
_LONGEST_NAME = 63  # characters of an application_name


class PeriodBusyError(StoreError):
    """Somebody else works on this period, or approves another one of the utility."""

    advice = "wait until that is done, and try again"


class Doing(StrEnum):
    """What somebody does with a period."""

    DRAFTS = "drafts"
    APPROVES = "approves"
    WITHDRAWS = "withdraws"


def lock_period(connection: Connection[Any], utility_id: int, period: str, doing: Doing, person: str) -> None:
    """Let nobody else work on this period until the transaction ends, so that cursors only grow.

    Raises PeriodBusyError, and leaves the transaction as it was, where somebody does for longer than `WAIT`.
    """
    told = f"hesper {doing} {period}: {person}"  # the end may be cut off
    if doing is Doing.APPROVES:
        _lock(connection, (_APPROVALS, utility_id), period, told)
    _lock(connection, (utility_id, int(period.replace("-", ""))), period, told)


def _lock(connection: Connection[Any], key: tuple[int, int], period: str, told: str) -> None:
    """Take an advisory lock; the session then shows what it is held for (pg_stat_activity)."""
    with suppress(LockNotAvailable), connection.transaction():
        before = _setting(connection, "lock_timeout")
        _set(connection, "lock_timeout", f"{WAIT // timedelta(milliseconds=1)}ms")
        connection.execute("select pg_advisory_xact_lock(%s::int, %s::int)", key)
        _set(connection, "lock_timeout", before)
        _set(connection, "application_name", told[:_LONGEST_NAME])
        return
    holder = connection.execute(
        """
        select application_name from pg_locks join pg_stat_activity using (pid)
        where locktype = 'advisory' and granted and objsubid = 2
          and classid = %s::int::oid and objid = %s::int::oid
          and database = (select oid from pg_database where datname = current_database())
        """,
        key,
    ).fetchone()
    what, _, who = holder[0].removeprefix("hesper ").partition(": ") if holder else ("works on it", "", "")
    raise PeriodBusyError(f"{period} has to wait: {who or 'somebody'} {what} right now")


def _setting(connection: Connection[Any], name: str) -> str:
    row = connection.execute("select current_setting(%s)", (name,)).fetchone()
    assert row is not None
    return str(row[0])


def _set(connection: Connection[Any], name: str, value: str) -> None:
    """To the end of the transaction."""
    connection.execute("select set_config(%s, %s, true)", (name, value))
