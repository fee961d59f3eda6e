"""How many readings a second the store takes, beside binary COPY on a table of the same shape.

    python -m bench.insert_readings [batches]

The embedded PostgreSQL with fsync, 20,000 rows a batch in the order of the wire (by instant, each with all
registers), each sorted, marked for validation, committed. COPY into an equal table, sorted and committed, is
the limit: it cannot repeat itself, and checks nothing.
"""

import sys
import time
from collections.abc import Callable

import numpy as np
import psycopg

from bench.fresh_store import fresh_store
from store.postgres.database import connect
from store.readings.raw import insert, mark_for_validation

REGISTERS = 2_000
BATCH = 20_000
INSTANTS = BATCH // REGISTERS
QUARTER_HOUR = 900_000_000
START = 1_790_000_000_000_000
POSTGRES_EPOCH = 946_684_800_000_000  # 2000-01-01 in microseconds since 1970

# a row of binary COPY: number of fields, then each field's length and value, big-endian
ROW = np.dtype(
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
    ]
)
Columns = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def batch(number: int) -> Columns:
    """Ten quarter hours of 2,000 registers, by instant."""
    ids = np.tile(np.arange(1, REGISTERS + 1, dtype=np.int32), INSTANTS)
    steps = np.repeat(np.arange(INSTANTS) + number * INSTANTS, REGISTERS)
    return ids, START + steps * QUARTER_HOUR, steps * 1_000, np.zeros(BATCH, np.int16)


def copy_rows(connection: psycopg.Connection, columns: Columns, table: str = "copied") -> None:
    """Rows into a table, sorted, by binary COPY: the limit."""
    ids, instants, values, status = columns
    order = np.lexsort((instants, ids))
    rows = np.zeros(len(ids), ROW)
    rows["fields"], rows["id_size"], rows["at_size"], rows["value_size"], rows["status_size"] = 4, 4, 8, 8, 2
    rows["id"], rows["at"] = ids[order], instants[order] - POSTGRES_EPOCH
    rows["value"], rows["status"] = values[order], status[order]
    statement = f"copy {table} (register_id, measured_at, value, status) from stdin (format binary)"
    with connection.cursor().copy(statement) as stream:
        stream.write(b"PGCOPY\n\xff\r\n\0" + bytes(8) + rows.tobytes() + b"\xff\xff")


def store(connection: psycopg.Connection, columns: Columns) -> None:
    """As the ingester does it."""
    insert(connection, *columns)
    mark_for_validation(connection, columns[0], columns[1])


def rate(
    connection: psycopg.Connection, batches: int, write: Callable[[psycopg.Connection, Columns], None]
) -> float:
    """Rows a second, committed batch by batch."""
    begun = time.perf_counter()
    for number in range(batches):
        write(connection, batch(number))
        connection.commit()
    return batches * BATCH / (time.perf_counter() - begun)


def main() -> None:
    batches = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    with fresh_store() as server, connect(server.url) as connection:
        connection.execute("create table copied (like readings including all)")
        limit = rate(connection, batches, copy_rows)
        print(f"limit: binary COPY {limit:11,.0f} rows/s")
        for name in ("new", "again"):
            reached = rate(connection, batches, store)
            print(f"insert, {name:10} {reached:11,.0f} rows/s   ratio {reached / limit:.2f}")


if __name__ == "__main__":
    main()
