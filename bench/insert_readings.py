"""How many readings a second the embedded PostgreSQL takes: batches of 20,000, committed one by one, durable.

    python bench/insert_readings.py [batches]

Prints rows per second for new readings and for the same readings again, in the order of the wire (by instant,
each with all registers, which `insert` sorts) and marked for validation.
"""

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import psycopg

from store.database import connect
from store.embedded import EmbeddedPostgres
from store.migrate import migrate
from store.readings import insert, mark_for_validation

REGISTERS = 2_000
BATCH = 20_000
INSTANTS = BATCH // REGISTERS
QUARTER_HOUR = 900_000_000
START = 1_790_000_000_000_000


def batch(number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Ten quarter hours of 2,000 registers, by instant."""
    ids = np.tile(np.arange(1, REGISTERS + 1, dtype=np.int32), INSTANTS)
    steps = np.repeat(np.arange(INSTANTS) + number * INSTANTS, REGISTERS)
    return ids, START + steps * QUARTER_HOUR, steps * 1_000, np.zeros(BATCH, np.int16)


def run(connection: psycopg.Connection, batches: int) -> tuple[int, float]:
    """(rows stored, rows a second)."""
    stored = 0
    begun = time.perf_counter()
    for number in range(batches):
        ids, instants, values, status = batch(number)
        stored += insert(connection, ids, instants, values, status).stored
        mark_for_validation(connection, ids, instants)
        connection.commit()
    return stored, batches * BATCH / (time.perf_counter() - begun)


def main() -> None:
    batches = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    with (
        TemporaryDirectory(prefix="hesper-bench-") as folder,
        EmbeddedPostgres(Path(folder) / "postgres") as server,
        connect(server.url) as connection,
    ):
        migrate(connection)
        for name in ("new", "again"):
            stored, rate = run(connection, batches)
            print(f"{name:6} {stored:9,} stored {rate:9,.0f} rows/s")


if __name__ == "__main__":
    main()
