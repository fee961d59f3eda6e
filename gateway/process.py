"""The gateway's process: a thread per line, one buffer, one publisher, and an eye on all of them.

Begin here to see how the parts fit. `run` returns an exit code; signals are the caller's.
"""

import logging
import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

from drivers.catalogue import open_driver, open_line
from drivers.driver import Clock
from gateway.buffer.buffer import Buffer
from gateway.buffer.source import SourceError
from gateway.clock.correction import ClockCorrection
from gateway.clock.kernel import (
    ClockReference,
    clock_was_set,
    kernel_clock_synchronised,
    trusted_clock,
)
from gateway.config.document import NEEDS_RESTART, GatewayConfig, LineConfig
from gateway.health import health_of
from gateway.line.polled_meter import LOOKBACK, PolledMeter
from gateway.line.poller import LinePoller
from gateway.lines import PolledLines
from gateway.log_once import LogOnce
from gateway.machine import boot_id
from gateway.remote.configuration_files import configuration_to_run
from gateway.remote.requests import RemoteRequests
from gateway.uplink.publisher import Publisher, PublisherLimits
from telemetry.topics import Kind
from telemetry.wire import Reply

log = logging.getLogger(__name__)

HEALTH_SECONDS = 60.0
STAGGER, STAGGERED_LINES = timedelta(milliseconds=250), 8
_WATCH_SECONDS = 1.0
_FLUSH_SECONDS = 5.0
_PACE = PublisherLimits()


def present() -> datetime:
    """The system's clock: aware, UTC."""
    return datetime.now(UTC)


class RestartNeededError(ValueError):
    """A configuration that changes what a running gateway cannot change; `settings` names it."""

    def __init__(self, settings: list[str]) -> None:
        super().__init__(
            f"{', '.join(settings)} cannot be changed while the gateway runs; "
            "write it to the gateway's file and restart it"
        )
        self.settings = settings


