"""Findings as a person reads them: a title for each kind, its evidence as a sentence with advice.

The sentences carry the numbers of the evidence, exactly. A kind that has none here is shown with its
evidence as it was written. `N_` marks a text of a table that is translated where it is used.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from api.language import THIN_SPACE, Language
from api.presentation import N_, in_words

_TITLES = {
    "negative_step.glitch": N_("Glitch"),
    "negative_step.jitter": N_("Small steps back"),
    "negative_step.rollover": N_("Register rolled over"),
    "negative_step.reset": N_("Register reset"),
    "negative_step.swap_suspect": N_("Exchange suspected"),
    "stuck": N_("Register stuck"),
}


def finding_title(kind: str, language: Language) -> str:
    """'negative_step.reset' -> 'Register reset'; the name in words for a kind that is not listed."""
    title = _TITLES.get(kind)
    return language.gettext(title) if title else in_words(kind)


def explain(
    kind: str, evidence: Mapping[str, object], unit: str, zone: ZoneInfo, language: Language
) -> str | None:
    """The evidence as a sentence; None where there is none for this kind or its evidence is incomplete.

    `unit` is the register's UCUM code; instants are told by the clocks of `zone`.
    """
    sentence = _SENTENCES.get(kind)
    if sentence is None:
        return None
    try:
        return sentence(_Evidence(evidence, unit, zone, language))
    except KeyError:
        return None


@dataclass(frozen=True, slots=True)
class _Evidence:
    """Evidence with words for each of its values; all methods raise KeyError where it is missing."""

    values: Mapping[str, object]
    unit: str
    zone: ZoneInfo
    language: Language

    def say(self, text: str, **values: str) -> str:
        """A sentence in the reader's language."""
        return self.language.gettext(text, **values)

    def amount(self, name: str) -> str:
        """A register value with its unit: '7 229.96 kWh'."""
        written = self.plain(name)
        return written if written == "none" else f"{written}{THIN_SPACE}{self.language.unit(self.unit)}"

    def plain(self, name: str) -> str:
        """A decimal with its thousands apart; an instant by the utility's clocks; else as it was written."""
        return self.language.fact(self.values[name], self.zone)

    def count(self, name: str, one: str, more: str) -> str:
        """'1 reading', '3 readings', where `one` and `more` are '%(count)s reading' and so on."""
        written = str(self.values[name])
        whole = int(written) if written.isdecimal() else 2
        return self.language.ngettext(one, more, whole, count=self.plain(name))

    def level(self, name: str) -> str:
        """A reading: '7 229.96 kWh (17 Oct 2026, 10:00)'."""
        return f"{self.amount(name)} ({self.plain(name + '_at')})"

    def known(self, name: str) -> bool:
        return str(self.values[name]) not in {"none", "unknown"}


def _glitch(evidence: _Evidence) -> str:
    low, high = evidence.amount("lowest"), evidence.amount("highest")
    readings = evidence.count("readings", "%(count)s reading", "%(count)s readings")
    said = evidence.say("%(readings)s of %(level)s", readings=readings, level=low)
    if low != high:
        said = evidence.say("%(readings)s of %(low)s to %(high)s", readings=readings, low=low, high=high)
    if not evidence.known("after"):
        return evidence.say(
            "%(said)s after %(before)s, and nothing usable since. Never billed.",
            said=said,
            before=evidence.level("before"),
        )
    if not evidence.known("before"):
        return evidence.say(
            "%(said)s before %(after)s. Never billed, and left out of the chart.",
            said=said,
            after=evidence.level("after"),
        )
    return evidence.say(
        "%(said)s between %(before)s and %(after)s. Never billed, and left out of the chart.",
        said=said,
        before=evidence.level("before"),
        after=evidence.level("after"),
    )


def _jitter(evidence: _Evidence) -> str:
    return evidence.say(
        "%(steps)s back, the largest %(largest)s, %(total)s in all: reverse flow or rounding. "
        "Look again if it grows.",
        steps=evidence.count("steps", "%(count)s step", "%(count)s steps"),
        largest=evidence.amount("largest"),
        total=evidence.amount("total"),
    )


def _rollover(evidence: _Evidence) -> str:
    levels = {"before": evidence.level("before"), "after": evidence.level("after")}
    if evidence.known("capacity"):
        return evidence.say(
            "From %(before)s over the register's top of %(top)s to %(after)s. "
            "Consumption is counted across it; there is nothing to do.",
            top=evidence.amount("capacity"),
            **levels,
        )
    return evidence.say(
        "From %(before)s over the register's top to %(after)s. "
        "Consumption is counted across it; there is nothing to do.",
        **levels,
    )


def _reset(evidence: _Evidence) -> str:
    return evidence.say(
        "Fell from %(before)s to %(after)s and counts on from there. "
        "The month cannot be billed until the last and the first value are entered as two installations.",
        before=evidence.level("before"),
        after=evidence.level("after"),
    )


def _swap(evidence: _Evidence) -> str:
    levels = {"before": evidence.level("before"), "after": evidence.level("after")}
    if str(evidence.values["pattern"]) == "mix-up":
        return evidence.say(
            "Two levels in turn between %(before)s and %(after)s, the other one %(visits)s, from %(low)s to "
            "%(high)s. Does another meter answer at this address?",
            visits=evidence.count("visits", "%(count)s time", "%(count)s times"),
            low=evidence.amount("lowest"),
            high=evidence.amount("highest"),
            **levels,
        )
    return evidence.say(
        "From %(before)s on to %(after)s, another level altogether. "
        "If the meter was exchanged, enter both meters' installations in the registry.",
        **levels,
    )


def _stuck(evidence: _Evidence) -> str:
    return evidence.say(
        "Stands at %(value)s since %(since)s, for %(hours)s; its longest rest before was %(longest)s "
        "(limit %(limit)s). Is the flat empty, or does the meter no longer count?",
        value=evidence.amount("value"),
        since=evidence.plain("since"),
        hours=evidence.count("hours", "%(count)s hour", "%(count)s hours"),
        longest=evidence.count("longest_before_hours", "%(count)s hour", "%(count)s hours"),
        limit=evidence.plain("limit_hours"),
    )


_SENTENCES: dict[str, Callable[[_Evidence], str]] = {
    "negative_step.glitch": _glitch,
    "negative_step.jitter": _jitter,
    "negative_step.rollover": _rollover,
    "negative_step.reset": _reset,
    "negative_step.swap_suspect": _swap,
    "stuck": _stuck,
}
