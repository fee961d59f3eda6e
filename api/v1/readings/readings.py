"""`/v1/meters/{id}/readings`, raw or effective, and `/consumption` by the local calendar; `/v1/telegrams`.

A consumption is the difference of two readings, and says which: periods add up to what the register counted,
also over days of 23 and 25 hours and over gaps. Billing has its own way (`/v1/billing`).
"""

import re
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import Query, Request
from pydantic import AwareDatetime, BaseModel, Field

from api.identity.authentication import KeyCaller, Store, requires
from api.v1.billing.evidence import telegram_path
from api.v1.models import (
    Instant,
    Reading,
    ReadingPage,
    StoredTelegram,
    decimal_text,
    document_of,
    local_instant,
)
from api.v1.registry.meters import MeterId, find_meter
from api.v1.routing import resources
from api.web.problems import invalid, not_found
from api.web.services import services
from metering.access import Scope
from metering.billing.differences import ROUND, step
from store.fleet import meters as meter_queries
from store.readings import by_meter as reading_queries
from store.readings.by_meter import Bucket, View
from telemetry.obis import RegisterKind
from telemetry.status import Status

router = resources("readings")

DEFAULT_SPAN = timedelta(days=31)
LONGEST_SPAN = timedelta(days=400)
_LONGEST = {
    Bucket.READING: timedelta(days=31),
    Bucket.HOUR: timedelta(days=100),
    Bucket.DAY: LONGEST_SPAN,
    Bucket.MONTH: timedelta(days=3 * 366),
    Bucket.YEAR: timedelta(days=10 * 366),
}
_LOOKBACK = timedelta(days=2)  # finds what the first period is counted from
_DAY = timedelta(days=1)
_CURSOR = re.compile(r"(-?\d{1,18})\.(\d{1,10})")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

ObisText = Annotated[str | None, Query(pattern=r"^\d{1,3}-\d{1,3}:\d{1,3}\.\d{1,3}\.\d{1,3}$")]


class CounterReading(BaseModel):
    """Value that a register showed, and when it was read."""

    at: Instant
    value: str


class ConsumptionPeriod(BaseModel):
    """From `starts_at` to `ends_at`, counted between two readings: the last ones up to either end.

    `consumption` null: the register fell in between, and was not near its top.
    """

    starts_at: Instant
    ends_at: Instant
    first: CounterReading
    last: CounterReading
    consumption: str | None


class Consumption(BaseModel):
    """A register's consumption; a period without a reading is not listed, and what it used is in the next."""

    meter: str
    obis: str
    unit: str
    by: Bucket
    from_: date = Field(serialization_alias="from")
    to: date
    periods: list[ConsumptionPeriod]


@router.get(
    "/meters/{meter_id}/readings",
    dependencies=[requires(Scope.READINGS_READ)],
    summary="List the readings of a meter",
)
def list_readings(
    *,
    request: Request,
    caller: KeyCaller,
    store: Store,
    meter_id: MeterId,
    obis: ObisText = None,
    view: View = View.RAW,
    start: Annotated[AwareDatetime | None, Query(alias="from")] = None,
    end: Annotated[AwareDatetime | None, Query(alias="to")] = None,
    cursor: Annotated[str | None, Query(max_length=40)] = None,
    limit: Annotated[int, Query(ge=1, le=5000)] = 500,
) -> ReadingPage:
    """From `from` (included) to `to` (not), by instant: by default the last 31 days, at most 400 days.

    `raw` is all that was stored; `effective` leaves out what rules or people found unusable.
    """
    row = find_meter(caller, store, meter_id)
    until = end or services(request).clock()
    since = start or until - DEFAULT_SPAN
    if not timedelta(0) < until - since <= LONGEST_SPAN:
        raise invalid(
            "query.from", f"`from` has to lie before `to`, at most {LONGEST_SPAN.days} days; ask in parts."
        )
    rows = reading_queries.readings_page(
        store,
        row.id,
        obis=obis,
        view=view,
        start=since,
        end=until,
        after=_reading_cursor(cursor),
        limit=limit + 1,
    )
    page = rows[:limit]
    zone = caller.utility.zone
    return ReadingPage(
        meter=row.code,
        from_=since,
        to=until,
        view=view,
        readings=[
            document_of(
                Reading,
                reading,
                measured_at=local_instant(reading.measured_at, zone),
                marks=reading.rules,
                status=Status(reading.status).labels(),
                telegram=telegram_path(row.code, reading.measured_at),
            )
            for reading in page
        ],
        next_cursor=_write_cursor(page[-1]) if len(rows) > limit else None,
    )


