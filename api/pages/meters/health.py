"""Reading health of a meter: the last success, the share that arrived, what was missed, and why."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from api.pages.frame.visit import Visit
from store.fleet.meters import MeterRow
from store.readings import meter_health as queries
from store.readings.meter_health import ReasonRow, StatusRow
from telemetry.status import Status

DAYS = 30
STRIP_HEIGHT = 28
_CELL, _STEP = 9, 11


@dataclass(frozen=True, slots=True)
class StripCell:
    """A day of the strip: how high its bar is, and it in words. `state`: all, some, none, unknown; today."""

    x: int
    height: float
    state: str
    label: str


@dataclass(frozen=True, slots=True)
class ReadingHealth:
    """`last` is (read at, received at); `arrived` the share of what was due in DAYS, None: nothing was."""

    last: tuple[datetime, datetime] | None
    due: int
    arrived: int
    missed: int
    cells: list[StripCell]
    reasons: list[ReasonRow]
    complaints: list[tuple[list[str], StatusRow]]
    width: int = DAYS * _STEP - (_STEP - _CELL)

    @property
    def share(self) -> float | None:
        """Share of what was due that arrived; None where nothing was."""
        return self.arrived / self.due if self.due else None


def health_of(visit: Visit, meter: MeterRow) -> ReadingHealth:
    """Of the last DAYS whole days and today."""
    store, today, now = visit.store, visit.today, visit.now
    first = today - timedelta(days=DAYS - 1)
    rows = {row.day: row for row in queries.days(store, meter.id, first, today)}
    since = datetime(first.year, first.month, first.day, tzinfo=visit.utility.zone)
    past = [row for row in rows.values() if row.day < today]
    return ReadingHealth(
        last=queries.last_arrival(store, meter.id),
        due=sum(row.due for row in past),
        arrived=sum(row.arrived for row in past),
        missed=sum(row.missed for row in rows.values()),
        cells=[_cell(visit, place, first + timedelta(days=place), rows) for place in range(DAYS)],
        reasons=queries.reasons(store, meter.id, since, now),
        complaints=[
            (Status(row.status).labels(), row) for row in queries.complaints(store, meter.id, since, now)
        ],
    )


def _cell(visit: Visit, place: int, day: date, rows: Mapping[date, queries.DayRow]) -> StripCell:
    x, row, language = place * _STEP, rows.get(day), visit.language
    if row is None or (not row.due and not row.missed):
        label = language.gettext("%(day)s: nothing known", day=language.day(day))
        return StripCell(x, 1, "unknown", label)
    share = row.arrived / row.due if row.due else 0.0
    label = language.gettext(
        "%(day)s: %(arrived)s of %(due)s arrived, %(missed)s polls without an answer",
        day=language.day(day),
        arrived=row.arrived,
        due=row.due,
        missed=row.missed,
    )
    state = "today" if place == DAYS - 1 else "all" if share >= 1 else "some" if share > 0 else "none"
    return StripCell(x, max(1.0, round(share * STRIP_HEIGHT, 1)), state, label)
