"""Steps of the ladder in words: how a boundary value was found, why better ways gave none, and what an
estimate rests on."""

from collections.abc import Iterator
from datetime import timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from api.words.language import Language
from api.words.presentation import N_
from api.words.vocabulary import method_name
from api.words.written import translated
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


def found_by(boundary: BoundaryEvidence, language: Language) -> str:
    """Sentence on how the value at a boundary was found."""
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


def passed_over(boundary: BoundaryEvidence, zone: ZoneInfo, language: Language) -> Iterator[tuple[str, str]]:
    """(method, why it gave no value) for each better one than that which was taken."""
    for text in boundary.passed_over:
        method, _, why = text.partition(": ")
        yield method_name(method, language), translated(why, language, zone)


def rests_on(basis: EstimateBasis, unit: str, zone: ZoneInfo, language: Language) -> Iterator[str]:
    """Sentences on what an estimate was computed from."""
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
