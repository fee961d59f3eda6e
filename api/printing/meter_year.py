"""A meter's year as a printed sheet: what was billed in each month, and which readings were left out and why.

A month that is closed shows its billing reading; one that is not, what the register did, as preliminary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from api.pages.meters.subject import RegisterView
from api.printing.pdf import Column, Letterhead, bars, heading, space, table, text
from api.words.language import Language
from api.words.mark_words import ReadingState, kind_of, reasons_of
from api.words.vocabulary import medium_name, method_name, quality_name, register_name
from metering.billing.differences import step
from metering.periods.calendar import neighbour
from store.fleet import meters as meter_queries
from store.readings import by_meter as reading_queries
from store.readings.by_meter import Bucket
from store.validation import judged_readings as judged_queries
from telemetry.quality import Quality

_LEFT_OUT = 400  # readings that are listed
_BILLS = 400  # months of all registers that the history is searched for
_LOOKBACK = timedelta(days=62)  # finds what January is counted from
_UNSURE = (Quality.ESTIMATED, Quality.INTERPOLATED, Quality.QUESTIONABLE)


@dataclass(frozen=True, slots=True)
class Month:
    """A month of the year; figures in micro-units, None where they are not known. `closed`: it was billed."""

    period: str
    start: int | None
    end: int | None
    consumption: int | None
    quality: str
    method: str
    closed: bool
    sure: bool = False


def months_of(about: RegisterView, year: int) -> list[Month]:
    """The months of the year that have begun, January first."""
    utility, register, language = about.utility, about.register, about.language
    billed = {bill.period: bill for bill in about.bills(_BILLS)}
    unbilled = {one.period: one for one in about.unbilled(_BILLS)}
    read = _read(about, year)
    found = []
    for number in range(1, 13):
        period = f"{year:04d}-{number:02d}"
        if datetime(year, number, 1, tzinfo=utility.zone) >= about.now:
            break
        bill, none = billed.get(period), unbilled.get(period)
        if bill is not None:
            methods = dict.fromkeys(
                method_name(one, language) for one in (bill.start_method, bill.end_method)
            )
            found.append(
                Month(
                    period,
                    bill.start_value,
                    bill.end_value,
                    bill.consumption,
                    quality_name(bill.quality, language),
                    " / ".join(methods),
                    closed=True,
                    sure=bill.quality not in _UNSURE,
                )
            )
            continue
        start, end = read.get(period, (None, None))
        counted = None if start is None or end is None else step(start, end, register.capacity)
        said = language.gettext("not billed") if none else language.gettext("not closed")
        why = none.reason.replace("_", " ") if none else language.gettext("preliminary, from readings")
        found.append(Month(period, start, end, counted, said, language.gettext(why), closed=False))
    return found


def _read(about: RegisterView, year: int) -> dict[str, tuple[int | None, int]]:
    """(start, end) of each month by the last usable readings of it and of the month before."""
    utility = about.utility
    series = reading_queries.series(
        about.store,
        about.register.id,
        start=datetime(year, 1, 1, tzinfo=utility.zone) - _LOOKBACK,
        end=min(about.now, datetime(year + 1, 1, 1, tzinfo=utility.zone) + timedelta(minutes=2)),
        bucket=Bucket.MONTH,
        time_zone=utility.time_zone,
    )
    found: dict[str, tuple[int | None, int]] = {}
    earlier: tuple[str, int] | None = None
    for bucket, _, value in series:
        period = f"{bucket.astimezone(utility.zone):%Y-%m}"
        follows = earlier is not None and neighbour(earlier[0], 1) == period
        found[period] = (earlier[1] if earlier and follows else None, value)
        earlier = (period, value)
    return found


def letterhead(about: RegisterView, year: int, printed: str) -> Letterhead:
    """Whose meter it is, where it was in that year, and until when its verification counts."""
    utility, meter, register, language = about.utility, about.meter, about.register, about.language
    starts, ends = (datetime(one, 1, 1, tzinfo=utility.zone) for one in (year, year + 1))
    say = language.gettext
    measured = f"{register_name(register.obis, language)} ({medium_name(meter.medium, language)})"
    facts = [
        (say("Meter"), " · ".join(part for part in (meter.code, meter.model) if part)),
        (say("Register"), f"{register.obis}, {measured}"),
    ]
    for one in meter_queries.installations(about.store, utility.id, meter.id):
        if one.valid_from >= ends or (one.valid_to is not None and one.valid_to <= starts):
            continue
        place = " · ".join(dict.fromkeys(part for part in (one.point_name, one.point_code) if part))
        until = language.local_date(one.valid_to, utility.zone) if one.valid_to else say("now")
        since = language.local_date(one.valid_from, utility.zone)
        facts.append((say("Service point"), f"{place} ({since} – {until})"))
        if one.account:
            facts.append((say("Customer account"), one.account))
    if meter.verified_until:
        facts.append((say("Verified until"), language.day(meter.verified_until)))
    title = say("Meter %(meter)s in %(year)s", meter=meter.code, year=year)
    return Letterhead(utility.name, title, facts, printed)


def story(about: RegisterView, year: int, months: Sequence[Month]) -> list[Any]:
    """The parts of the sheet below its letterhead."""
    language, register = about.language, about.register
    say, unit = language.gettext, language.unit(register.unit)
    parts = [heading(say("Month by month")), _months_table(months, unit, language)]
    if any(not month.closed for month in months):
        parts += [space(1.5), text(say("Preliminary figures are not billed and may change."), muted=True)]
    known = [month.consumption for month in months if month.consumption is not None]
    if known and register.kind == "counter":
        columns = [
            (language.month(month.period).split()[0][:3], month.consumption, month.closed and month.sure)
            for month in months
        ]
        parts += [
            heading(say("Consumption, %(unit)s", unit=unit) if unit else say("Consumption")),
            bars(columns, language.amount(max(known), register.unit), unknown="–"),
            text(say("Outlined: estimated, questionable or not billed."), muted=True, size=7.5),
        ]
    return [*parts, *_left_out(about, year)]


def _months_table(months: Sequence[Month], unit: str, language: Language) -> Any:
    say = language.gettext
    rows = [
        [
            language.month(month.period),
            *("–" if micro is None else language.number(micro) for micro in (month.start, month.end)),
            "–" if month.consumption is None else language.number(month.consumption),
            month.quality,
            month.method,
        ]
        for month in months
    ]
    billed = [month.consumption for month in months if month.closed and month.consumption is not None]
    total = [say("Billed in all"), "", "", language.number(sum(billed)), "", ""]
    measured = f", {unit}" if unit else ""
    columns = [
        Column(say("Month"), 17),
        Column(say("Register at the start") + measured, 15, right=True),
        Column(say("Register at the end") + measured, 15, right=True),
        Column(say("Consumption") + measured, 15, right=True),
        Column(say("Quality"), 14),
        Column(say("Method"), 24),
    ]
    return table(columns, [*rows, total], total=True)


def _left_out(about: RegisterView, year: int) -> list[Any]:
    """The readings that count for nothing, with the reason of each."""
    utility, register, language = about.utility, about.register, about.language
    say = language.gettext
    starts, ends = (datetime(one, 1, 1, tzinfo=utility.zone) for one in (year, year + 1))
    said = judged_queries.judged(about.store, register.id, starts, ends, _LEFT_OUT)
    rows = [
        [
            language.local_time(row.measured_at, utility.zone),
            language.amount(row.value, register.unit),
            reasons_of(row, register.unit, utility.zone, language),
        ]
        for row in said
        if kind_of(row) is ReadingState.EXCLUDED
    ]
    parts = [heading(say("Readings that were left out of accounting"))]
    if not rows:
        return [*parts, text(say("None in this year."), muted=True)]
    columns = [
        Column(say("Read"), 20),
        Column(say("Register value"), 18, right=True),
        Column(say("Reason"), 62),
    ]
    return [*parts, table(columns, rows)]
