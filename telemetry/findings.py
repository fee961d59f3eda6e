"""Severities and verdicts of findings, and the kinds that more than one floor goes by.

Each rule declares its own kind where it is written (`anomaly/rule.py`); a kind has a name here only where a
bill, a page or a message is decided by it.
"""

from enum import Enum


class Severity(Enum):
    """Urgency of a finding, the least first."""

    INFO = "info"
    WARNING = "warning"
    ALARM = "alarm"


class Verdict(Enum):
    """Consequence of a finding for its readings: none, a mark that leaves them usable, or a mark that keeps
    them from being anybody's boundary."""

    INFO = "info"
    QUESTIONABLE = "questionable"
    REJECT = "reject"


SEVERITIES = tuple(each.value for each in Severity)  # as SQL compares them, the least first

STUCK = "stuck"
VERIFICATION_EXPIRED = "verification_expired"
MISSED_POLLS = "communication.missed_polls"

# A step that no counter makes is marked with the last part of its kind, `reset` for `negative_step.reset`.
STEP = "negative_step."
STEPS = ("glitch", "jitter", "rollover", "reset", "swap_suspect")
