"""Ordinary case of a close: one about which nothing has to be considered.

One meter all the time, a reading in tolerance (or the meter's own set-day value) at both ends, no mark,
finding or event anywhere near, a count that went up, and a start where the last period ended. The ladder
makes of it what `store/billing/bulk_draft.py` makes of a block of them at once.
"""

from collections.abc import Mapping
from itertools import product

from metering.billing.method import BUILT_IN, Method
from metering.billing.rule_set import RuleSet
from telemetry.status import Status

METHODS = (Method.READING, Method.SET_DAY)
"""Methods by which both ends are found."""

NOTHING_SAID = ("marks", "events", "findings", "carried", "settled")
"""Fields of the installation's evidence that are empty, or not there."""

_WITH_OR_WITHOUT = (Status.HISTORICAL, Status.IMPORTED, Status.POWER_LOW)
_STATUSES = (Status(sum(bits)) for bits in product(*((0, int(bit)) for bit in _WITH_OR_WITHOUT)))
STATUS_LABELS: Mapping[int, tuple[str, ...]] = {int(status): tuple(status.labels()) for status in _STATUSES}
"""Statuses that its readings may have, with the labels of each."""


def knows_ordinary(rules: RuleSet) -> bool:
    """Whether the ladder begins as the one that is built in; else every case goes down that of the rules."""
    return rules.ladder[:3] == BUILT_IN[:3]
