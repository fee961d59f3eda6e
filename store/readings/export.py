"""Readings of a range, streamed: never more than a block of them in memory, however long the range is.

`COPY ... to stdout` sends them as the server reads, in the order of the key; blocks of columns are cut from
its binary form, whose rows all have one length here because no column is null.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import numpy as np
from psycopg import Connection, sql

from metering.delivery.outgoing import ReadingColumns, RegisterLabel

BLOCK_BYTES = 4_000_000
_SIGNATURE = b"PGCOPY\n\xff\r\n\0"
_YEAR_2000 = 946_684_800_000_000
_ROW = np.dtype(
    [
        ("fields", ">i2"),
        ("id_size", ">i4"),
        ("id", ">i4"),
        ("at_size", ">i4"),
        ("at", ">i8"),
        ("value_size", ">i4"),
        ("value", ">i8"),
        ("status_size", ">i4"),
        ("status", ">i2"),
        ("received_size", ">i4"),
        ("received", ">i8"),
    ]
)


@dataclass(frozen=True, slots=True)
class Range:
    """Readings of a utility from `start` (included) to `end` (not), of all its meters or of those meant.

    `table` is where they are read: a session of the API (store/postgres/roles.py) has the view of its
    utility."""

    utility: str
    start: datetime
    end: datetime
    meters: Sequence[str] | None = None
    site: str | None = None
    medium: int | None = None
    table: Literal["readings", "utility_readings"] = "readings"


def registers(connection: Connection[Any], wanted: Range) -> dict[int, RegisterLabel]:
    """The registers of a range's meters by number."""
    rows = connection.execute(
        sql.SQL(
            """
            select g.id, m.code, g.obis, g.unit
            from registers g join meters m on m.id = g.meter_id join utilities u on u.id = m.utility_id
            where {meant}
            """
        ).format(meant=_meant(wanted))
    )
    return {number: RegisterLabel(*names) for number, *names in rows}


def blocks(connection: Connection[Any], wanted: Range) -> Iterator[ReadingColumns]:
    """The readings in blocks of about 80,000."""
    query = sql.SQL(
        """
        copy (select r.register_id, r.measured_at, r.value, r.status, r.received_at {source})
        to stdout (format binary)
        """
    ).format(source=_source(wanted))
    waiting = bytearray()
    header = len(_SIGNATURE) + 8
    with connection.cursor().copy(query) as stream:
        for piece in stream:
            waiting += piece
            if header and len(waiting) >= header:
                del waiting[:header]
                header = 0
            if len(waiting) >= BLOCK_BYTES:
                whole = len(waiting) // _ROW.itemsize * _ROW.itemsize
                yield _block(bytes(waiting[:whole]))
                del waiting[:whole]
    rest = len(waiting) - 2  # the trailer: -1 instead of a number of fields
    if rest:
        yield _block(bytes(waiting[:rest]))


def _block(rows: bytes) -> ReadingColumns:
    columns = np.frombuffer(rows, _ROW)
    return ReadingColumns(
        columns["id"].astype(np.int32),
        columns["at"].astype(np.int64) + _YEAR_2000,
        columns["value"].astype(np.int64),
        columns["status"].astype(np.int16),
        columns["received"].astype(np.int64) + _YEAR_2000,
    )


def _source(wanted: Range) -> sql.Composed:
    """The rows of a range; COPY takes no parameters, so they are quoted into its text."""
    return sql.SQL(
        """
        from {table} r
        join registers g on g.id = r.register_id
        join meters m on m.id = g.meter_id
        join utilities u on u.id = m.utility_id
        where r.measured_at >= {start} and r.measured_at < {end} and {meant}
        order by r.register_id, r.measured_at
        """
    ).format(
        table=sql.Identifier(wanted.table),
        start=sql.Literal(wanted.start),
        end=sql.Literal(wanted.end),
        meant=_meant(wanted),
    )


def _meant(wanted: Range) -> sql.Composed:
    """The condition on meters `m` of utilities `u`."""
    conditions = [sql.SQL("u.code = {}").format(sql.Literal(wanted.utility))]
    if wanted.meters is not None:
        conditions.append(sql.SQL("m.code = any({})").format(sql.Literal(list(wanted.meters))))
    if wanted.medium is not None:
        conditions.append(sql.SQL("m.medium = {}").format(sql.Literal(wanted.medium)))
    if wanted.site is not None:
        conditions.append(
            sql.SQL("m.site_id in (select id from sites where utility_id = u.id and code = {})").format(
                sql.Literal(wanted.site)
            )
        )
    return sql.SQL(" and ").join(conditions)
