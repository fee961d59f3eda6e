"""Clock of the processes that a test starts."""

from collections.abc import Mapping
from datetime import UTC, datetime

from hesper.clock import CLOCK_SHIFT


def shifted_to(today: datetime) -> Mapping[str, str]:
    """Environment of processes for which it is `today` (aware) now."""
    return {CLOCK_SHIFT: str((today - datetime.now(UTC)).total_seconds())}
