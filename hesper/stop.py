"""End of a process: what it does until somebody tells it to stop."""

import signal
import threading


def until_told() -> threading.Event:
    """Event that SIGTERM and SIGINT set."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    return stop
