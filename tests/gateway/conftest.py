"""What several gateway tests need: readouts by number, and a clock that stands still until it is moved."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import pytest

from gateway.buffer.buffer import Buffer
from telemetry.readout import Quantity, Readout

BEGIN = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


class HandClock:
    """The present, moved by hand; also counts as a monotonic clock."""

    def __init__(self, now: datetime = BEGIN) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        return (self.now - BEGIN).total_seconds()

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def readout() -> Callable[..., Readout]:
    """`readout(7)` is the seventh readout of a water meter: 7 minutes after BEGIN, 7 m3."""

    def build(number: int, raw: bytes = b"\x68") -> Readout:
        return Readout(
            meter="KAM-06855817",
            at=BEGIN + timedelta(minutes=number),
            values={"8-0:1.0.0": Quantity(number * 1_000_000, "m3")},
            raw=raw,
        )

    return build


class OpenBuffer(Protocol):
    """Opens a buffer on the test's clock, which closes with the test; keywords as of `Buffer`."""

    def __call__(self, path: Path, **options: Any) -> Buffer: ...


@pytest.fixture
def open_buffer(clock: HandClock) -> Iterator[OpenBuffer]:
    opened: list[Buffer] = []

    def build(path: Path, **options: Any) -> Buffer:
        opened.append(Buffer(path, clock, monotonic=clock.monotonic, **options))
        return opened[-1]

    yield build
    for buffer in opened:
        buffer.close()
