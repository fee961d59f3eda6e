"""Readings a second for a full validation and anomaly pass, reading from the database and writing to it.

    python -m bench.validate [--meters 512] [--days 365] [--validators 2]

The embedded PostgreSQL holds hourly readings of cold water meters, with the faults that life brings: every
eighth meter has a glitch, every sixteenth a reset, every fifth leaks for some weeks, a few stand still. A
full pass is what `hesper validate run` does when it begins: blocks are claimed, whole series read,
all rules and detectors applied, marks and findings written, committed. The limit is Oracle's published
figure for Utilities Meter Data Management on a full Exadata rack (2011), 278,000 readings a second.

Beside it, in the same run: the reading alone, the rules alone (from memory), and a pass after late readings
that nothing settled survives. New readings are judged from the last Monday up to which all is settled
(`anomaly/checkpoint.py`): two figures say how many of *new* readings pass, a fortnight day by day and two
months thirty days at a time. Neither depends on `--days`."""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from multiprocessing import get_context

import numpy as np
import psycopg

from bench.fresh_store import fresh_store
from bench.insert_readings import Columns, copy_rows
from bench.measurement import Measurement, show
from ingest.validation import Validator, drain
from ingest.validation.judging import judge_registers
from ingest.validation.parameters import Parameters
from ingest.validation.series_cache import SeriesMemory, whole_series
from store.postgres.database import connect
from store.readings.raw import insert, mark_for_validation
from store.validation.judgement import registers_of
from telemetry.blocks import BLOCK
from telemetry.status import Status

ORACLE = 278_000
BATCHES = (*(1,) * 14, 30, 30)  # days that arrive at a time, in this order
HOUR = 3_600_000_000
START = 1_742_720_400_000_000
_DAY = np.array([1, 0, 0, 0, 0, 3, 12, 14, 9, 5, 4, 4, 6, 5, 4, 4, 5, 8, 11, 12, 9, 7, 5, 3], float)


