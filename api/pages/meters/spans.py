"""Spans of a chart: those to choose from, their bounds, and the one that shows a finding."""

from datetime import date, datetime, timedelta
from enum import Enum
from typing import Annotated
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from fastapi import Query

from api.words.language import Language
from api.words.presentation import N_
from store.fleet.meters import RegisterRow
from store.readings.by_meter import Bucket
from store.validation.finding_list import ListedFinding

_HOUR = timedelta(hours=1)
_BUCKET_LENGTH = {
    Bucket.READING: timedelta(0),
    Bucket.HOUR: _HOUR,
    Bucket.DAY: timedelta(days=1),
    Bucket.MONTH: timedelta(days=31),
    Bucket.YEAR: timedelta(days=366),
}
_LONGEST = {  # the longest time that is shown in such buckets
    Bucket.READING: timedelta(days=7),
    Bucket.HOUR: timedelta(days=92),
    Bucket.DAY: timedelta(days=3 * 366),
    Bucket.MONTH: timedelta(days=12 * 366),
    Bucket.YEAR: timedelta(days=12 * 366),
}
_MISSED_READINGS = 3


_BUCKET_NAMES = {
    Bucket.READING: N_("by reading"),
    Bucket.HOUR: N_("by hour"),
    Bucket.DAY: N_("by day"),
    Bucket.MONTH: N_("by month"),
    Bucket.YEAR: N_("by year"),
}


def bucket_name(bucket: Bucket, language: Language) -> str:
    """Title of the bars: what is added up."""
    return language.gettext(_BUCKET_NAMES[bucket])


class Span(Enum):
    """Span of a chart: (name in the URL, words, days, its usual bucket)."""

    TWO_DAYS = ("2d", N_("2 days"), 2, Bucket.READING)
    WEEK = ("7d", N_("7 days"), 7, Bucket.HOUR)
    MONTH = ("30d", N_("30 days"), 30, Bucket.DAY)
    QUARTER = ("90d", N_("90 days"), 90, Bucket.DAY)
    YEAR = ("13m", N_("13 months"), 396, Bucket.DAY)
    LIFE = ("all", N_("all time"), 12 * 366, Bucket.MONTH)  # as far as there are readings

    def __init__(self, code: str, label: str, days: int, bucket: Bucket) -> None:
        self.code = code
        self.label = label
        self.days = days
        self.bucket = bucket

    def buckets(self, register: RegisterRow) -> list[Bucket]:
        """The buckets that this span can be shown in: some of them, and not too many."""
        return _buckets(timedelta(days=self.days), register)

    def bucket_for(self, register: RegisterRow, wanted: Bucket | None = None) -> Bucket:
        """The wanted bucket where it fits, else the usual one."""
        usable = self.buckets(register)
        return wanted if wanted in usable else self.bucket if self.bucket in usable else usable[0]


def finest(length: timedelta, register: RegisterRow) -> Bucket:
    """The bucket that shows the most of such a length that was zoomed into."""
    return _buckets(length, register)[0]


def _buckets(length: timedelta, register: RegisterRow) -> list[Bucket]:
    """The finest first. Single readings only where they are due more often than every hour."""
    hourly = register.expected_interval is not None and register.expected_interval >= _HOUR
    usable = [
        bucket
        for bucket, size in _BUCKET_LENGTH.items()
        if 2 * size <= length <= _LONGEST[bucket] and not (bucket is Bucket.READING and hourly)
    ]
    return usable or [Bucket.HOUR]


SpanCode = Annotated[str, Query(alias="range", pattern=f"^({'|'.join(span.code for span in Span)})$")]


def span_of(code: str) -> Span:
    """The span of this name, one of those that `SpanCode` lets in."""
    return next(span for span in Span if span.code == code)


def bounds(
    span: Span,
    to: date | None,
    register: RegisterRow | None,
    now: datetime,
    *,
    zone: ZoneInfo,
    bucket: Bucket | None = None,
    first: datetime | None = None,
) -> tuple[datetime, datetime]:
    """(start, end): up to the end of `to`, else to now, else to where the readings ended before this span.

    The start is that of a whole day, month or year where such buckets are shown, and not before the `first`
    reading where that is given.
    """
    days = timedelta(days=span.days)
    end = now
    if to is not None:
        following = datetime(to.year, to.month, to.day) + timedelta(days=1)  # noqa: DTZ001 - local wall time
        end = min(now, following.replace(tzinfo=zone))
    elif register is not None and register.measured_at is not None and register.measured_at < now - days:
        end = register.measured_at
    wall = end.astimezone(zone).replace(tzinfo=None) - days
    if first is not None:
        wall = max(wall, first.astimezone(zone).replace(tzinfo=None) - timedelta(seconds=1))
    shown = bucket or span.bucket
    if shown in (Bucket.DAY, Bucket.MONTH, Bucket.YEAR):
        wall = wall.replace(hour=0, minute=0, second=0, microsecond=0)
    if shown in (Bucket.MONTH, Bucket.YEAR):
        wall = wall.replace(day=1, month=1 if shown is Bucket.YEAR else wall.month)
    return wall.replace(tzinfo=zone), end


def gap_after(bucket: Bucket, expected_interval: timedelta | None) -> timedelta:
    """Time that two readings of a chart may lie apart before the time between them is shown as a gap."""
    return max(1.5 * _BUCKET_LENGTH[bucket], _MISSED_READINGS * (expected_interval or _HOUR))


def chart_of(finding: ListedFinding, now: datetime, zone: ZoneInfo) -> str:
    """The address of the chart that shows a finding with some time before and after it."""
    until = finding.ended_at or now
    length = until - finding.started_at
    if length <= timedelta(days=1):
        span, room = Span.WEEK, timedelta(days=3)
    elif length <= timedelta(days=20):
        span, room = Span.MONTH, timedelta(days=5)
    elif length <= timedelta(days=70):
        span, room = Span.QUARTER, timedelta(days=10)
    else:
        span, room = Span.YEAR, timedelta(days=20)
    query = {"register": finding.obis, "range": span.code}
    if until + room < now:
        query["to"] = (until + room).astimezone(zone).date().isoformat()
    return f"/meters/{quote(finding.meter, safe='')}?{urlencode(query)}"
