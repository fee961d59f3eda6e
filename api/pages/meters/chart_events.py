"""Events on the axis of time: exchanges of meters, billing boundaries, ends of verification."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta

from api.pages.meters.subject import RegisterView
from api.words.language import Language
from api.words.vocabulary import method_name
from store.billing.issued import IssuedReading
from store.fleet import meters as meter_queries
from store.fleet.meters import InstallationRow

_BILLS = 60  # months of a few registers


@dataclass(frozen=True, slots=True)
class Event:
    """`kind` is 'swap', 'boundary' or 'verification'; `reason` says what happened there."""

    kind: str
    at: datetime
    title: str
    reason: str
    href: str | None = None


def events(about: RegisterView, start: datetime, end: datetime) -> list[Event]:
    """All of them from `start` to `end`, the earliest first."""
    found = [*_swaps(about), *_boundaries(about), *_verifications(about)]
    return sorted((one for one in found if start <= one.at <= end), key=lambda one: one.at)


def _swaps(about: RegisterView) -> list[Event]:
    say = about.language.gettext
    others = meter_queries.exchanges(about.store, about.utility.id, about.meter.id)
    found = []
    for one in meter_queries.installations(about.store, about.utility.id, about.meter.id):
        before = next((other.meter for other in others if _follows(one, other)), None)
        after = next((other.meter for other in others if _follows(other, one)), None)
        place = one.point_name or one.point_code
        found.append(
            Event(
                "swap",
                one.valid_from,
                say("Installed"),
                say("At %(place)s, in place of %(meter)s", place=place, meter=before)
                if before
                else say("At %(place)s", place=place),
            )
        )
        if one.valid_to is not None:
            found.append(
                Event(
                    "swap",
                    one.valid_to,
                    say("Removed"),
                    say("From %(place)s, where %(meter)s followed", place=place, meter=after)
                    if after
                    else say("From %(place)s", place=place),
                )
            )
    return found


def _follows(later: InstallationRow, earlier: InstallationRow) -> bool:
    """True where a meter took the other one's place, within a week."""
    return (
        later.point_code == earlier.point_code
        and earlier.valid_to is not None
        and timedelta(0) <= later.valid_from - earlier.valid_to < timedelta(days=7)
    )


def _boundaries(about: RegisterView) -> list[Event]:
    """The ends of billed months, and the beginning of the first one."""
    bills = about.bills(_BILLS)
    found = [_boundary(bill, about.language, at_the_end=True) for bill in bills]
    if bills:
        first = bills[-1]
        found.append(_boundary(first, about.language, at_the_end=False))
    return found


def _boundary(bill: IssuedReading, language: Language, *, at_the_end: bool) -> Event:
    at, value, method = (
        (bill.ends_at, bill.end_value, bill.end_method)
        if at_the_end
        else (bill.starts_at, bill.start_value, bill.start_method)
    )
    return Event(
        "boundary",
        at,
        language.gettext("Billing boundary"),
        language.gettext(
            "%(month)s: %(value)s, %(method)s",
            month=language.month(bill.period),
            value=language.amount(value, bill.unit),
            method=method_name(method, language),
        ),
        f"/billing/{bill.id}",
    )


def _verifications(about: RegisterView) -> list[Event]:
    """The first instant that a verification does not cover, for each that no other takes up."""
    language, known = about.language, meter_queries.verifications(about.store, about.meter.id)
    last_days = {one.valid_until for one in known}
    if about.meter.verified_until is not None:
        last_days.add(about.meter.verified_until)
    return [
        Event(
            "verification",
            datetime.combine(day + timedelta(days=1), time(), about.zone),
            language.gettext("Verification ends"),
            language.gettext("%(day)s was its last day", day=language.day(day)),
        )
        for day in last_days
        if not any(one.verified_on <= day < one.valid_until for one in known)
    ]
