"""Heartbeat of a process: a sign of life to whoever supervises it, for as long as its work goes on.

Alive is not "has a process id". A process that is stopped beats no more, and neither does one whose work has
not come round for too long: whoever supervises ends it and starts it again. The signs are those of systemd
(sd_notify(3), `WATCHDOG=1` to `NOTIFY_SOCKET`), which `hesper.supervise` understands, too.
"""

import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import structlog

BEAT_SECONDS = 3.0

log = structlog.get_logger(__name__)


class WatchedStop(threading.Event):
    """Event whose main thread tells, by looking at it, that its work goes on."""

    def __init__(self) -> None:
        super().__init__()
        self._looked = time.monotonic()

    def is_set(self) -> bool:
        self._look()
        return super().is_set()

    def wait(self, timeout: float | None = None) -> bool:
        self._look()
        return super().wait(timeout)

    @property
    def silent_seconds(self) -> float:
        """Seconds since the main thread has looked."""
        return time.monotonic() - self._looked

    def _look(self) -> None:
        if threading.current_thread() is threading.main_thread():
            self._looked = time.monotonic()


def beat_while(works: Callable[[], bool]) -> None:
    """Beat every few seconds while `works` says so, in a thread that ends with the process.

    Does nothing where nobody supervises.
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        threading.Thread(target=_beat, args=(address, works), name="heartbeat", daemon=True).start()


def _beat(address: str, works: Callable[[], bool]) -> None:
    told = True  # a server that starts has not come round yet
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sending:
        while True:
            if works():
                told = False
                with suppress(OSError):  # nobody listens any more
                    sending.sendto(b"WATCHDOG=1", f"\0{address[1:]}" if address.startswith("@") else address)
            elif not told:
                told = True
                log.error("the work of this process does not come round; whoever supervises it will end it")
            time.sleep(BEAT_SECONDS)
