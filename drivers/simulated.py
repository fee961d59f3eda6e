"""A line on a virtual clock: every byte is charged its exact wire time, and nothing sleeps.

So the time of a session and the utilisation of a bus are computed to the bit, in microseconds of real time.
"""

from collections import deque
from dataclasses import dataclass

from drivers.bus import garbled
from drivers.line import Line, PushingMeter, SerialSettings, Transmission, VirtualMeter


@dataclass(slots=True)
class _Burst:
    """Bytes on their way to the master; `start` is when the first bit leaves the meter (line seconds).

    `settled` bytes have arrived while the line still had the speed before; what they became is decided.
    """

    data: bytes
    start: float
    settings: SerialSettings
    taken: int = 0
    settled: int = 0

    @property
    def end(self) -> float:
        return self.arrival(len(self.data) - 1)

    def arrival(self, index: int) -> float:
        return self.start + (index + 1) * self.settings.character_time

    def arrived(self, until: float) -> int:
        count = self.taken
        while count < len(self.data) and self.arrival(count) <= until:
            count += 1
        return count

    def settle(self, until: float, settings: SerialSettings) -> None:
        """Decide what the bytes that have arrived by then became on a line with these settings."""
        count = max(self.arrived(until), self.settled)
        if settings != self.settings:
            fresh = garbled(self.data[self.settled : count])
            self.data = self.data[: self.settled] + fresh + self.data[count:]
        self.settled = count

    def take(self, until: float, settings: SerialSettings) -> bytes:
        """The bytes that have arrived by then and were not taken before."""
        self.settle(until, settings)
        first, self.taken = self.taken, self.arrived(until)
        return self.data[first : self.taken]


class SimulatedLine(Line):
    """Line with a virtual meter (or a `VirtualBus` of them) at the other end. `now()` starts at 0 s."""

    def __init__(self, meter: VirtualMeter, settings: SerialSettings) -> None:
        self.name = "simulated"
        self.settings = settings
        self.meter = meter
        self._now = 0.0
        self._bursts: deque[_Burst] = deque()
        self._pushed = 0  # telegrams that a meter which speaks by itself has begun

    def now(self) -> float:
        return self._now

    def wait(self, seconds: float) -> None:
        self._now += max(seconds, 0.0)

    def send(self, data: bytes) -> None:
        """Charge the wire time of `data`, then let the meter hear it."""
        self._now += len(data) * self.settings.character_time
        self._let_push(self._now)
        for transmission in self.meter.hear(data, self.settings):
            self._put(transmission, self._now)

    def receive(self, timeout: float) -> bytes:
        """The bytes that have arrived, with the rest of a telegram in transit that comes within `timeout`."""
        deadline = self._now + max(timeout, 0.0)
        self._let_push(deadline)
        while self._bursts:
            burst = self._bursts[0]
            if burst.arrival(burst.taken) > deadline:
                break
            self._now = max(self._now, min(burst.end, deadline))
            data = burst.take(self._now, self.settings)
            if burst.taken == len(burst.data):
                self._bursts.popleft()
            if data:
                return data
        self._now = deadline
        return b""

    def discard(self) -> None:
        """Forget what has arrived by now; what is still on its way will arrive."""
        self._let_push(self._now)
        while self._bursts:
            burst = self._bursts[0]
            burst.take(self._now, self.settings)
            if burst.taken < len(burst.data):
                return
            self._bursts.popleft()

    def configure(self, settings: SerialSettings) -> None:
        """Change speed and frame; what has arrived until now came at the old ones."""
        self._let_push(self._now)
        for burst in self._bursts:
            burst.settle(self._now, self.settings)
        self.settings = settings

    def close(self) -> None:
        self._let_push(self._now)
        self._bursts.clear()

    def _put(self, transmission: Transmission, heard: float) -> None:
        """On the wire `delay` after `heard` (an echo: before), or once the wire is free."""
        free = self._bursts[-1].end if self._bursts else 0.0
        burst = _Burst(
            transmission.data, max(heard + transmission.delay, free), transmission.settings or self.settings
        )
        if burst.data:
            self._bursts.append(burst)

    def _let_push(self, until: float) -> None:
        """Put on the wire what a meter that speaks by itself has begun to say by then."""
        if not isinstance(self.meter, PushingMeter):
            return
        while (begun := (self._pushed + 1) * self.meter.period) <= until:
            self._pushed += 1
            self._put(self.meter.push(self.settings), begun)
