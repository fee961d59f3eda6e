"""The state of a line: whether it can be used, whether it keeps up, and how busy it is."""

import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager

from drivers.driver import Tally
from drivers.errors import LineError
from drivers.line import Line
from gateway.backoff import Backoff
from gateway.log_once import LogOnce
from telemetry.wire import LineHealth

log = logging.getLogger(__name__)

_REOPEN_FIRST, _REOPEN_LONGEST = 1.0, 60.0  # seconds


class LineState:
    """State of a line, kept by its thread; `health`, `down` and `failures` may be asked from another."""

    def __init__(self, name: str, line: Line, rng: random.Random) -> None:
        self._name = name
        self._line = line
        self._reopen = Backoff(_REOPEN_FIRST, _REOPEN_LONGEST, rng)
        self._reopen_at = line.now()
        self._errors = 0
        self.failures = 0  # of the port, one after the other
        self._used = 0.0  # seconds on the wire since the last health message
        self._since = line.now()
        self._behind: set[str] = set()  # meters whose slots went by, until they are read slot by slot again
        self._passed_over: set[str] = set()  # those that were not asked since
        self._down = LogOnce(log, "line is down", "line is back")
        self._slow = LogOnce(
            log, "line is too slow for its schedule, slots are skipped", "line keeps up again"
        )

    @property
    def down(self) -> bool:
        """The port or socket could not be used when it was tried last."""
        return self._down.active

    def down_for(self) -> float:
        """Seconds until the line is to be tried again; 0 when it can be used."""
        return max(self._reopen_at - self._line.now(), 0.0)

    def fails(self, error: LineError) -> None:
        """Close it, and wait before it is opened again."""
        self._errors += 1
        self.failures += 1
        self._line.close()
        self._reopen_at = self._line.now() + self._reopen.next()
        self._down.begin(line=self._name, reason=str(error), advice=error.advice)

    def works(self) -> None:
        """Something was exchanged."""
        self.failures = 0
        self._reopen.reset()
        self._down.end(line=self._name)

    def restart(self) -> None:
        """Close it, to be opened again at once."""
        self._line.close()
        self._reopen.reset()
        self._reopen_at = self._line.now()

    def falls_behind(self, meter: str) -> None:
        """This meter's slot went by because others had the line."""
        self._behind.add(meter)
        self._passed_over.add(meter)
        self._slow.begin(line=self._name, meter=meter)

    def asks(self, meter: str) -> None:
        """This meter is asked; it keeps up again if no slot of it went by since it was asked before."""
        if meter in self._passed_over:
            self._passed_over.remove(meter)
            return
        self._behind.discard(meter)
        if not self._behind:
            self._slow.end(line=self._name)

    def count_error(self) -> None:
        self._errors += 1

    @contextmanager
    def in_use(self) -> Iterator[None]:
        begun = self._line.now()
        try:
            yield
        finally:
            self._used += self._line.now() - begun

    def health(self, tally: Tally) -> LineHealth:
        """Counters since start, and the share of time on the wire since the last call."""
        now = self._line.now()
        elapsed = now - self._since
        utilisation = min(self._used / elapsed, 1.0) if elapsed > 0 else 0.0
        self._used, self._since = 0.0, now
        return LineHealth(
            line=self._name,
            exchanges=tally.exchanges,
            retries=tally.retries,
            timeouts=tally.timeouts,
            crc_errors=tally.garbled,
            errors=self._errors,
            utilisation=round(utilisation, 4),
            down=self.down,
        )
