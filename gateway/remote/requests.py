"""The thread that does what the central side asks for; the publisher's thread only hands over.

Whatever comes on the topics `config` and `command`, in whatever number, never stops the readings.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from queue import Empty, Full, Queue
from typing import Protocol

from drivers.driver import Clock
from gateway.config.document import RemoteConfig
from gateway.log_once import LogOnce
from gateway.remote.commands import Commands, RunningLines
from gateway.remote.configuration import ConfigurableGateway, RemoteConfiguration, State
from gateway.remote.configuration_files import ConfigurationFiles
from gateway.remote.redacted import NotShownError, running_text
from telemetry.topics import Kind
from telemetry.wire import Reply, to_milliseconds

log = logging.getLogger(__name__)

_MOST_WAITING = 100
_WATCH_SECONDS = 1.0


class OperableGateway(ConfigurableGateway, RunningLines, Protocol):
    """The running gateway."""


class RemoteRequests:
    """Requests from afar: `receive` may be called from any thread, also before `start`."""

    def __init__(
        self,
        site: OperableGateway,
        allowed: RemoteConfig,
        installed: Path | None,
        reply: Callable[[Reply], None],
        *,
        clock: Clock,
        monotonic: Callable[[], float],
        clock_is_right: Callable[[], bool],
        send_again: Callable[[datetime], int],
    ) -> None:
        """`installed` is the installer's file, beside which configurations from afar are kept.

        None: they are not taken. `clock_is_right`: whether the clock may be given to meters. `send_again` is
        the buffer's.
        """

        def tell(version: str, state: State, detail: str, result: Mapping[str, object]) -> None:
            reply(Reply(version, max(0, to_milliseconds(clock())), state, detail, dict(result)))

        files = None if installed is None else ConfigurationFiles(installed)

        def shown() -> tuple[str, str]:
            if files is None:
                raise NotShownError("this gateway runs without a file")
            version = site.config_version
            return running_text(files, site.config, version), version

        self._commands = Commands(
            site,
            allowed,
            reply,
            clock=clock,
            monotonic=monotonic,
            clock_is_right=clock_is_right,
            shown=shown,
            send_again=send_again,
        )
        self._configs = None if files is None else RemoteConfiguration(site, files, tell, monotonic)
        self._inbox: Queue[tuple[Kind, bytes]] = Queue(_MOST_WAITING)
        self._flooded = LogOnce(log, "too many requests, some are ignored", "requests are heard again")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="remote")

    def receive(self, kind: Kind, payload: bytes) -> None:
        """For the publisher: returns at once."""
        try:
            self._inbox.put_nowait((kind, payload))
        except Full:
            self._flooded.begin(kind=kind)
        else:
            self._flooded.end()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread after what it is doing. What waits is not begun."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._commands.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                message = self._inbox.get(timeout=_WATCH_SECONDS)
            except Empty:
                message = None
            try:
                self._handle(message)
            except Exception:  # a fault of ours in one request must not make the gateway deaf to the next
                log.exception("a request met a fault")

    def _handle(self, message: tuple[Kind, bytes] | None) -> None:
        match message:
            case (Kind.COMMAND, payload):
                self._commands.receive(payload)
            case (Kind.CONFIG, payload) if self._configs is not None:
                self._configs.receive(payload)
        if self._configs is not None:
            self._configs.watch()
        self._commands.watch()
