"""The evidence of a finding as words and figures, and sentences that are made of it.

Evidence is what a detector wrote down (`anomaly/README.md` lists it): decimals in the unit of the register,
instants in UTC, counts, and durations whose unit ends their name. A `Sentence` has `%(name)s` for some of it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

from api.words.language import THIN_SPACE, Language

FIELD = re.compile(r"%\((\w+)\)s")
_PERCENTAGE = re.compile(r"(-?\d+(?:\.\d+)?) %")
_UNKNOWN = frozenset({"none", "unknown"})
_TICKS = {"days": 86_400, "hours": 3600, "minutes": 60, "seconds": 1}


@dataclass(frozen=True, slots=True)
class Text:
    """Text in each language of the pages; a language that is not among these has it in its catalogue."""

    en: str
    ru: str = ""
    uk: str = ""

    def said_in(self, language: Language) -> str:
        return {"ru": self.ru, "uk": self.uk}.get(language.code) or language.gettext(self.en)


@dataclass(frozen=True, slots=True)
class Facts:
    """Evidence with words for each of its values; all methods raise KeyError where it is missing."""

    values: Mapping[str, object]
    unit: str
    zone: ZoneInfo
    language: Language

    def say(self, text: Text, **values: str) -> str:
        return text.said_in(self.language) % values

    def known(self, name: str) -> bool:
        """Whether there is a value, and not the word that there is none."""
        return str(self.values[name]) not in _UNKNOWN

    def plain(self, name: str) -> str:
        """A decimal with its thousands apart; an instant by the utility's clocks; else as it was written."""
        if not self.known(name):
            return self.language.gettext("unknown")
        share = _PERCENTAGE.fullmatch(str(self.values[name]))
        if share:
            return f"{self.language.decimal(share[1])}{THIN_SPACE}%"
        return self.language.fact(self.values[name], self.zone)

    def amount(self, name: str, unit: str | None = None) -> str:
        """A value with its unit, by default the register's: '7 229.96 kWh'."""
        sign = self.language.unit(self.unit if unit is None else unit)
        written = self.plain(name)
        return f"{written}{THIN_SPACE}{sign}" if sign and self.known(name) else written

    def count(self, name: str, one: str, more: str) -> str:
        """'1 reading', '3 readings', where `one` and `more` are '%(count)s reading' and so on."""
        written = str(self.values[name])
        whole = int(written) if written.isdecimal() else 2
        return self.language.ngettext(one, more, whole, count=self.plain(name))

    def level(self, name: str) -> str:
        """A reading: '7 229.96 kWh (17 Oct 2026, 10:00)'."""
        return f"{self.amount(name)} ({self.plain(name + '_at')})"

    def length(self, name: str) -> str:
        """A duration whose unit ends its name: '3 days 4 h' for `silent_hours`."""
        try:
            number = abs(Decimal(str(self.values[name])))
            return self.language.duration(timedelta(seconds=float(number) * _TICKS[name.rpartition("_")[2]]))
        except (InvalidOperation, OverflowError, ValueError):
            return self.plain(name)

    def share(self, name: str) -> str:
        """A part of one as a percentage."""
        try:
            return self.language.percent(float(str(self.values[name])))
        except (OverflowError, ValueError):
            return self.plain(name)


Saying = Callable[[Facts], str]  # says some evidence; raises KeyError where it is incomplete


def plural(one: str, more: str) -> tuple[str, str]:
    """A count in words, '%(count)s reading' and '%(count)s readings', which the catalogues translate."""
    return one, more


@dataclass(frozen=True, slots=True)
class Sentence(Text):
    """Sentence template: a text whose fields are evidence.

    `amounts` are in the register's unit, `units` in these, `levels` readings with their instants, `shares`
    parts of one, `counts` in these words; names that end with a unit of time are durations; the rest is told
    as it was written.
    """

    amounts: str = ""
    levels: str = ""
    shares: str = ""
    units: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def __call__(self, facts: Facts, /) -> str:
        names = FIELD.findall(self.en)
        return facts.say(self, **{name: self._field(facts, name) for name in names})

    def _field(self, facts: Facts, name: str) -> str:
        if name in self.units:
            return facts.amount(name, self.units[name])
        if name in self.counts:
            return facts.count(name, *self.counts[name])
        if name in self.shares.split():
            return facts.share(name)
        if name in self.levels.split():
            return facts.level(name)
        if name in self.amounts.split():
            return facts.amount(name)
        return facts.length(name) if name.rpartition("_")[2] in _TICKS else facts.plain(name)


@dataclass(frozen=True, slots=True)
class Either:
    """One sentence where something is so, and another where it is not."""

    is_so: Callable[[Facts], bool]
    one: Saying
    other: Saying

    def __call__(self, facts: Facts, /) -> str:
        return (self.one if self.is_so(facts) else self.other)(facts)


@dataclass(frozen=True, slots=True)
class FindingWords:
    """Words for a kind of finding. `lost`: the evidence that says what was lost, in `lost_unit` where that is
    not the register's."""

    title: Text
    sentence: Saying
    lost: str = ""
    lost_unit: str | None = None


def known(name: str) -> Callable[[Facts], bool]:
    """Condition that the evidence has a value of this name, and not the word that there is none."""
    return lambda facts: facts.known(name)


def given(name: str) -> Callable[[Facts], bool]:
    """Condition that the evidence has this name at all."""
    return lambda facts: name in facts.values


def says(name: str, value: str) -> Callable[[Facts], bool]:
    """Condition that the evidence says just this."""
    return lambda facts: str(facts.values[name]) == value
