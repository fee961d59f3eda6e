"""Whether this machine's clock can be believed: what the kernel knows of its reference (adjtimex(2))."""

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


def trusted_clock() -> bool:
    """For machines whose clock is right although the kernel does not know (`clock = "trusted"`)."""
    return True
