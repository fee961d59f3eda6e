"""What a reading weighs on disk, before and after its chunk becomes columns.

    python -m bench.compression [registers] [days]

On the TimescaleDB of the tests (WebAssembly; needs node), by the schema as it is: segments by register,
ordered by time. Four kinds of register in equal parts, every 15 minutes: water of a flat (mostly still, in
litres), heat of a flat (kWh), electricity of a building (Wh, never still), and its voltage (a gauge). Twice:
read on the dot, and some seconds late as a bus with many meters is. Both arrive a second or two later, in
batches. The limit is the size of the same chunks with their key before.
"""

import sys
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import psycopg

from bench.measurement import Measurement, show
from store.postgres.arrays import BigintArray, TimestamptzArray, adapt
from store.postgres.database import connect
from store.postgres.migrate import migrate
from tests.support.timescale import Timescale

QUARTER_HOUR = 900_000_000
START = 1_790_000_000_000_000  # 2026-09-21
BY_HOUR = np.array([2, 1, 1, 1, 2, 6, 14, 18, 12, 8, 7, 8, 10, 8, 7, 8, 10, 14, 18, 17, 14, 10, 6, 4]) / 9


@dataclass(frozen=True, slots=True)
class Kind:
    """`mean`: what it counts in a quarter hour, in steps of its resolution (micro-units). 0: a gauge."""

    name: str
    mean: float
    resolution: int


KINDS = (
    Kind("water of a flat", 2.0, 1_000),
    Kind("heat of a flat", 0.4, 1_000_000),
    Kind("electricity of a building", 900.0, 1_000),
    Kind("voltage", 0.0, 100_000),
)


def values(kind: Kind, count: int, chance: np.random.Generator) -> npt.NDArray[np.int64]:
    """A series as such a register shows it, in micro-units."""
    if not kind.mean:
        return np.rint(2_300 + chance.normal(0, 15, count)).astype(np.int64) * kind.resolution
    shape = BY_HOUR[np.arange(count) // 4 % 24]
    used = chance.poisson(kind.mean * shape * chance.gamma(0.5, 2.0, count))
    return (np.cumsum(used) + chance.integers(0, 1_000_000)) * kind.resolution


def fill(connection: psycopg.Connection, registers: int, days: int, late: int) -> None:
    """Readings up to `late` seconds after the quarter hour; register n is of kind n modulo 4."""
    chance = np.random.default_rng(7)
    count = days * 96
    due = START + np.arange(count) * QUARTER_HOUR
    received = due + (late + 1) * 1_000_000 + chance.integers(0, 1_000_000, count)
    for register in range(1, registers + 1):
        instants = due + chance.integers(0, late + 1, count) * 1_000_000
        series = values(KINDS[register % len(KINDS)], count, chance)
        with connection.cursor() as cursor:
            adapt(cursor).execute(
                "insert into readings (register_id, measured_at, value, received_at) "
                "select %s, * from unnest(%s, %s, %s)",
                (register, TimestamptzArray(instants), BigintArray(series), TimestamptzArray(received)),
            )
    connection.commit()


def weigh(connection: psycopg.Connection, readings: int) -> tuple[float, float]:
    """Bytes a reading (before, after) all chunks became columns."""
    connection.execute("select compress_chunk(chunk) from show_chunks('readings') chunk")
    row = connection.execute(
        """
        select sum(before_compression_total_bytes), sum(after_compression_total_bytes)
        from chunk_columnstore_stats('readings')
        """
    ).fetchone()
    connection.execute("select drop_chunks('readings', now() + interval '100 years')")
    connection.commit()
    assert row is not None
    return float(row[0]) / readings, float(row[1]) / readings


def main() -> None:
    registers = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    days = int(sys.argv[2]) if len(sys.argv) > 2 else 28
    with Timescale() as server, connect(server.url) as connection:
        migrate(connection)
        for name, late in (("read on the dot", 0), ("read up to 30 s late", 30)):
            fill(connection, registers, days, late)
            before, after = weigh(connection, registers * days * 96)
            show(
                [
                    Measurement(
                        f"a reading, {registers} registers, {days} days, {name}", after, "bytes", before
                    )
                ]
            )


if __name__ == "__main__":
    main()