def values(random: np.random.Generator, meter: int, hours: int) -> np.ndarray:
    """What a household's meter showed: int64, shape (hours,), micro-m3 in whole litres."""
    litres = 120.0 * random.lognormal(0.0, 0.4)
    draws = random.poisson(np.resize(_DAY / _DAY.sum(), hours) * litres / 12.0) * 12
    if meter % 5 == 0:
        first = int(random.integers(0, hours))
        draws[first : first + 24 * 30] += 5
    if meter % 64 == 1:
        draws[hours // 2 :] = 0
    shown = 100_000 + np.cumsum(draws)
    if meter % 16 == 3:
        shown[hours * 2 // 3 :] -= shown[hours * 2 // 3]
    if meter % 8 == 2:
        shown[int(random.integers(24, hours - 24))] = 0
    return np.asarray(shown * 1_000, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Households:
    """`shown`: what each meter shows in each hour, int64, shape (meters, hours). Of these the first `stored`
    hours are stored, the others still to come."""

    shown: np.ndarray
    stored: int

    @classmethod
    def of(cls, meters: int, days: int, to_come: int) -> "Households":
        random = np.random.default_rng(11)
        hours = (days + to_come) * 24
        return cls(np.stack([values(random, meter, hours) for meter in range(1, meters + 1)]), days * 24)

    def columns(self, meters: range, hours: slice) -> Columns:
        """Readings of some meters, as rows of the store."""
        part = self.shown[meters.start - 1 : meters.stop - 1, hours]
        ids = np.repeat(np.array(meters, np.int32), part.shape[1])
        times = np.tile(START + np.arange(hours.start, hours.stop) * HOUR, len(meters))
        # as an import brings them, or most came too late
        return ids, times, part.ravel(), np.full(len(ids), Status.IMPORTED, np.int16)


def fill(connection: psycopg.Connection, homes: Households) -> int:
    """The utility with its readings; how many."""
    meters = len(homes.shown)
    connection.execute(
        "insert into utilities (code, name, time_zone) values ('bench', 'Bench', 'Europe/Berlin')"
    )
    connection.execute("set session_replication_role = replica")
    connection.execute(
        """
        insert into meters (utility_id, code, medium, qmax)
        select 1, 'KAM-' || lpad(n::text, 8, '0'), 8, 2500000 from generate_series(1, %s) n
        """,
        (meters,),
    )
    connection.execute(
        """
        insert into registers (utility_id, meter_id, obis, unit, kind, billed, expected_interval)
        select 1, id, '8-0:1.0.0', 'm3', 'counter', true, '1 hour' from meters order by id
        """
    )
    for first in range(1, meters + 1, BLOCK):
        part = range(first, min(first + BLOCK, meters + 1))
        copy_rows(connection, homes.columns(part, slice(0, homes.stored)), "readings")
    connection.execute("set session_replication_role = default")
    connection.commit()
    connection.autocommit = True
    connection.execute("vacuum analyze readings")
    return meters * homes.stored


def arrive(connection: psycopg.Connection, homes: Households, days: int) -> tuple[Households, int]:
    """Readings of some more days for all meters; what is stored then, and how many these were."""
    hours = slice(homes.stored, homes.stored + days * 24)
    columns = homes.columns(range(1, len(homes.shown) + 1), hours)
    with connection.transaction():
        insert(connection, *columns)
        mark_for_validation(connection, *columns[:2])
    return replace(homes, stored=hours.stop), len(columns[0])


def touch(connection: psycopg.Connection, meters: int) -> None:
    """Note all registers as touched on the last day."""
    ids = np.arange(1, meters + 1, dtype=np.int32)
    mark_for_validation(connection, ids, np.full(meters, START, np.int64))


def validator(url: str) -> int:
    """One process: judge until nothing waits; how many blocks it judged."""
    with connect(url) as connection:
        return drain(connection)


def timed(action: Callable[[], object]) -> float:
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def measure(url: str, meters: int, days: int, validators: int) -> Iterator[Measurement]:
    with connect(url) as connection:
        homes = Households.of(meters, days, sum(BATCHES))
        readings = fill(connection, homes)

        def told(name: str, seconds: float, wanted: str = "") -> Measurement:
            return Measurement(name, readings / seconds, "readings/s", ORACLE, wanted)

        touch(connection, meters)
        worker = Validator(connection, SeriesMemory())

        def judge_all() -> None:
            while worker.step() is not None:
                pass

        yield told("full pass, one validator", timed(judge_all), ">= 1")
        said = connection.execute(
            "select (select count(*) from marks), (select count(*) from findings)"
        ).fetchone()
        print(f"{readings:,} readings of {meters} meters; {said} marks and findings written", file=sys.stderr)
        with connect(url) as reader:
            series = {}

            def read() -> None:
                for block in range(meters // BLOCK + 1):
                    rows = registers_of(reader, [block])
                    series[block] = rows, whole_series(reader, [row.id for row in rows])

            yield told("reading alone", timed(read))

        def rules() -> None:
            for rows, stored in series.values():
                judge_registers(rows, stored, [], Parameters())

        yield told("rules and detectors alone", timed(rules))
        touch(connection, meters)
        yield told("a late reading of the first day, all judged anew", timed(judge_all))
        seconds: dict[int, list[tuple[int, float]]] = {}
        for more in BATCHES:
            homes, new = arrive(connection, homes, more)
            seconds.setdefault(more, []).append((new, timed(judge_all)))
        for more, took in seconds.items():
            name = f"new readings, {more} days at a time, after {days} days"
            new, spent = (sum(each) for each in zip(*took, strict=True))
            yield Measurement(name, new / spent, "readings/s", ORACLE)
        if validators > 1:
            readings = meters * homes.stored
            connection.execute("delete from marks; delete from findings")
            connection.execute("update registers set validated_until = null")
            with get_context("spawn").Pool(validators) as pool:
                pool.map(validator, [url] * validators)  # nothing waits: the processes are there and warm
                touch(connection, meters)
                together = timed(lambda: pool.map(validator, [url] * validators, chunksize=1))
            yield told(f"full pass, {validators} validators", together, ">= 1")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--meters", type=int, default=512)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--validators", type=int, default=2)
    given = parser.parse_args()
    with fresh_store() as server:
        show(measure(server.url, given.meters, given.days, given.validators))


if __name__ == "__main__":
    main()
