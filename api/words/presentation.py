"""Presentation of names, days and bytes, whatever the language (which `api/words/language.py` knows)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from api.words.language import Language


def N_(text: str) -> str:  # noqa: N802 - the name that gettext's tools know
    """Marks a text of a table for the catalogues; it is translated where it is used."""
    return text


def in_words(name: str) -> str:
    """A short name of the store as a phrase: 'negative_step.glitch' -> 'Negative step: glitch'."""
    phrase = name.replace(".", ": ").replace("_", " ")
    return phrase[:1].upper() + phrase[1:]


def hex_lines(raw: bytes, width: int = 16) -> list[tuple[str, str]]:
    """A telegram as lines of (offset, bytes), both hexadecimal."""
    return [(f"{start:04x}", raw[start : start + width].hex(" ")) for start in range(0, len(raw), width)]


@dataclass(frozen=True, slots=True)
class Expiry:
    """Standing of a verification: `state` is good, soon or over, and the same in words."""

    state: str
    words: str


_SOON = 60  # days


def expiry(last_day: date, today: date, language: Language) -> Expiry:
    """Time left until the last day of something, or since then."""
    days = (last_day - today).days
    if days < 0:
        return Expiry("over", language.ngettext("expired %(num)s day ago", "expired %(num)s days ago", -days))
    if days <= _SOON:
        left = language.ngettext("%(num)s day left", "%(num)s days left", days)
        return Expiry("soon", language.gettext("its last day is today") if days == 0 else left)
    months = days // 30
    if months < 24:
        return Expiry("good", language.ngettext("%(num)s month left", "%(num)s months left", months))
    return Expiry("good", language.ngettext("%(num)s year left", "%(num)s years left", days // 365))


@dataclass(frozen=True, slots=True)
class Sparkline:
    """Bars of daily consumption as two SVG paths, and the same in words for those who don't see them."""

    bars: str
    gaps: str  # a stroke on the ground for each day of which nothing is known
    width: int
    label: str


SPARK_HEIGHT = 24
_BAR, _STEP = 5, 7


def sparkline(values: Sequence[int | None], unit: str, language: Language) -> Sparkline | None:
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
    label = language.gettext(
        "%(amount)s in %(known)s of the last %(days)s days",
        amount=language.amount(sum(known), unit),
        known=len(known),
        days=len(values),
    )
    return Sparkline("".join(bars), "".join(gaps), len(values) * _STEP - (_STEP - _BAR), label)


def local_midnights(now: datetime, zone: ZoneInfo, days: int) -> list[datetime]:
    """The last `days` + 1 local midnights, the earliest first, aware."""
    today = now.astimezone(zone).date()
    return [datetime.combine(today - timedelta(days=back), time(), zone) for back in range(days, -1, -1)]