class GatewayProcess:
    """Process of a gateway, with all its threads. Use as a context manager, and call `watch` until it is time
    to leave.

    `config_version` names the configuration that runs, for the health message; empty is the installer's file.
    """

    def __init__(
        self,
        config: GatewayConfig,
        *,
        installed: Path | None = None,
        config_version: str = "",
        clock: Clock = present,
        pace: PublisherLimits = _PACE,
        health_seconds: float = HEALTH_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Opens the buffer; starts nothing. Raises BufferFailedError.

        `installed`: the installer's file; without it, no configurations from afar are taken.
        """
        self.config_version = config_version
        self._clock = clock
        self._version = version("hesper")
        self._monotonic = monotonic
        self._health_seconds = health_seconds
        self._health_at = monotonic() + min(health_seconds, _WATCH_SECONDS)
        self._boot = boot_id()
        self._reference = (
            ClockReference(kernel_clock_synchronised, was_set=clock_was_set())
            if config.clock == "ntp"
            else ClockReference(trusted_clock)
        )
        self._no_health = LogOnce(log, "health cannot be told", "health can be told again")
        self.buffer = Buffer(config.buffer.path, clock, zone=config.time_zone, limits=config.buffer.limits)
        self._remote = RemoteRequests(
            self,
            config.remote,
            installed,
            self._reply,
            clock=clock,
            monotonic=monotonic,
            clock_is_right=self._reference,
            send_again=self.buffer.send_again,
        )
        self.publisher = Publisher(
            config.mqtt_settings,
            self.buffer,
            clock=clock,
            version=self._version,
            inbox=self._remote.receive,
            pace=pace,
        )
        self._correction = ClockCorrection(
            self._reference,
            self.buffer,
            clock=clock,
            monotonic=monotonic,
            boot=self._boot,
            longest_wait=config.clock_wait,
        )
        self._last_alive = self.buffer.last_alive()
        self._kept_since = self.buffer.kept_since(self._last_alive - LOOKBACK) if self._last_alive else {}
        self.lines = PolledLines(config, self._poller)
        self._last_alive, self._kept_since = None, {}  # lines built later begin where earlier ones end

    def __enter__(self) -> "GatewayProcess":
        self.publisher.start()
        self.lines.start()
        self._remote.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._remote.stop()
        self.lines.stop()
        self._note_alive()
        self.publisher.stop(_FLUSH_SECONDS)
        self.buffer.close()

    def watch(self) -> bool:
        """Call once a second: tells health, revives lines. False when the process should be started anew."""
        self.lines.revive()
        synchronised = self._correction.watch()
        self._note_alive()
        if self._monotonic() >= self._health_at:
            self._health_at = self._monotonic() + self._health_seconds
            self._tell_health(synchronised)
        return self.publisher.alive

    @property
    def config(self) -> GatewayConfig:
        return self.lines.config

    def apply(self, config: GatewayConfig) -> None:
        """Run this configuration from now on; lines that it does not change are not disturbed.

        Raises RestartNeededError, and changes nothing, where it differs in more than lines.
        """
        running = self.lines.config
        if fixed := [name for name in NEEDS_RESTART if getattr(config, name) != getattr(running, name)]:
            raise RestartNeededError(fixed)
        self.lines.apply(config)

    def answering(self) -> dict[str, bool | None]:
        """Of each line, whether any meter has answered since the last `apply`; None: too early to say."""
        return {poller.name: poller.round_answered() for poller in self.lines.pollers}

    def poller(self, line_name: str) -> LinePoller:
        """The poller of a line, to submit work to. Raises KeyError."""
        return {poller.name: poller for poller in self.lines.pollers}[line_name]

    def _reply(self, reply: Reply) -> None:
        self.publisher.send(Kind.REPLY, reply)

    def _note_alive(self) -> None:
        """Every slot up to then is in the buffer; what comes later is missed if this process dies."""
        accounted = [poller.accounted_until for poller in self.lines.pollers]
        known = [instant for instant in accounted if instant is not None]
        if known and len(known) == len(accounted):
            self.buffer.note_alive(min(known))

    def _tell_health(self, synchronised: bool) -> None:
        try:
            health = health_of(
                self.buffer,
                self.lines.pollers,
                at=self._clock(),
                version=self._version,
                config_version=self.config_version,
                synchronised=synchronised,
            )
        except SourceError as error:
            self._no_health.begin(reason=str(error))
            return
        self._no_health.end()
        self.publisher.send(Kind.HEALTH, health)

    def _poller(self, config: GatewayConfig, line: LineConfig) -> LinePoller:
        wire = open_line(line.port, line.serial_settings)
        position = [each.name for each in config.line].index(line.name)
        return LinePoller(
            line.name,
            [
                PolledMeter(
                    config.target(meter),
                    config.schedule(line, meter),
                    line.name,
                    meter.min_interval or timedelta(0),
                    meter.load_profile,
                )
                for meter in line.meter
            ],
            wire,
            open_driver(line.protocol, wire, self._clock, **line.driver_options),
            self.buffer.append,
            clock=self._clock,
            reference=self._reference,
            rng=random.Random(),  # noqa: S311 - spreads reconnections, keeps no secret
            stagger=position % STAGGERED_LINES * STAGGER,
            clock_limit=config.meter_clock_limit.total_seconds(),
            last_alive=self._last_alive,
            kept_since=self._kept_since,
            boot=self._boot,
        )


def run(installed: Path, *, stop: threading.Event, clock: Clock = present) -> int:
    """Run the gateway of an installer's file, or the configuration from afar that was applied, until `stop`.

    Returns 0, or 1 when it must be started anew. Raises ConfigError, and BufferFailedError where there can
    be no buffer.
    """
    config, config_version = configuration_to_run(installed)
    meters = sum(len(line.meter) for line in config.line)
    with GatewayProcess(config, installed=installed, config_version=config_version, clock=clock) as gateway:
        log.info(
            "gateway runs",
            extra={
                "gateway": config.gateway,
                "config_version": config_version,
                "lines": len(config.line),
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
