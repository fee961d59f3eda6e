"""How figures, times and names look to people: exact numbers, local times, plain words."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from api.models import decimal_text
from telemetry.units import UNITS

THIN_SPACE = "\u202f"  # narrow, and no line breaks there

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)")
_METHODS = {
    "set_day": "set day",
    "reading": "reading",
    "interpolation": "interpolated",
    "installation": "installation",
}


def number(micro: int) -> str:
    """The exact decimal of micro-units, thousands apart by a thin space: 37319000000 -> '37 319'."""
    return grouped(decimal_text(micro))


def grouped(decimal: str) -> str:
    """A decimal's text with thousands apart by a thin space and a true minus: '-37319.5' -> '−37 319.5'."""
    sign, digits = ("−", decimal[1:]) if decimal.startswith("-") else ("", decimal)
    whole, point, fraction = digits.partition(".")
    return sign + f"{int(whole):,}".replace(",", THIN_SPACE) + point + fraction


def unit_sign(code: str) -> str:
    """The sign of a UCUM code as people write it: 'kW.h' -> 'kWh'; the code itself where unknown."""
    known = UNITS.get(code)
    return known.sign if known else code


def local_time(instant: datetime, zone: ZoneInfo) -> str:
    """'21 Nov 2026, 14:30' by the utility's clocks."""
    local = instant.astimezone(zone)
    return f"{local.day} {local:%b %Y, %H:%M}"


def local_date(instant: datetime, zone: ZoneInfo) -> str:
    """'21 Nov 2026' by the utility's clocks."""
    local = instant.astimezone(zone)
    return f"{local.day} {local:%b %Y}"


def local_dates(start: datetime, end: datetime, zone: ZoneInfo) -> str:
    """'23 Oct – 22 Nov 2026' by the utility's clocks; both years where they differ."""
    first, last = start.astimezone(zone), end.astimezone(zone)
    year = "" if first.year == last.year else f" {first.year}"
    return f"{first.day} {first:%b}{year} – {last.day} {last:%b} {last.year}"


def age(instant: datetime, now: datetime) -> str:
    """How long ago, in one unit: '4 min ago'."""
    seconds = int((now - instant).total_seconds())
    if seconds < 0:
        return "in the future"
    for limit, size, name in ((90, 1, "s"), (5400, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds // size} {name} ago"
    return f"{seconds // 86_400} days ago"


def fact(value: object, zone: ZoneInfo) -> str:
    """A value of some evidence: instants by the utility's clocks, anything else as it was written."""
    if isinstance(value, str) and _INSTANT.fullmatch(value):
        try:
            return local_time(datetime.fromisoformat(value), zone)
        except ValueError:
            pass
    return str(value)


def local_instants(text: str, zone: ZoneInfo) -> str:
    """A sentence with its instants by the utility's clocks; what only looks like an instant stays."""
    return _INSTANT.sub(lambda found: fact(found[0], zone), text)


def in_words(name: str) -> str:
    """A short name of the store as a phrase: 'negative_step.glitch' -> 'Negative step: glitch'."""
    phrase = name.replace(".", ": ").replace("_", " ")
    return phrase[:1].upper() + phrase[1:]


def method_in_words(method: str) -> str:
    """How a boundary value was found."""
    return _METHODS.get(method, method.replace("_", " "))


def month_name(period: str) -> str:
    """'October 2026' for '2026-10'."""
    return f"{date.fromisoformat(period + '-01'):%B %Y}"


def neighbour_month(period: str, distance: int) -> str:
    """The period so many months later: ('2026-12', 1) -> '2027-01'."""
    year, month = (int(part) for part in period.split("-"))
    months = year * 12 + month - 1 + distance
    return f"{months // 12:04d}-{months % 12 + 1:02d}"


def hex_lines(raw: bytes, width: int = 16) -> list[tuple[str, str]]:
    """A telegram as lines of (offset, bytes), both hexadecimal."""
    return [(f"{start:04x}", raw[start : start + width].hex(" ")) for start in range(0, len(raw), width)]


@dataclass(frozen=True, slots=True)
class Sparkline:
    """Bars of daily consumption as two SVG paths, and the same in words for those who don't see them."""

    bars: str
    gaps: str  # a stroke on the ground for each day of which nothing is known
    width: int
    label: str


SPARK_HEIGHT = 24
_BAR, _STEP = 5, 7


def sparkline(values: Sequence[int | None], unit: str) -> Sparkline | None:
    """Bars for consecutive days (micro-units, None: unknown); None where no day is known."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    top = max(*known, 1)
    bars, gaps = [], []
    for place, value in enumerate(values):
        if value is None:
            gaps.append(f"M{place * _STEP} {SPARK_HEIGHT - 1}h{_BAR}v1h-{_BAR}z")
        else:
            height = max(1.0, round(value / top * SPARK_HEIGHT, 1))
            bars.append(f"M{place * _STEP} {SPARK_HEIGHT}v-{height:g}h{_BAR}v{height:g}z")
    label = f"{number(sum(known))} {unit_sign(unit)} in {len(known)} of the last {len(values)} days"
    return Sparkline("".join(bars), "".join(gaps), len(values) * _STEP - (_STEP - _BAR), label)


def local_midnights(now: datetime, zone: ZoneInfo, days: int) -> list[datetime]:
    """The last `days` + 1 local midnights, the earliest first, aware."""
    today = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    return [
        (today.replace(tzinfo=None) - timedelta(days=back)).replace(tzinfo=zone)
        for back in range(days, -1, -1)
    ]
