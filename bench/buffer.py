"""Bytes written to disk for each reading that the buffer takes, numbers and forgets; its drain rate.

    .venv/bin/python -m bench.buffer [--folder ON_A_REAL_DISK]

A building of 250 meters on 4 lines in virtual time: every 15 minutes each line reads one meter a second, each
readout is synced by itself, batches go out by age and are acknowledged. Counted is what the kernel has to
write for this process (`write_bytes` of /proc/self/io): whole blocks of 4,096 bytes, the write-ahead log and
its copying into the file included, the file system's own journal not. The limit is one block for each synced
readout.

Then a day offline is drained: 24,000 readouts, numbered, handed out and acknowledged 16 batches at a time.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.measurement import Measurement, show
from gateway.buffer.buffer import Buffer
from telemetry.readout import Quantity, Readout

BEGIN = datetime(2026, 11, 22, 10, tzinfo=UTC)
METERS, LINES, SLOT = 250, 4, 900
SLOTS = 8
DAY = METERS * 96
BLOCK = 4_096


class Clock:
    """Virtual time."""

    def __init__(self) -> None:
        self.elapsed = 0.0

    def __call__(self) -> datetime:
        return BEGIN + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        return self.elapsed


def readout(number: int, at: datetime, noise: random.Random) -> Readout:
    """A heat meter's: nine registers and a telegram of 150 bytes, of which much is the same every time."""
    meter = f"KAM-{number:08d}"
    registers = ("6-0:1.0.0", "6-0:2.0.0", "6-0:8.0.0", "6-0:9.0.0", "6-0:10.0.0", "6-0:11.0.0", "6-0:12.0.0")
    units = ("kW.h", "m3", "W", "m3/h", "Cel", "Cel", "K")
    values = {
        obis: Quantity(noise.randrange(10**6) * 1_000, unit)
        for obis, unit in zip(registers, units, strict=True)
    }
    telegram = bytes.fromhex("6893936808057268") + number.to_bytes(4, "big") + bytes(range(60))
    return Readout(meter, at, values, raw=telegram + noise.randbytes(78))


def written() -> int:
    """Bytes that this process has made the kernel write to disks."""
    status = Path("/proc/self/io").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("write_bytes"))


def bytes_per_reading(folder: Path) -> float:
    """In steady state."""
    clock, noise = Clock(), random.Random(1)
    buffer = Buffer(folder / "steady.sqlite", clock, monotonic=clock.monotonic)
    before = written()
    for slot in range(SLOTS):
        clock.elapsed = float(slot * SLOT)
        for first in range(0, METERS, LINES):
            for number in range(first, min(first + LINES, METERS)):
                buffer.append([readout(number, clock(), noise)])
            clock.elapsed += 1.0
            exchange(buffer)
            buffer.note_alive(clock())
        clock.elapsed += 3.0
        exchange(buffer)
        while clock.elapsed < (slot + 1) * SLOT:
            clock.elapsed += 1.0
            buffer.note_alive(clock())
    buffer.close()
    return (written() - before) / (SLOTS * METERS)


def exchange(buffer: Buffer) -> int:
    """What is ready goes out and is acknowledged; returns the readouts."""
    batches = buffer.next_batches(16)
    buffer.acknowledge(buffer.epoch, {batch.batch: None for batch in batches})
    return sum(len(batch.readouts) for batch in batches)


def day_offline(file: Path) -> Buffer:
    """A buffer that holds the readouts of a day."""
    clock, noise = Clock(), random.Random(1)
    buffer = Buffer(file, clock, monotonic=clock.monotonic)
    for first in range(0, DAY, 500):
        clock.elapsed += 300.0
        buffer.append([readout(number % METERS, clock(), noise) for number in range(first, first + 500)])
    return buffer


def drained_per_second(folder: Path) -> float:
    """After a day offline."""
    buffer = day_offline(folder / "offline.sqlite")
    begun = time.perf_counter()
    drained = 0
    while drained < DAY:
        drained += exchange(buffer)
    rate = drained / (time.perf_counter() - begun)
    buffer.close()
    return rate


def measurements(folder: Path) -> Iterator[Measurement]:
    """In the order of the docstring."""
    yield Measurement("bytes written for a reading", bytes_per_reading(folder), "B", BLOCK)
    rate = drained_per_second(folder)
    yield Measurement("readouts drained after a day offline", rate, "1/s", METERS / SLOT)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--folder", type=Path, default=Path(), help="on the disk that is measured")
    with tempfile.TemporaryDirectory(dir=arguments.parse_args().folder) as place:
        show(measurements(Path(place)))
