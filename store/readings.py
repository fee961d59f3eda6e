"""Readings and telegrams: written once and idempotently, marked for validation, and read back as arrays.

Instants are int64 microseconds since 1970-01-01T00:00:00Z, values int64 micro-units of the register's unit.
Everything here runs in the caller's transaction, so that readings, telegrams and marks are committed as one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
from psycopg import Connection

from store.arrays import (
    BigintArray,
    Instants,
    IntArray,
    SmallintArray,
    TimestamptzArray,
    adapt,
)

BLOCK = 32  # registers that are validated together
_MICROSECONDS_PER_DAY = 86_400_000_000


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What became of a batch. `stored + known + len(conflicts)` is its length.

    `known` were there with the same value. `conflicts` (int64) are the positions in the batch of readings for
    which another value is there: a meter cannot have had two values at once, so these are not stored. `new`
    (bool, as long as the batch) says which were stored.
    """

    stored: int
    known: int
    conflicts: npt.NDArray[np.int64]
    new: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Telegram:
    """What came from a meter at an instant (microseconds since 1970), as received."""

    meter_id: int
    measured_at: int
    gateway_id: int
    epoch: str
    batch: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class Readings:
    """Arrays of one length, ordered by register and instant."""

    register_ids: npt.NDArray[np.int32]
    measured_at: Instants
    values: npt.NDArray[np.int64]
    status: npt.NDArray[np.int16]


def insert(
    connection: Connection[Any],
    register_ids: npt.NDArray[np.int32],
    measured_at: Instants,
    values: npt.NDArray[np.int64],
    status: npt.NDArray[np.int16],
) -> WriteResult:
    """Stores what is not stored yet, of arrays of one length in any order.

    A key that is repeated within the batch counts as repeated: its first value is stored. Keys go to the
    database in order, which is fast, and lets several writers meet on the same keys without a deadlock.
    """
    if not len(register_ids):
        return WriteResult(0, 0, np.empty(0, np.int64), np.empty(0, np.bool_))
    order = np.lexsort((measured_at, register_ids))
    ids, instants, sent = register_ids[order], measured_at[order], values[order]
    first = np.ones(len(order), np.bool_)
    first[1:] = (ids[1:] != ids[:-1]) | (instants[1:] != instants[:-1])
    keys = (IntArray(ids[first]), TimestamptzArray(instants[first]))
    with connection.cursor() as cursor:
        adapt(cursor)
        cursor.execute(_INSERT, (*keys, BigintArray(sent[first]), SmallintArray(status[order][first])))
        inserted = cursor.fetchone()
        assert inserted is not None
        stored = len(inserted[0])
        if stored == len(order):
            return WriteResult(stored, 0, np.empty(0, np.int64), np.ones(stored, np.bool_))
        if stored == int(first.sum()):
            there, ours = sent[first], np.ones(stored, np.bool_)
        else:
            bounds = (int(instants.min()), int(instants.max()))
            cursor.execute(_STORED, (*keys, *(TimestamptzArray(np.array([bound])) for bound in bounds)))
            row = cursor.fetchone()
            assert row is not None
            there, ours = row[0], _among((ids[first], instants[first]), inserted)
    differs = sent != there[np.cumsum(first) - 1]
    conflicts = np.sort(order[differs]).astype(np.int64)
    new = np.zeros(len(order), np.bool_)
    new[order[first]] = ours
    return WriteResult(stored, len(order) - stored - len(conflicts), conflicts, new)


def _among(
    keys: tuple[npt.NDArray[np.int32], Instants], some: tuple[npt.NDArray[np.int32], Instants]
) -> npt.NDArray[np.bool_]:
    """Which of the keys (register, instant) are among `some`, a part of them."""
    instants, place = np.unique(keys[1], return_inverse=True)
    # one number for each key: the instants of a batch are few enough for that to fit in 63 bits
    all_of_them = keys[0].astype(np.int64) * len(instants) + place
    return np.isin(all_of_them, some[0].astype(np.int64) * len(instants) + np.searchsorted(instants, some[1]))


