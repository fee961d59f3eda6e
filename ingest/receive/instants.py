"""Instants that a reading can have: the one rule for readouts and missed polls. Milliseconds since 1970."""

import numpy as np
import numpy.typing as npt

from telemetry.wire import from_milliseconds

EARLIEST = 946_684_800_000  # 2000-01-01: before it, a meter's clock was never set
LEAD = 300_000  # that a reading may lie in the future: clocks differ, and the first that comes is kept


def plausible(instant: int, now: int) -> bool:
    """True where something can have been read at `instant`."""
    return EARLIEST <= instant <= now + LEAD


def strange(instants: npt.NDArray[np.int64], now: int) -> npt.NDArray[np.bool_]:
    """True where `plausible` is false."""
    return (instants < EARLIEST) | (instants > now + LEAD)


def problem_of(instant: int) -> str:
    """Sentence for people about an instant that is not plausible."""
    return (
        f"{from_milliseconds(instant).isoformat()} is before the year 2000, or more than five minutes ahead"
    )
