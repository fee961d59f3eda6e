"""The embedded broker in a process of its own, on a free loopback port, to be killed and restarted at will.

with Broker() as broker:
    connect("127.0.0.1", broker.port)
    broker.kill()      # SIGKILL: sessions, queues and retained messages are gone
    broker.restart()   # the same port
"""

import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

_ROOT = Path(__file__).resolve().parents[2]
_START_SECONDS = 20.0


def free_port() -> int:
    """A loopback TCP port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Broker:
    """Context manager around `python -m hesper.broker`."""

    def __init__(self, port: int | None = None) -> None:
        self.port = port or free_port()
        self._directory = tempfile.TemporaryDirectory(prefix="hesper-broker-")
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._directory.cleanup()

    @property
    def pid(self) -> int:
        """Process id of the running broker."""
        assert self._child is not None, "the broker is not running"
        return self._child.pid

    def start(self) -> None:
        """Start and wait until it accepts connections."""
        assert self._child is None, "the broker is running already"
        self._child = subprocess.Popen(
            [sys.executable, "-m", "hesper.broker", str(self.port), self._directory.name],
            cwd=_ROOT,
            stdin=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + _START_SECONDS
        while not self._accepts():
            assert self._child.poll() is None, f"the broker ended with exit code {self._child.returncode}"
            assert time.monotonic() < deadline, f"the broker did not listen within {_START_SECONDS} s"
            time.sleep(0.02)

    def stop(self) -> None:
        """SIGTERM, and wait for its end. Safe to call when it is not running."""
        self._end("terminate")

    def kill(self) -> None:
        """SIGKILL: what a power cut does."""
        self._end("kill")

    def restart(self) -> None:
        """Start again on the same port, killing first if it still runs."""
        self.kill()
        self.start()

    def _end(self, how: str) -> None:
        child, self._child = self._child, None
        if child is not None:
            getattr(child, how)()
            child.wait(timeout=10)

    def _accepts(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=0.5):
                return True
        except OSError:
            return False
