"""The thread that does what the central side asks for; the publisher's thread only hands over.

Whatever comes on the topics `config` and `command`, in whatever number, never stops the readings.
"""

import logging
import threading
from queue import Empty, Full, Queue

from gateway.commands import Commands
from gateway.condition import Condition
from gateway.desired import DesiredConfigs
from telemetry.topics import Kind

log = logging.getLogger(__name__)

_MOST_WAITING = 100
_WATCH_SECONDS = 1.0


class Remote:
    """`receive` may be called from any thread, also before `start`."""

    def __init__(
        self,
        commands: Commands,
        configs: DesiredConfigs,
        *,
        watch_seconds: float = _WATCH_SECONDS,
    ) -> None:
        self._commands = commands
        self._configs = configs
        self._watch_seconds = watch_seconds
        self._inbox: Queue[tuple[Kind, bytes] | None] = Queue(_MOST_WAITING)
        self._flooded = Condition(
            log, "too much is asked for, some is ignored", "all that is asked for is heard"
        )
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
        """Begin to listen."""
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
                message = self._inbox.get(timeout=self._watch_seconds)
            except Empty:
                message = None
            try:
                if message is not None:
                    self._handle(*message)
                self._configs.watch()
                self._commands.watch()
            except Exception:  # a fault of ours in one command must not make the gateway deaf to the next
                log.exception("what was asked for met a fault")

    def _handle(self, kind: Kind, payload: bytes) -> None:
        if kind is Kind.COMMAND:
            self._commands.receive(payload)
        elif kind is Kind.CONFIG:
            self._configs.receive(payload)
