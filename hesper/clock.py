"""Clock of a process: the machine's, or, where HESPER_CLOCK_SHIFT says so, that of another day.

A test moves the demo and all of its processes to a leap day by it. Into everything else the clock comes as an
argument.
"""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

CLOCK_SHIFT = "HESPER_CLOCK_SHIFT"  # seconds from the machine's clock to the process's


def process_clock() -> Callable[[], datetime]:
    """The present of this process, aware, in UTC."""
    shift = timedelta(seconds=float(os.environ.get(CLOCK_SHIFT, "0")))
    return lambda: datetime.now(UTC) + shift
