"""The kernel's clock, and whether it can be believed: what is known of its reference (adjtimex(2)).

A Raspberry Pi without a battery clock starts at some date of the past. Once a time service has set it, it is
right within seconds for days, also while that service cannot be reached: the kernel calls it unsynchronised
after about nine hours (its error bound grows by 500 ppm to 16 s), which is no reason to leave the schedule.
"""

import ctypes
from collections.abc import Callable
from pathlib import Path

Synchronised = Callable[[], bool]

_TIMESYNCD = Path("/run/systemd/timesync/synchronized")
_TIME_ERROR = 5  # <sys/timex.h>: the clock is not synchronised


class _Timex(ctypes.Structure):
    """`struct timex` up to what is not read here; `modes` 0 asks and changes nothing."""

    _fields_ = (("modes", ctypes.c_uint), ("rest", ctypes.c_byte * 400))


def kernel_clock_synchronised() -> bool:
    """True while a time service (NTP, PTP, GPS) disciplines the clock; False where it cannot be told."""
    answer = _Timex(modes=0)
    adjtimex = getattr(ctypes.CDLL(None, use_errno=True), "adjtimex", None)
    state = adjtimex(ctypes.byref(answer)) if adjtimex is not None else -1
    if 0 <= state < _TIME_ERROR:
        return True
    # In a container the kernel may refuse to answer while the host's time service says so in a file.
    return state < 0 and _TIMESYNCD.exists()


def clock_was_set() -> bool:
    """True where systemd's time service has set the clock since the machine was started."""
    return _TIMESYNCD.exists()


class ClockReference:
    """The clock's state: `reference()` says whether it is synchronised, `was_set` whether it ever was."""

    def __init__(self, synchronised: Synchronised, *, was_set: bool = False) -> None:
        self._synchronised = synchronised
        self._was_set = was_set
        self._given_up = False

    def __call__(self) -> bool:
        """True while a time service disciplines the clock."""
        synchronised = self._synchronised()
        self._was_set = self._was_set or synchronised
        return synchronised

    @property
    def was_set(self) -> bool:
        """True once the clock shows the time, if only within seconds; else it shows any date at all."""
        return self._was_set or self()

    @property
    def followed(self) -> bool:
        """True where schedules follow the clock: it was set, or is not worth waiting for any longer."""
        return self._given_up or self.was_set

    def give_up(self) -> None:
        """Nobody sets the clock: follow it as it is."""
        self._given_up = True


def trusted_clock() -> bool:
    """For machines whose clock is right although the kernel does not know (`clock = "trusted"`)."""
    return True
