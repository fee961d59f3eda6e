"""Steps of the ladder in words: how a boundary value was found, why better ways gave none, what an estimate
rests on. The closes write those reasons in English (`metering/billing/boundary.py`, `estimate.py`).
"""

import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

from api.words.language import Language
from api.words.presentation import N_
from api.words.vocabulary import method_name, phrase
from metering.billing.evidence import BoundaryEvidence, EstimateBasis
from telemetry.micro import to_micro

_FOUND = {
    "set_day": N_("The value that the meter itself kept for this instant."),
    "interpolation": N_("On the straight line from the last usable reading before to the first one after."),
    "installation": N_("Written down by the person who installed or removed the meter."),
    "handed_in": N_("Handed in by a person for this period."),
    "average": N_("Estimated by what was used in the months before that were measured."),
    "normative": N_("Estimated by the norm of the service point."),
}
_TIME = r"(?:[\d.]+ (?:h|days))"
_WHY = tuple(
    (re.compile(pattern), text)
    for pattern, text in (
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
            r"it ran out after (?P<verified>\S+), so nothing that the meter shows on (?P<day>\S+) counts",
            N_("it ran out after %(verified)s, so nothing that the meter shows on %(day)s counts"),
        ),
        (
            r"no norm of (?P<obis>\S+) holds on (?P<day>\S+), or what it is per is not known of the point",
            N_("no norm of %(obis)s holds on %(day)s, or what it is per is not known of the service point"),
        ),
    )
)


def found_by(boundary: BoundaryEvidence, language: Language) -> str:
    """How the value at a boundary was found, as a sentence."""
    if boundary.method == "reading" and boundary.readings:
        distance = boundary.readings[0].at - boundary.instant
        if not distance:
            return language.gettext("A reading at this very instant.")
        written = language.duration(abs(distance))
        if distance < timedelta(0):
            return language.gettext(
                "The nearest usable reading, %(distance)s before this instant.", distance=written
            )
        return language.gettext(
            "The nearest usable reading, %(distance)s after this instant.", distance=written
        )
    method = boundary.method or "nothing"
    if method in _FOUND:
        return language.gettext(_FOUND[method])
    return language.gettext("Found by: %(method)s.", method=method_name(method, language))


def passed_over(boundary: BoundaryEvidence, language: Language) -> Iterator[tuple[str, str]]:
    """(method, why it gave no value) for each better one than that which was taken."""
    for text in boundary.passed_over:
        method, _, why = text.partition(": ")
        yield method_name(method, language), why_not(why, language)


def why_not(why: str, language: Language) -> str:
    """A close's reason in the reader's language; what is not known is told as it was written."""
    for pattern, text in _WHY:
        found = pattern.fullmatch(why)
        if found:
            values = {name: _value(name, value, language) for name, value in found.groupdict().items()}
            return language.gettext(text, **values)
    return why


def _value(name: str, written: str, language: Language) -> str:
    if name == "rule":
        return phrase(written, language)
    number, _, unit = written.partition(" ")
    if unit not in {"h", "days"}:
        return written
    return language.duration(timedelta(hours=float(Decimal(number))) * (24 if unit == "days" else 1))


def rests_on(basis: EstimateBasis, unit: str, zone: ZoneInfo, language: Language) -> Iterator[str]:
    """What an estimate was computed from, in sentences."""
    if basis.periods is not None and basis.consumption is not None and basis.hours is not None:
        hours, used = Fraction(basis.hours), to_micro(basis.consumption)
        yield language.gettext(
            "In the measured months %(months)s together %(used)s were used in %(time)s.",
            months=", ".join(language.month(period) for period in basis.periods),
            used=language.amount(used, unit),
            time=language.duration(timedelta(hours=float(hours))),
        )
        daily = round(Fraction(used) * 24 / hours) if hours else 0
        yield language.gettext(
            "That is %(amount)s a day, for every day since the last value that counts.",
            amount=language.amount(round(daily, -3), unit),
        )
    if basis.monthly is not None:
        yield language.gettext(
            "The norm of the service point is %(amount)s a month.",
            amount=language.amount(to_micro(basis.monthly), unit),
        )
    yield language.gettext(
        "The last measured value is %(value)s of %(at)s. When the meter is read again, the difference is "
        "settled as a line of its own.",
        value=language.amount(to_micro(basis.measured.value), unit),
        at=language.local_time(basis.measured.instant, zone),
    )
