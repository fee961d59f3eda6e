"""Control totals: consumption and true-ups by register and unit, as both sides of a delivery count them."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

TRUE_UP = "true_up"
"""Name of the control total of true-ups, behind the register and unit that they belong to."""


def control_sums(rows: Iterable[tuple[str, int, int | None]]) -> dict[str, int]:
    """Control totals of (register and unit, consumption, true-up or None), both in micro-units.

    True-ups are a total of their own, there where there is any: `{"8-0:1.0.0 m3": 31000000,
    "8-0:1.0.0 m3 true_up": -2250000}`.
    """
    sums: dict[str, int] = {}
    for name, consumption, true_up in rows:
        sums[name] = sums.get(name, 0) + consumption
        if true_up is not None:
            settled = f"{name} {TRUE_UP}"
            sums[settled] = sums.get(settled, 0) + true_up
    return dict(sorted(sums.items()))


def differences(ours: Mapping[str, str], theirs: Mapping[str, str]) -> dict[str, str]:
    """Ours minus theirs (decimals by register and unit), where they differ or one side has none."""
    found = {}
    for name in sorted(ours.keys() | theirs.keys()):
        difference = Decimal(ours.get(name, "0")) - Decimal(theirs.get(name, "0"))
        if difference or name not in ours or name not in theirs:
            found[name] = format(difference, "f")
    return found
