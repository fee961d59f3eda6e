"""Thread of a line, since a line is a serial thing: one exchange after the other."""

import threading

from gateway.line.poller import LinePoller

_LONGEST_WAIT = 1.0  # seconds; a clock that is set anew, and what was submitted, are noticed after that


class LineThread(threading.Thread):
    """Polls until `stop`, then gives the port back. An exchange that runs is finished first."""

    def __init__(self, poller: LinePoller) -> None:
        super().__init__(name=f"line {poller.name}")
        self.poller = poller
        self._stopping = threading.Event()

    def run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._stopping.wait(min(self.poller.poll(), _LONGEST_WAIT))
        finally:
            self.poller.close()

    @property
    def stopping(self) -> bool:
        """True once it was told to end; a thread that ends without that has met a fault."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Have the thread end; `join` waits for it."""
        self._stopping.set()
