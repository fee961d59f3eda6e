"""A measured figure beside its limit, and how benches print them: one JSON object a line.

    {"name": "60 M-Bus meters", "value": 0.981, "unit": "utilisation", "limit": 1.0, "ratio": 0.981}

The limit is what the wire, the disk or the database can do at best, or what another library does, measured or
computed in the same run. `wanted` says what the ratio is to be, as a comparison.
"""

import operator
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

_COMPARISONS = {">=": operator.ge, "<=": operator.le}


@dataclass(frozen=True, slots=True)
class Measurement:
    """`value` and `limit` in `unit`. `wanted` such as '>= 0.97', "" where nothing was promised."""

    name: str
    value: float
    unit: str
    limit: float
    wanted: str = ""

    @property
    def ratio(self) -> float:
        """Value over limit."""
        return self.value / self.limit

    @property
    def reached(self) -> bool | None:
        """Whether the ratio is as wanted; None where nothing was promised."""
        if not self.wanted:
            return None
        sign, bound = self.wanted.split()
        return bool(_COMPARISONS[sign](self.ratio, float(bound)))

    def as_json(self) -> str:
        """One line."""
        content: dict[str, Any] = {
            "name": self.name,
            "value": _short(self.value),
            "unit": self.unit,
            "limit": _short(self.limit),
            "ratio": _short(self.ratio),
        }
        if self.wanted:
            content |= {"wanted": self.wanted, "reached": self.reached}
        return msgspec.json.encode(content).decode()


def show(measurements: Iterable[Measurement]) -> None:
    """Print each as it comes. A bench never fails on a figure: machines differ, and so do their moods."""
    for measurement in measurements:
        print(measurement.as_json(), flush=True)


def _short(number: float) -> float:
    """Five significant digits."""
    return float(f"{number:.5g}")
