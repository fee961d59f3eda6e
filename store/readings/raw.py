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

from store.postgres.arrays import (
    BigintArray,
    ByteaArray,
    Instants,
    IntArray,
    SmallintArray,
    TimestamptzArray,
    adapt,
)
from telemetry.blocks import BLOCK

_MICROSECONDS_PER_DAY = 86_400_000_000


@dataclass(frozen=True, slots=True)
class WriteResult:
    """Result of writing a batch. `stored + known + len(conflicts)` is its length.

    `known` were there with the same value. `conflicts` (int64) are the positions in the batch of readings for
    which another value is there: a meter cannot have had two values at once, so these are not stored. `new`
    (bool, as long as the batch) says which were stored.
    """

    stored: int
    known: int
    conflicts: npt.NDArray[np.int64]
    new: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Telegrams:
    """Telegrams of meters, as received: columns of one length, in any order.

    `measured_at` in microseconds since 1970; `lives` are positions in `epochs`.
    """

    meter_ids: npt.NDArray[np.int32]
    measured_at: Instants
    gateway_ids: npt.NDArray[np.int32]
    epochs: Sequence[str]
    lives: npt.NDArray[np.int32]
    batches: npt.NDArray[np.int64]
    raws: Sequence[bytes]


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
    stored, ours, there = _insert(connection, keys, sent[first], status[order][first])
    if stored == len(order):
        return WriteResult(stored, 0, np.empty(0, np.int64), np.ones(stored, np.bool_))
    differs = sent != there[np.cumsum(first) - 1]
    conflicts = np.sort(order[differs]).astype(np.int64)
    new = np.zeros(len(order), np.bool_)
    new[order[first]] = ours
    return WriteResult(stored, len(order) - stored - len(conflicts), conflicts, new)


def _insert(
    connection: Connection[Any],
    keys: tuple[IntArray, TimestamptzArray],
    values: npt.NDArray[np.int64],
    status: npt.NDArray[np.int16],
) -> tuple[int, npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """(how many were stored, which of the keys, what is stored for each key now).

    One round trip, unless another writer stores one of the same keys while we do.
    """
    ours, there = np.ones(len(values), np.bool_), values.copy()
    instants = keys[1].array
    bounds = [TimestamptzArray(np.array([bound])) for bound in (instants.min(), instants.max())]
    with connection.cursor() as cursor:
        adapt(cursor)
        cursor.execute(_INSERT, (*keys, BigintArray(values), SmallintArray(status), *bounds))
        row = cursor.fetchone()
        assert row is not None
        stored, places, found, inserted = row
        if places is not None:
            ours[places - 1], there[places - 1] = False, found
        if inserted is not None:  # some were neither stored nor there when the statement began
            ours = np.isin(np.arange(1, len(values) + 1), inserted)
            cursor.execute(_STORED, (*keys, *bounds))
            row = cursor.fetchone()
            assert row is not None
            there = row[0]
    return stored, ours, there


# `there` sees the table as it was before the statement: what others had stored. Its parts are only worked out
# where they are asked for, so new readings cost nothing but their insert. The bounds let TimescaleDB leave
# out the chunks that cannot hold any of the keys.
_INSERT = """
    with sent as materialized (
        select * from unnest(%s, %s, %s, %s) with ordinality as s (register_id, measured_at, value, status, n)
    ), inserted as (
        insert into readings (register_id, measured_at, value, status)
        select register_id, measured_at, value, status from sent
        on conflict (register_id, measured_at) do nothing
        returning register_id, measured_at
    ), counted as materialized (
        select (select count(*)::int from sent) as sent, (select count(*)::int from inserted) as stored
    ), there as materialized (
        select array_agg(s.n::int) as places, array_agg(r.value) as found, count(*) as known
        from sent s join readings r on r.register_id = s.register_id and r.measured_at = s.measured_at
        where r.measured_at between (%s)[1] and (%s)[1]
    )
    select stored,
           case when stored < sent then (select places from there) end,
           case when stored < sent then (select found from there) end,
           case when stored < sent and stored + (select known from there) < sent then (
               select coalesce(array_agg(s.n::int), '{}')
               from sent s join inserted using (register_id, measured_at)) end
    from counted
"""

_STORED = """
    select array_agg(r.value order by k.n)
    from unnest(%s, %s) with ordinality as k (register_id, measured_at, n)
    join readings r on r.register_id = k.register_id and r.measured_at = k.measured_at
    where r.measured_at between (%s)[1] and (%s)[1]
"""


def insert_telegrams(connection: Connection[Any], telegrams: Telegrams) -> int:
    """Keeps the raw bytes; of a meter and instant that are there already the first stay. Returns how many
    are new."""
    if not len(telegrams.raws):
        return 0
    order = np.lexsort((telegrams.measured_at, telegrams.meter_ids))
    with connection.cursor() as cursor:
        adapt(cursor)
        cursor.execute(
            """
            insert into telegrams (meter_id, measured_at, gateway_id, epoch, batch, raw)
            select meter_id, measured_at, gateway_id, (%s::text[])[life + 1], batch, raw
            from unnest(%s, %s, %s, %s, %s, %s) as t (meter_id, measured_at, gateway_id, life, batch, raw)
            on conflict (meter_id, measured_at) do nothing
            """,
            (
                list(telegrams.epochs),
                IntArray(telegrams.meter_ids[order]),
                TimestamptzArray(telegrams.measured_at[order]),
                IntArray(telegrams.gateway_ids[order]),
                IntArray(telegrams.lives[order]),
                BigintArray(telegrams.batches[order]),
                ByteaArray([telegrams.raws[place] for place in order.tolist()]),
            ),
        )
        return cursor.rowcount


def mark_for_validation(
    connection: Connection[Any], register_ids: npt.NDArray[np.int32], measured_at: Instants
) -> int:
    """Queues the blocks of registers and UTC days that these readings lie in, to be validated and counted.

    Returns how many there are.
    """
    if not len(register_ids):
        return 0
    days = measured_at // _MICROSECONDS_PER_DAY
    places = np.unique(np.column_stack((register_ids.astype(np.int64) // BLOCK, days)), axis=0)
    with connection.cursor() as cursor:
        adapt(cursor)
        cursor.execute(
            """
            with place as materialized (
                select block, date '1970-01-01' + day as day from unnest(%s, %s) as place (block, day)
            ), counted as (
                insert into arrival_queue (block, day) select block, day from place
            )
            insert into validation_queue (block, day, marked_at)
            select block, day, clock_timestamp() from place
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
