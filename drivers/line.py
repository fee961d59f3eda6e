"""The wire under every driver: one serial port or TCP socket, owned by one thread.

A `Line` owns pacing and the clock. `SerialLine` and `TcpLine` live in real time; `SimulatedLine` charges
every byte its wire time on a virtual clock, so a bus's utilisation is computed exactly and fast.
"""

import re
import termios
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, runtime_checkable

from drivers.errors import LineError

Parity = Literal["N", "E", "O"]
_SETTINGS = re.compile(r"(?P<baud>\d{2,7})[ ,/-]?(?P<bits>[78])(?P<parity>[NEO])(?P<stop>[12])")


@dataclass(frozen=True, slots=True)
class SerialSettings:
    """Speed and character frame. `str()` and `parse` use the installers' form: '2400 8E1'."""

    baud: int = 9600
    bits: Literal[7, 8] = 8
    parity: Parity = "N"
    stop: Literal[1, 2] = 1

    @property
    def bit_times(self) -> int:
        """Bit times of one character: start, data, parity, stop (8E1 = 11, 8N1 = 10, 7E1 = 10)."""
        return 1 + self.bits + (self.parity != "N") + self.stop

    @property
    def character_time(self) -> float:
        """Seconds that one character takes on the wire."""
        return self.bit_times / self.baud

    def __str__(self) -> str:
        return f"{self.baud} {self.bits}{self.parity}{self.stop}"

    @classmethod
    def parse(cls, text: str) -> "SerialSettings":
        """Raises ValueError for what is not like '2400 8E1'."""
        match = _SETTINGS.fullmatch(text.strip().upper())
        if not match:
            raise ValueError(f"{text!r} is not a serial setting such as '2400 8E1' or '9600 8N1'")
        baud, bits, parity, stop = match.groups()
        return cls(int(baud), int(bits), parity, int(stop))  # type: ignore[arg-type]


class Line(ABC):
    """Line: bytes out, bytes in, and time. Not thread-safe: it belongs to one thread."""

    name: str
    settings: SerialSettings
    can_switch: ClassVar[bool] = True  # whether `configure` reaches the wire, or only changes the pacing

    @abstractmethod
    def now(self) -> float:
        """Monotonic seconds on this line's clock."""

    @abstractmethod
    def wait(self, seconds: float) -> None:
        """Keep the wire idle for that long."""

    @abstractmethod
    def send(self, data: bytes) -> None:
        """Put bytes on the wire; returns when the last bit has left. Raises LineError."""

    @abstractmethod
    def receive(self, timeout: float) -> bytes:
        """The bytes that have arrived, as soon as there are some; b"" after `timeout` seconds of silence.

        May return a telegram in pieces. Raises LineError.
        """

    @abstractmethod
    def discard(self) -> None:
        """Forget what has arrived and was not received."""

    @abstractmethod
    def configure(self, settings: SerialSettings) -> None:
        """Change speed and frame; on a transport without them only the pacing changes. Raises LineError."""

    @abstractmethod
    def close(self) -> None:
        """Give the port back. Safe to call twice; the next `send` opens it again."""


class RealTimeLine(Line):
    """A line on the system's own clock. `remedies` are what to try, by error number."""

    remedies: ClassVar[Mapping[int, str]]

    def now(self) -> float:
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        if seconds > 0:
            time.sleep(seconds)

    @contextmanager
    def guarded(self, doing: str) -> Iterator[None]:
        """Give the port back where the system refuses what is being done. Raises LineError with a remedy."""
        try:
            yield
        except (OSError, ValueError, termios.error) as error:
            self.close()
            advice = self.remedies.get(error.args[0], "") if error.args else ""
            raise LineError(f"{self.name}: could not {doing}: {error}", advice=advice) from error


@dataclass(frozen=True, slots=True)
class Transmission:
    """Bytes that a virtual meter puts on the wire, `delay` seconds after it heard the last bit."""

    data: bytes
    delay: float = 0.0
    settings: SerialSettings | None = None  # the speed it is sent at, where that is not the line's


class VirtualMeter(Protocol):
    """The other end of the wire, in every protocol: for tests, the simulated line and the demo."""

    def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
        """Take bytes sent at these settings (they may come in pieces) and say what goes back, if anything."""
        ...


@runtime_checkable
class PushingMeter(VirtualMeter, Protocol):
    """A meter that speaks without being asked (SML, IEC 62056-21 mode D), every `period` seconds."""

    period: float

    def push(self, settings: SerialSettings) -> Transmission:
        """The next telegram, on a line with these settings; its `delay` is 0."""
        ...
