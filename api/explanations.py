"""Findings as a person reads them: a title for each kind, its evidence as a sentence with advice.

The sentences carry the numbers of the evidence, exactly. A kind that has none here is shown with its
evidence as it was written.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from api.presentation import THIN_SPACE, fact, grouped, in_words, unit_sign

_DECIMAL = re.compile(r"-?\d+(\.\d+)?")
_TITLES = {
    "negative_step.glitch": "Glitch",
    "negative_step.jitter": "Small steps back",
    "negative_step.rollover": "Register rolled over",
    "negative_step.reset": "Register reset",
    "negative_step.swap_suspect": "Exchange suspected",
    "stuck": "Register stuck",
}


def finding_title(kind: str) -> str:
    """'negative_step.reset' -> 'Register reset'; the name in words for a kind that is not listed."""
    return _TITLES.get(kind) or in_words(kind)


def explain(kind: str, evidence: Mapping[str, object], unit: str, zone: ZoneInfo) -> str | None:
    """The evidence as a sentence; None where there is none for this kind or its evidence is incomplete.

    `unit` is the register's UCUM code; instants are told by the clocks of `zone`.
    """
    sentence = _SENTENCES.get(kind)
    if sentence is None:
        return None
    try:
        return sentence(_Evidence(evidence, unit, zone))
    except KeyError:
        return None


@dataclass(frozen=True, slots=True)
class _Evidence:
    """Evidence with words for each of its values; all methods raise KeyError where it is missing."""

    values: Mapping[str, object]
    unit: str
    zone: ZoneInfo

    def amount(self, name: str) -> str:
        """A register value with its unit: '7 229.96 kWh'."""
        written = _decimal(self.values[name])
        return written if written == "none" else f"{written}{THIN_SPACE}{unit_sign(self.unit)}"

    def when(self, name: str) -> str:
        """An instant by the utility's clocks, whatever was written otherwise."""
        return fact(self.values[name], self.zone)

    def count(self, name: str, one: str, more: str) -> str:
        """'1 reading', '3 readings'."""
        written = _decimal(self.values[name])
        return f"{written} {one if written == '1' else more}"

    def level(self, name: str) -> str:
        """A reading: '7 229.96 kWh (17 Oct 2026, 10:00)'."""
        return f"{self.amount(name)} ({self.when(name + '_at')})"

    def known(self, name: str) -> bool:
        return str(self.values[name]) not in {"none", "unknown"}


def _decimal(value: object) -> str:
    """A decimal with its thousands apart; anything else as it was written."""
    written = str(value)
    return grouped(written) if _DECIMAL.fullmatch(written) else written


def _glitch(evidence: _Evidence) -> str:
    low, high = evidence.amount("lowest"), evidence.amount("highest")
    said = f"{evidence.count('readings', 'reading', 'readings')} of {low}"
    said += "" if low == high else f" to {high}"
    if not evidence.known("after"):
        return f"{said} after {evidence.level('before')}, and nothing usable since. Never billed."
    if not evidence.known("before"):
        return f"{said} before {evidence.level('after')}. Never billed, and left out of the chart."
    return (
        f"{said} between {evidence.level('before')} and {evidence.level('after')}. "
        "Never billed, and left out of the chart."
    )


def _jitter(evidence: _Evidence) -> str:
    return (
        f"{evidence.count('steps', 'step', 'steps')} back, the largest {evidence.amount('largest')}, "
        f"{evidence.amount('total')} in all: reverse flow or rounding. Look again if it grows."
    )


def _rollover(evidence: _Evidence) -> str:
    top = f" of {evidence.amount('capacity')}" if evidence.known("capacity") else ""
    return (
        f"From {evidence.level('before')} over the register's top{top} to {evidence.level('after')}. "
        "Consumption is counted across it; there is nothing to do."
    )


def _reset(evidence: _Evidence) -> str:
    return (
        f"Fell from {evidence.level('before')} to {evidence.level('after')} and counts on from there. "
        "The month cannot be billed until the last and the first value are entered as two installations."
    )


def _swap(evidence: _Evidence) -> str:
    if str(evidence.values["pattern"]) == "mix-up":
        span = f"between {evidence.level('before')} and {evidence.level('after')}"
        return (
            f"Two levels in turn {span}, the other one {evidence.count('visits', 'time', 'times')}, from "
            f"{evidence.amount('lowest')} to {evidence.amount('highest')}. "
            "Does another meter answer at this address?"
        )
    return (
        f"From {evidence.level('before')} on to {evidence.level('after')}, another level altogether. "
        "If the meter was exchanged, enter both meters' installations in the registry."
    )


def _stuck(evidence: _Evidence) -> str:
    return (
        f"Stands at {evidence.amount('value')} since {evidence.when('since')}, for "
        f"{evidence.count('hours', 'hour', 'hours')}; its longest rest before was "
        f"{evidence.count('longest_before_hours', 'hour', 'hours')} (limit "
        f"{_decimal(evidence.values['limit_hours'])}). "
        "Is the flat empty, or does the meter no longer count?"
    )


_SENTENCES: dict[str, Callable[[_Evidence], str]] = {
    "negative_step.glitch": _glitch,
    "negative_step.jitter": _jitter,
    "negative_step.rollover": _rollover,
    "negative_step.reset": _reset,
    "negative_step.swap_suspect": _swap,
    "stuck": _stuck,
}
