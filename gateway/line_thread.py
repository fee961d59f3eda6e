"""One thread per line, since a line is a serial thing: one exchange after the other."""

import threading

from gateway.poller import LinePoller

_LONGEST_WAIT = 1.0  # seconds; a clock that is set anew is noticed after that


class LineThread(threading.Thread):
    """Polls until `stop` is set, then gives the port back. An exchange that runs is finished first."""

    def __init__(self, poller: LinePoller, stop: threading.Event) -> None:
        super().__init__(name=f"line {poller.name}")
        self.poller = poller
        self._stop_event = stop

    def run(self) -> None:
        """The thread's own; call `start`."""
        try:
            while not self._stop_event.is_set():
                self._stop_event.wait(min(self.poller.poll(), _LONGEST_WAIT))
        finally:
            self.poller.close()
