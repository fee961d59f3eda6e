"""End of a process: what it does until somebody tells it to stop, or it hangs."""

import signal

from hesper.heartbeat import WatchedStop, beat_while

LONGEST_TURN = 900.0  # s: the draft of a large month takes minutes


def until_told(longest_turn: float = LONGEST_TURN) -> WatchedStop:
    """Event that SIGTERM and SIGINT set. The process beats while its main thread looks at it often enough."""
    stop = WatchedStop()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    beat_while(lambda: stop.silent_seconds < longest_turn)
    return stop
