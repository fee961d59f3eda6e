"""The lines of a gateway, each with its thread: begun, watched, and changed while the others go on."""

import logging
import threading
from collections.abc import Callable, Sequence

from gateway.config.document import GatewayConfig, LineConfig
from gateway.line.poller import LinePoller
from gateway.line.thread import LineThread

log = logging.getLogger(__name__)

Build = Callable[[GatewayConfig, LineConfig], LinePoller]


class PolledLines:
    """Lines that are polled. Thread-safe. `build` makes the poller of a line, and opens no port."""

    def __init__(self, config: GatewayConfig, build: Build) -> None:
        self._config = config
        self._build = build
        self._changing = threading.Lock()  # one change at a time; it may have to wait for a long exchange
        self._lock = threading.Lock()  # of what stands below, never for long
        self._started = False
        self._threads = [LineThread(build(config, line)) for line in config.line]

    @property
    def config(self) -> GatewayConfig:
        return self._config

    @property
    def pollers(self) -> Sequence[LinePoller]:
        """In the order of the configuration."""
        with self._lock:
            return [thread.poller for thread in self._threads]

    def start(self) -> None:
        with self._changing, self._lock:
            self._started = True
            for thread in self._threads:
                thread.start()

    def stop(self) -> None:
        """End all threads, each after the exchange that runs."""
        with self._changing:
            _end(self._threads)
            self._started = False

    def revive(self) -> None:
        """Start lines anew whose thread has ended.

        That happens only through a fault of ours. The poller goes on with the next meter, so one telegram
        that no driver foresaw does not silence a building.
        """
        with self._lock:
            for position, thread in enumerate(self._threads):
                if self._started and not thread.is_alive() and not thread.stopping:
                    log.error("line thread ended, started again", extra={"line": thread.poller.name})
                    self._threads[position] = LineThread(thread.poller)
                    self._threads[position].start()

    def apply(self, config: GatewayConfig) -> None:
        """Run these lines from now on. Lines that did not change are not disturbed.

        Meters that stay keep what is known of them, also on another line. All that can fail does so before
        any line is stopped: raises what `build` raises.
        """
        with self._changing:
            unchanged = _unchanged(self._config, config)
            fresh = {
                line.name: LineThread(self._build(config, line))
                for line in config.line
                if line.name not in unchanged
            }
            leaving = [thread for thread in self._threads if thread.poller.name not in unchanged]
            _end(leaving)
            for thread in fresh.values():
                thread.poller.take_over([gone.poller for gone in leaving])
            with self._lock:
                running = {thread.poller.name: thread for thread in self._threads} | fresh
                self._config, self._threads = config, [running[line.name] for line in config.line]
                for thread in self._threads:
                    thread.poller.begin_round()
                    if self._started and thread.ident is None:
                        thread.start()


def _unchanged(old: GatewayConfig, new: GatewayConfig) -> set[str]:
    """The names of the lines that both have, and to which both mean the same."""
    if (old.time_zone, old.meter_clock_limit) != (new.time_zone, new.meter_clock_limit):
        return set()
    return {line.name for line in old.line if line in new.line}


def _end(threads: Sequence[LineThread]) -> None:
    for thread in threads:
        thread.stop()
    for thread in threads:
        if thread.ident is not None:
            thread.join()
