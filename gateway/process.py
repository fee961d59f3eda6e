"""The gateway's process: a thread per line, one buffer, one publisher, and an eye on all of them.

Begin here to see how the parts fit. `run` returns an exit code; signals are the caller's.
"""

import logging
import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version

from drivers.catalogue import open_driver, open_line
from drivers.driver import Clock
from gateway.buffer import Buffer
from gateway.clock import Synchronised, kernel_clock_synchronised, trusted_clock
from gateway.condition import Condition
from gateway.config import GatewayConfig, LineConfig
from gateway.health import health_of
from gateway.line_thread import LineThread
from gateway.poller import LinePoller
from gateway.publisher import Pace, Publisher
from gateway.source import SourceError
from telemetry.topics import Kind

log = logging.getLogger(__name__)

HEALTH_SECONDS = 60.0
_WATCH_SECONDS = 1.0
_FLUSH_SECONDS = 5.0
_PACE = Pace()


def present() -> datetime:
    """The system's clock: aware, UTC."""
    return datetime.now(UTC)


class Gateway:
    """All threads of one gateway. Use as a context manager, and call `watch` until it is time to leave."""

    def __init__(
        self,
        config: GatewayConfig,
        *,
        clock: Clock = present,
        pace: Pace = _PACE,
        health_seconds: float = HEALTH_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Opens the buffer; starts nothing. Raises BufferFailedError."""
        self._clock = clock
        self._version = version("hesper")
        self._monotonic = monotonic
        self._health_seconds = health_seconds
        self._health_at = monotonic() + min(health_seconds, _WATCH_SECONDS)
        self._synchronised: Synchronised = (
            kernel_clock_synchronised if config.clock == "ntp" else trusted_clock
        )
        self._stopping = threading.Event()
        self._unsynchronised = Condition(log, "clock is not synchronised", "clock is synchronised")
        self._no_health = Condition(log, "health cannot be told", "health can be told again")
        self.buffer = Buffer(config.buffer.path, clock)
        self.publisher = Publisher(
            config.mqtt_settings, self.buffer, clock=clock, version=self._version, pace=pace
        )
        self.lines = [LineThread(self._poller(config, line), self._stopping) for line in config.line]

    def __enter__(self) -> "Gateway":
        self.publisher.start()
        for line in self.lines:
            line.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for line in self.lines:
            line.join()
        self.publisher.stop(_FLUSH_SECONDS)
        self.buffer.close()

    def watch(self) -> bool:
        """Call once a second: tells health, revives lines. False when the process should be started anew.

        A line's thread ends early only through a fault of ours. Its poller goes on with the next meter, so
        one telegram that no driver foresaw does not silence a building.
        """
        for position, line in enumerate(self.lines):
            if not line.is_alive():
                log.error("line thread ended, started again", extra={"line": line.poller.name})
                self.lines[position] = LineThread(line.poller, self._stopping)
                self.lines[position].start()
        if self._monotonic() >= self._health_at:
            self._health_at = self._monotonic() + self._health_seconds
            self._tell_health()
        return self.publisher.alive

    def _tell_health(self) -> None:
        synchronised = self._synchronised()
        if synchronised:
            self._unsynchronised.end()
        else:
            self._unsynchronised.begin(
                advice="readings are marked; check that a time service reaches its servers"
            )
        pollers = [line.poller for line in self.lines]
        try:
            health = health_of(
                self.buffer, pollers, at=self._clock(), version=self._version, synchronised=synchronised
            )
        except SourceError as error:
            self._no_health.begin(reason=str(error))
            return
        self._no_health.end()
        self.publisher.send(Kind.HEALTH, health)

    def _poller(self, config: GatewayConfig, line: LineConfig) -> LinePoller:
        wire = open_line(line.port, line.serial_settings)
        return LinePoller(
            line.name,
            [(config.target(meter), config.schedule(line, meter)) for meter in line.meter],
            wire,
            open_driver(line.protocol, wire, self._clock, **line.driver_options),
            self.buffer.append,
            clock=self._clock,
            synchronised=self._synchronised,
            rng=random.Random(),  # noqa: S311 - spreads reconnections, keeps no secret
        )


def run(config: GatewayConfig, *, stop: threading.Event) -> int:
    """Run a gateway until `stop` is set. Returns 0, or 1 when it must be started anew.

    Raises BufferFailedError where there can be no buffer.
    """
    meters = sum(len(line.meter) for line in config.line)
    with Gateway(config) as gateway:
        log.info(
            "gateway runs",
            extra={
                "gateway": config.gateway,
                "lines": len(gateway.lines),
                "meters": meters,
                "epoch": gateway.buffer.epoch,
                "waiting": gateway.buffer.backlog().readouts,
            },
        )
        while not stop.wait(_WATCH_SECONDS):
            if not gateway.watch():
                log.critical("publisher ended, the process must be started anew")
                return 1
        log.info("gateway stops")
    return 0