_INSERT = """
    with inserted as (
        insert into readings (register_id, measured_at, value, status)
        select * from unnest(%s, %s, %s, %s)
        on conflict (register_id, measured_at) do nothing
        returning register_id, measured_at
    )
    select coalesce(array_agg(register_id), '{}'), coalesce(array_agg(measured_at), '{}') from inserted
"""

# the bounds let TimescaleDB leave out the chunks that cannot hold any of the keys
_STORED = """
    select array_agg(r.value order by k.n)
    from unnest(%s, %s) with ordinality as k (register_id, measured_at, n)
    join readings r on r.register_id = k.register_id and r.measured_at = k.measured_at
    where r.measured_at between (%s)[1] and (%s)[1]
"""


def insert_telegrams(connection: Connection[Any], telegrams: Sequence[Telegram]) -> int:
    """Keeps the raw bytes; of a meter and instant that are there already the first stay. Returns how many
    are new."""
    ordered = sorted(telegrams, key=lambda telegram: (telegram.meter_id, telegram.measured_at))
    if not ordered:
        return 0
    with connection.cursor() as cursor:
        adapt(cursor)
        cursor.execute(
            """
            insert into telegrams (meter_id, measured_at, gateway_id, epoch, batch, raw)
            select * from unnest(%s, %s, %s, %s::text[], %s, %b::bytea[])
            on conflict (meter_id, measured_at) do nothing
            """,
            (
                IntArray(np.array([telegram.meter_id for telegram in ordered])),
                TimestamptzArray(np.array([telegram.measured_at for telegram in ordered])),
                IntArray(np.array([telegram.gateway_id for telegram in ordered])),
                [telegram.epoch for telegram in ordered],
                BigintArray(np.array([telegram.batch for telegram in ordered])),
                [telegram.raw for telegram in ordered],
            ),
        )
        return cursor.rowcount


def mark_for_validation(
    connection: Connection[Any], register_ids: npt.NDArray[np.int32], measured_at: Instants
) -> int:
    """Queues the blocks of registers and UTC days that these readings lie in; returns how many there are."""
    if not len(register_ids):
        return 0
    days = measured_at // _MICROSECONDS_PER_DAY
    places = np.unique(np.column_stack((register_ids.astype(np.int64) // BLOCK, days)), axis=0)
    with connection.cursor() as cursor:
        adapt(cursor)
        cursor.execute(
            """
            insert into validation_queue (block, day, marked_at)
            select block, date '1970-01-01' + day, clock_timestamp()
            from unnest(%s, %s) as place (block, day)
            on conflict (block, day) do update set marked_at = excluded.marked_at
            """,
            (IntArray(places[:, 0]), IntArray(places[:, 1])),
        )
    return len(places)


def window(
    connection: Connection[Any], register_ids: npt.NDArray[np.int32], start: datetime, end: datetime
) -> Readings:
    """The readings of some registers from `start` (included) to `end` (not included)."""
    with connection.cursor() as cursor:
        adapt(cursor)
        cursor.execute(
            """
            select coalesce(array_agg(register_id), '{}'), coalesce(array_agg(measured_at), '{}'),
                   coalesce(array_agg(value), '{}'), coalesce(array_agg(status), '{}')
            from (
                select register_id, measured_at, value, status from readings
                where register_id = any(%s) and measured_at >= %s and measured_at < %s
                order by register_id, measured_at
            ) as ordered
            """,
            (IntArray(register_ids), start, end),
        )
        row = cursor.fetchone()
    assert row is not None
    return Readings(*row)


def series(
    connection: Connection[Any], register_id: int, start: datetime, end: datetime
) -> tuple[Instants, npt.NDArray[np.int64], npt.NDArray[np.int16]]:
    """(instants, values, status) of one register from `start` (included) to `end` (not), in order."""
    found = window(connection, np.array([register_id], np.int32), start, end)
    return found.measured_at, found.values, found.status
