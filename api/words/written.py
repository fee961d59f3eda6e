"""Sentences that closes and receivers wrote down in English, in the reader's language.

A close says why a boundary has no better value and why a register has no billing reading; a receiver says
what is wrong with a message. They are kept as text, so each is known here by its pattern. Values are shown as
the reader writes them: durations, instants by the utility's clocks, decimals. A sentence that is not known
stays English; the tests hold that every one that those modules write is known.
"""

import re
from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from api.words.language import Language
from api.words.presentation import N_
from api.words.vocabulary import phrase

_TIME = r"[\d.]+ (?:h|days)"
# What may stand for a field where it is not one word
_FORMS = {
    **dict.fromkeys(("reach", "away", "tolerance", "gap", "limit"), _TIME),
    **dict.fromkeys(("periods", "months", "measured", "needed", "count"), r"\d+"),
    **dict.fromkeys(("units", "meters", "parts", "before", "after", "rules", "error"), ".+"),
    "rule": r"[\w ]+?",
    "value": r"-?[\d.]+",
}
_WORD = r"\S+"
_RAN_OUT = N_("it ran out after %(verified)s, so nothing that the meter shows on %(day)s counts")
# As it is written, and where that reads otherwise on a page, as it is said
_TEXTS: tuple[str | tuple[str, str], ...] = (
    # Why a step of the ladder gave no value
    N_("the meter's own value for this instant is not there"),
    ("no usable one within %(reach)s", N_("no usable reading within %(reach)s")),
    (
        "the nearest is %(away)s away, the tolerance %(tolerance)s",
        N_("the nearest is %(away)s away, the tolerance is %(tolerance)s"),
    ),
    (
        "no usable reading within %(reach)s before the boundary",
        N_("no usable reading within %(reach)s before this instant"),
    ),
    (
        "no usable reading within %(reach)s after the boundary",
        N_("no usable reading within %(reach)s after this instant"),
    ),
    (
        "the gap of %(gap)s exceeds the limit of %(limit)s",
        N_("the gap between the readings beside it is %(gap)s, the limit is %(limit)s"),
    ),
    ("%(rule)s between the readings", N_("between the readings beside it: %(rule)s")),
    (
        "nothing that passed validation came in the submission window",
        N_("nothing that passed validation was handed in"),
    ),
    (
        "it stood in for %(periods)s periods running already",
        N_("it stood in already, in months running: %(periods)s"),
    ),
    (
        "of the %(months)s months before, %(measured)s were measured, and %(needed)s are needed",
        N_("months before: %(months)s, measured of them: %(measured)s, needed: %(needed)s"),
    ),
    _RAN_OUT,
    (f"%(meter)s: verification: {_RAN_OUT}", _RAN_OUT),
    (
        "no norm of %(obis)s holds on %(day)s, or what it is per is not known of the point",
        N_("no norm of %(obis)s holds on %(day)s, or what it is per is not known of the service point"),
    ),
    # Why a register has no billing reading
    N_("the meters of this period count in %(units)s"),
    N_("%(meter)s stood at %(start)s at the start and at %(end)s at the end"),
    (
        "%(meter)s has a %(rule)s at %(at)s and its capacity is not known",
        N_("%(meter)s: %(rule)s, %(at)s; how many digits it has is not known"),
    ),
    ("%(meter)s has a %(rule)s at %(at)s", N_("%(meter)s: %(rule)s, %(at)s")),
    (
        "the start is what was billed for %(month)s, which should be closed again first",
        N_("it starts with what was billed for %(month)s: close that month again first"),
    ),
    N_("%(meter)s has no usable reading for %(at)s"),
    N_("no meter was ever installed here"),
    ("the first meter was installed at %(at)s", N_("the first meter was installed %(at)s")),
    ("the last meter was removed at %(at)s", N_("the last meter was removed %(at)s")),
    (
        "one meter was removed at %(at)s and the next installed at %(next)s",
        N_("one meter was removed %(at)s and the next installed %(next)s"),
    ),
    N_("nothing was ever read of %(meters)s"),
    (
        "the tariffs differ from their total by %(amount)s %(unit)s (%(parts)s)",
        N_("the tariffs differ from their total by %(amount)s %(unit)s: %(parts)s"),
    ),
    (
        "the last before is %(before)s, the first after %(after)s",
        N_("the last before: %(before)s; the first after: %(after)s"),
    ),
    ("missing", N_("none")),
    ("%(value)s at %(at)s, marked %(rules)s", N_("%(value)s at %(at)s, marked: %(rules)s")),
    N_("%(value)s at %(at)s"),
    # Why something lies in quarantine
    N_("the utility %(utility)s is not registered"),
    N_("gateway %(gateway)s of %(utility)s is not registered"),
    N_("%(meter)s is not registered at %(utility)s"),
    N_("%(meter)s is read by another gateway than %(gateway)s"),
    N_("%(at)s is before the year 2000, or more than five minutes ahead"),
    N_("%(number)s is outside the range of a register"),
    N_("%(number)s %(unit)s is outside the range of a register in %(target)s"),
    N_("%(number)s %(unit)s is not a whole number of millionths of %(target)s"),
    N_("%(obis)s has no usual unit and the message names none"),
    N_("%(obis)s is measured in %(usual)s, not in %(unit)s"),
    N_("the meter has %(count)s registers already"),
    N_("another value of %(obis)s at %(at)s is stored"),
    N_("cannot be read: %(error)s"),
)


def _pattern(written: str) -> re.Pattern[str]:
    """Of the sentences that a template makes."""
    texts = re.split(r"%\((\w+)\)s", written)
    texts[::2] = map(re.escape, texts[::2])
    texts[1::2] = [f"(?P<{name}>{_FORMS.get(name, _WORD)})" for name in texts[1::2]]
    return re.compile("".join(texts))


_SENTENCES = tuple(
    (_pattern(written), said)
    for written, said in (one if isinstance(one, tuple) else (one, one) for one in _TEXTS)
)
_UNITS = ("unit", "target", "usual")
_NAMES = ("meter", "meters", "gateway", "utility", "obis", "error", "parts")


def translated(text: str, language: Language, zone: ZoneInfo) -> str:
    """A sentence, or several that semicolons part, in the reader's language."""
    return _one(text, language, zone) or "; ".join(
        _one(part, language, zone) or language.local_instants(part, zone) for part in text.split("; ")
    )


def is_known(text: str) -> bool:
    """True where every part of a sentence has a translation."""
    return all(any(pattern.fullmatch(part) for pattern, _ in _SENTENCES) for part in text.split("; "))


def _one(text: str, language: Language, zone: ZoneInfo) -> str | None:
    for pattern, known in _SENTENCES:
        if found := pattern.fullmatch(text):
            values = {
                name: _value(name, value, language, zone)
                for name, value in found.groupdict().items()
                if value is not None
            }
            return language.gettext(known, **values)
    return None


def _value(name: str, written: str, language: Language, zone: ZoneInfo) -> str:
    if name == "rule":
        return phrase(written.replace(" ", "_"), language)
    if name == "rules":
        return ", ".join(phrase(rule, language) for rule in written.split(" and "))
    if name == "month":
        return language.month(written)
    if name == "units":
        return ", ".join(language.unit(unit) for unit in written.split(" and "))
    if name in _UNITS:
        return language.unit(written)
    if name in ("before", "after"):
        return translated(written, language, zone)
    if name in _NAMES:
        return written
    number, _, unit = written.partition(" ")
    if unit in ("h", "days"):
        return language.duration(timedelta(hours=float(Decimal(number))) * (24 if unit == "days" else 1))
    return language.fact(written, zone)