@router.get(
    "/meters/{meter_id}/consumption",
    dependencies=[requires(Scope.READINGS_READ)],
    summary="List the consumption of a register by calendar",
)
def get_consumption(
    *,
    request: Request,
    caller: KeyCaller,
    store: Store,
    meter_id: MeterId,
    by: Bucket = Bucket.DAY,
    obis: ObisText = None,
    start: Annotated[date | None, Query(alias="from", description="The first local day.")] = None,
    end: Annotated[date | None, Query(alias="to", description="The local day after the last.")] = None,
) -> Consumption:
    """Consumption by effective readings. Default: the last 31 days up to today, of the first billed register.

    `from` is taken back to the first day of its month or year where those are asked for.
    """
    zone = caller.utility.zone
    row = find_meter(caller, store, meter_id)
    register = _counter(meter_queries.registers(store, row.id), obis)
    until = end or services(request).clock().astimezone(zone).date() + _DAY
    since = _first_day(start or until - DEFAULT_SPAN, by)
    if not timedelta(0) < until - since <= _LONGEST[by]:
        raise invalid(
            "query.from",
            f"`from` has to lie before `to`, by {by} at most {_LONGEST[by].days} days; ask in parts.",
        )
    first = _midnight(since, zone)
    series = reading_queries.series(
        store,
        register.id,
        start=first - _LOOKBACK,
        end=_midnight(until, zone) + ROUND,
        bucket=by,
        time_zone=zone.key,
    )
    return Consumption(
        meter=row.code,
        obis=register.obis,
        unit=register.unit,
        by=by,
        from_=since,
        to=until,
        periods=[
            _period(earlier, later, by, register.capacity, zone)
            for earlier, later in pairwise(series)
            if later[0] >= first
        ],
    )


@router.get(
    "/telegrams/{meter_id}/{measured_at}",
    dependencies=[requires(Scope.TELEGRAMS_READ)],
    summary="Get the telegram behind a reading",
)
def get_telegram(
    caller: KeyCaller, store: Store, meter_id: MeterId, measured_at: AwareDatetime
) -> StoredTelegram:
    """The telegram as the meter sent it, and the message that brought it."""
    row = find_meter(caller, store, meter_id)
    found = reading_queries.telegram(store, caller.utility.id, row.id, measured_at)
    if found is None:
        raise not_found(
            f"A telegram of {row.code} at that instant",
            "Imported readings have none, and telegrams are kept for a limited time.",
        )
    return document_of(StoredTelegram, found, meter=row.code, raw=found.raw.hex())


def _counter(registers: list[meter_queries.RegisterRow], obis: str | None) -> meter_queries.RegisterRow:
    """The register that is meant. Raises Problem."""
    counters = [one for one in registers if one.kind == RegisterKind.COUNTER.value]
    for register in counters:
        if obis in (None, register.obis):
            return register
    known = ", ".join(one.obis for one in counters) or "none"
    raise invalid("query.obis", f"Consumption is counted by counters; this meter has: {known}.")


def _period(
    earlier: tuple[datetime, datetime, int],
    later: tuple[datetime, datetime, int],
    by: Bucket,
    capacity: int | None,
    zone: ZoneInfo,
) -> ConsumptionPeriod:
    bucket, at, value = later
    used = step(earlier[2], value, capacity)
    starts_at, ends_at = (earlier[1], at) if by is Bucket.READING else (bucket, _end(bucket, by, zone))
    return ConsumptionPeriod(
        starts_at=local_instant(starts_at, zone),
        ends_at=local_instant(ends_at, zone),
        first=CounterReading(at=local_instant(earlier[1], zone), value=decimal_text(earlier[2])),
        last=CounterReading(at=local_instant(at, zone), value=decimal_text(value)),
        consumption=None if used is None else decimal_text(used),
    )


def _first_day(day: date, by: Bucket) -> date:
    if by is Bucket.YEAR:
        return day.replace(month=1, day=1)
    return day.replace(day=1) if by is Bucket.MONTH else day


def _end(start: datetime, by: Bucket, zone: ZoneInfo) -> datetime:
    """Where the period that begins at `start` ends: days and longer ones by the local calendar."""
    if by is Bucket.HOUR:
        return start + timedelta(hours=1)
    longest = {Bucket.DAY: 1, Bucket.MONTH: 31, Bucket.YEAR: 366}[by]
    within = start.astimezone(zone).date() + longest * _DAY  # in the period that follows
    return _midnight(_first_day(within, by), zone)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def _reading_cursor(text: str | None) -> tuple[datetime, int] | None:
    """A cursor is `<microseconds since 1970>.<register id>` of the last reading seen."""
    if text is None:
        return None
    match = _CURSOR.fullmatch(text)
    if match and int(match[2]) < 2**31:
        try:
            return _EPOCH + timedelta(microseconds=int(match[1])), int(match[2])
        except OverflowError:
            pass
    raise invalid("query.cursor", "The cursor is not one of ours: give `next_cursor` of the page before.")


def _write_cursor(row: reading_queries.ReadingRow) -> str:
    return f"{(row.measured_at - _EPOCH) // timedelta(microseconds=1)}.{row.register_id}"
