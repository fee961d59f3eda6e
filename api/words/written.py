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
_SENTENCES = tuple(
    (re.compile(pattern), text)
    for pattern, text in (
        # Why a step of the ladder gave no value
        (
            r"the meter's own value for this instant is not there",
            N_("the meter's own value for this instant is not there"),
        ),
        (rf"no usable one within (?P<reach>{_TIME})", N_("no usable reading within %(reach)s")),
        (
            rf"the nearest is (?P<away>{_TIME}) away, the tolerance (?P<tolerance>{_TIME})",
            N_("the nearest is %(away)s away, the tolerance is %(tolerance)s"),
        ),
        (
            rf"no usable reading within (?P<reach>{_TIME}) before the boundary",
            N_("no usable reading within %(reach)s before this instant"),
        ),
        (
            rf"no usable reading within (?P<reach>{_TIME}) after the boundary",
            N_("no usable reading within %(reach)s after this instant"),
        ),
        (
            rf"the gap of (?P<gap>{_TIME}) exceeds the limit of (?P<limit>{_TIME})",
            N_("the gap between the readings beside it is %(gap)s, the limit is %(limit)s"),
        ),
        (r"(?P<rule>\w+) between the readings", N_("between the readings beside it: %(rule)s")),
        (
            r"nothing that passed validation came in the submission window",
            N_("nothing that passed validation was handed in"),
        ),
        (
            r"it stood in for (?P<periods>\d+) periods running already",
            N_("it stood in already, in months running: %(periods)s"),
        ),
        (
            (
                r"of the (?P<months>\d+) months before, (?P<measured>\d+) were measured, "
                r"and (?P<needed>\d+) are needed"
            ),
            N_("months before: %(months)s, measured of them: %(measured)s, needed: %(needed)s"),
        ),
        (
            (
                r"(?:(?P<meter>\S+): verification: )?it ran out after (?P<verified>\S+), "
                r"so nothing that the meter shows on (?P<day>\S+) counts"
            ),
            N_("it ran out after %(verified)s, so nothing that the meter shows on %(day)s counts"),
        ),
        (
            r"no norm of (?P<obis>\S+) holds on (?P<day>\S+), or what it is per is not known of the point",
            N_("no norm of %(obis)s holds on %(day)s, or what it is per is not known of the service point"),
        ),
        # Why a register has no billing reading
        (
            r"the meters of this period count in (?P<units>.+)",
            N_("the meters of this period count in %(units)s"),
        ),
        (
            r"(?P<meter>\S+) stood at (?P<start>\S+) at the start and at (?P<end>\S+) at the end",
            N_("%(meter)s stood at %(start)s at the start and at %(end)s at the end"),
        ),
        (
            r"(?P<meter>\S+) has a (?P<rule>[\w ]+?) at (?P<at>\S+) and its capacity is not known",
            N_("%(meter)s: %(rule)s, %(at)s; how many digits it has is not known"),
        ),
        (r"(?P<meter>\S+) has a (?P<rule>[\w ]+?) at (?P<at>\S+)", N_("%(meter)s: %(rule)s, %(at)s")),
        (
            r"the start is what was billed for (?P<month>\S+), which should be closed again first",
            N_("it starts with what was billed for %(month)s: close that month again first"),
        ),
        (
            r"(?P<meter>\S+) has no usable reading for (?P<at>\S+)",
            N_("%(meter)s has no usable reading for %(at)s"),
        ),
        (r"no meter was ever installed here", N_("no meter was ever installed here")),
        (r"the first meter was installed at (?P<at>\S+)", N_("the first meter was installed %(at)s")),
        (r"the last meter was removed at (?P<at>\S+)", N_("the last meter was removed %(at)s")),
        (
            r"one meter was removed at (?P<at>\S+) and the next installed at (?P<next>\S+)",
            N_("one meter was removed %(at)s and the next installed %(next)s"),
        ),
        (r"nothing was ever read of (?P<meters>.+)", N_("nothing was ever read of %(meters)s")),
        (
            r"the tariffs differ from their total by (?P<amount>\S+) (?P<unit>\S+) \((?P<parts>.+)\)",
            N_("the tariffs differ from their total by %(amount)s %(unit)s: %(parts)s"),
        ),
        (
            r"the last before is (?P<before>.+), the first after (?P<after>.+)",
            N_("the last before: %(before)s; the first after: %(after)s"),
        ),
        (r"missing", N_("none")),
        (
            r"(?P<value>\S+) at (?P<at>\S+), marked (?P<rules>.+)",
            N_("%(value)s at %(at)s, marked: %(rules)s"),
        ),
        (r"(?P<value>-?[\d.]+) at (?P<at>\S+)", N_("%(value)s at %(at)s")),
        # Why something lies in quarantine
        (r"the utility (?P<utility>\S+) is not registered", N_("the utility %(utility)s is not registered")),
        (
            r"gateway (?P<gateway>\S+) of (?P<utility>\S+) is not registered",
            N_("gateway %(gateway)s of %(utility)s is not registered"),
        ),
        (
            r"(?P<meter>\S+) is not registered at (?P<utility>\S+)",
            N_("%(meter)s is not registered at %(utility)s"),
        ),
        (
            r"(?P<meter>\S+) is read by another gateway than (?P<gateway>\S+)",
            N_("%(meter)s is read by another gateway than %(gateway)s"),
        ),
        (
            r"(?P<at>\S+) is before the year 2000, or more than a day ahead",
            N_("%(at)s is before the year 2000, or more than a day ahead"),
        ),
        (
            r"(?P<number>\S+) is outside the range of a register",
            N_("%(number)s is outside the range of a register"),
        ),
        (
            r"(?P<number>\S+) (?P<unit>\S+) is outside the range of a register in (?P<target>\S+)",
            N_("%(number)s %(unit)s is outside the range of a register in %(target)s"),
        ),
        (
            r"(?P<number>\S+) (?P<unit>\S+) is not a whole number of millionths of (?P<target>\S+)",
            N_("%(number)s %(unit)s is not a whole number of millionths of %(target)s"),
        ),
        (
            r"(?P<obis>\S+) has no usual unit and the message names none",
            N_("%(obis)s has no usual unit and the message names none"),
        ),
        (
            r"(?P<obis>\S+) is measured in (?P<usual>\S+), not in (?P<unit>\S+)",
            N_("%(obis)s is measured in %(usual)s, not in %(unit)s"),
        ),
        (r"the meter has (?P<count>\d+) registers already", N_("the meter has %(count)s registers already")),
        (
            r"another value of (?P<obis>\S+) at (?P<at>\S+) is stored",
            N_("another value of %(obis)s at %(at)s is stored"),
        ),
        (r"cannot be read: (?P<error>.+)", N_("cannot be read: %(error)s")),
    )
)
_UNITS = ("unit", "target", "usual")
_NAMES = ("meter", "meters", "gateway", "utility", "obis", "error", "parts")


def translated(text: str, language: Language, zone: ZoneInfo) -> str:
    """A sentence, or several that semicolons part, in the reader's language."""
    whole = _one(text, language, zone)
    return (
        whole
        if whole is not None
        else "; ".join(
            _one(part, language, zone) or language.local_instants(part, zone) for part in text.split("; ")
        )
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
