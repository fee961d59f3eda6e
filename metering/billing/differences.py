"""From register values to consumption for screens: exact differences that add up to the register's own.

Billing has its own way (`store/billing/measured.py`); this one shows what a register did, without judging it.
"""

from datetime import timedelta

ROUND = timedelta(minutes=2)  # a gateway's round begins at the full hour; a meter's turn comes later


def step(earlier: int, later: int, capacity: int | None) -> int | None:
    """Consumption between two readings of a counter, all in micro-units.

    A drop is a rollover where the register's `capacity` is known and the way through its top is the shorter
    one; any other drop (reset, swap, glitch) has no consumption and gives None.
    """
    difference = later - earlier
    if difference >= 0:
        return difference
    if capacity is not None and difference + capacity < capacity // 2:
        return difference + capacity
    return None
