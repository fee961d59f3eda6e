"""The languages of the pages: words from catalogues, and figures and times as each language writes them.

The English text is the key (`_("Open findings")`), so that a text without a translation can still be read.
Catalogues are GNU gettext `.po` files in `api/words/locale/<language>/`, one for each subject, read together
at the start; `scripts/catalogues` says what they lack, and the tests demand that they lack nothing.

Figures stay exact: the decimal mark is the language's, thousands are a thin space apart in all of them
(ISO 80000-1, 7.3.1).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from io import BytesIO
from pathlib import Path
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_datetime
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import get_decimal_symbol
from babel.support import NullTranslations, Translations
from fastapi import Request

from telemetry.micro import from_micro
from telemetry.units import UNITS

LOCALES = Path(__file__).resolve().parent / "locale"
COOKIE = "language"
THIN_SPACE = "\u202f"  # narrow, and no line breaks there

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)")
_DECIMAL = re.compile(r"-?\d+(\.\d+)?")
_DAY = "d MMM y"
_TIME = "HH:mm"


@dataclass(frozen=True, slots=True)
class Language:
    """A language that the pages can be read in."""

    code: str  # BCP 47, as in <html lang>
    name: str  # in the language itself
    locale: Locale
    words: NullTranslations

    def gettext(self, text: str, /, **values: object) -> str:
        """The text in this language, with `%(name)s` filled in where values are given."""
        return _filled(self.words.gettext(text), values)

    def ngettext(self, one: str, more: str, count: int, /, **values: object) -> str:
        """The form for this number: 'one finding', '3 findings'; `%(num)s` is the number itself."""
        return _filled(self.words.ngettext(one, more, count), {"num": count, **values})

    def number(self, micro: int) -> str:
        """The exact decimal of micro-units, thousands apart: 37319500000 -> '37 319.5'."""
        return self.decimal(format(from_micro(micro), "f"))

    def decimal(self, written: str) -> str:
        """A decimal's text as this language writes it, with a true minus: '-37319.5' -> '−37 319,5'."""
        sign, digits = ("−", written[1:]) if written.startswith("-") else ("", written)
        whole, point, fraction = digits.partition(".")
        grouped = f"{int(whole):,}".replace(",", THIN_SPACE)
        return sign + grouped + (str(get_decimal_symbol(self.locale)) if point else "") + fraction

    def count(self, number: int) -> str:
        """A count with its thousands apart."""
        return self.decimal(str(number))

    def percent(self, share: float, digits: int = 0) -> str:
        """A share of one: 0.987 -> '99 %'. Only all is '100 %', and only nothing '0 %'."""
        scaled = round(share * 100, digits)
        smallest = float(10**-digits)
        if share < 1 and scaled >= 100:
            scaled = 100 - smallest
        if share > 0 and scaled <= 0:
            scaled = smallest
        return f"{self.decimal(f'{scaled:.{digits}f}')}{THIN_SPACE}%"

    def unit(self, code: str) -> str:
        """The sign of a UCUM code as people write it: 'kW.h' -> 'kWh'; the code itself where unknown."""
        known = UNITS.get(code)
        if known is None:
            return code
        return self.gettext(known.sign) if known.sign else ""

    def amount(self, micro: int, unit: str) -> str:
        """A figure with its unit: '7 229.96 kWh'."""
        sign = self.unit(unit)
        return self.number(micro) + (THIN_SPACE + sign if sign else "")

    def local_time(self, instant: datetime, zone: ZoneInfo) -> str:
        """'21 Nov 2026, 14:30' by the utility's clocks."""
        local = instant.astimezone(zone)
        return f"{self.day(local)}, {format_datetime(local, _TIME, locale=self.locale)}"

    def local_date(self, instant: datetime, zone: ZoneInfo) -> str:
        """'21 Nov 2026' by the utility's clocks."""
        return self.day(instant.astimezone(zone))

    def day(self, day: date) -> str:
        """'21 Nov 2026'."""
        return format_date(day, _DAY, locale=self.locale)

    def local_dates(self, start: datetime, end: datetime, zone: ZoneInfo) -> str:
        """'23 Oct – 22 Nov 2026' by the utility's clocks; both years where they differ."""
        first, last = start.astimezone(zone), end.astimezone(zone)
        short = "d MMM" if first.year == last.year else _DAY
        return f"{format_date(first, short, locale=self.locale)} – {self.day(last)}"

    def month(self, period: str) -> str:
        """'October 2026' for '2026-10'."""
        return format_date(date.fromisoformat(period + "-01"), "LLLL y", locale=self.locale)

    def age(self, instant: datetime, now: datetime) -> str:
        """Time since then, in one unit: '4 minutes ago'."""
        seconds = int((now - instant).total_seconds())
        if seconds < 0:
            return self.gettext("in the future")
        if seconds < 60:
            return self.gettext("less than a minute ago")
        if seconds < 5400:
            return self.ngettext("%(num)s minute ago", "%(num)s minutes ago", seconds // 60)
        if seconds < 172_800:
            return self.ngettext("%(num)s hour ago", "%(num)s hours ago", seconds // 3600)
        return self.ngettext("%(num)s day ago", "%(num)s days ago", seconds // 86_400)

    def duration(self, length: timedelta) -> str:
        """'40 s', '12 min', '3 h 5 min', '2 days 4 h': at most two units, rounded down."""
        minutes, seconds = divmod(int(length.total_seconds()), 60)
        hours, minutes = divmod(minutes, 60)
        days, hours = divmod(hours, 24)
        parts = [
            self.ngettext("%(num)s day", "%(num)s days", days) if days else "",
            self.gettext("%(count)s h", count=hours) if hours else "",
            self.gettext("%(count)s min", count=minutes) if minutes and not days else "",
        ]
        written = " ".join(part for part in parts if part)
        return written or self.gettext("%(count)s s", count=seconds)

    def fact(self, value: object, zone: ZoneInfo) -> str:
        """A value of some evidence: instants by the utility's clocks, decimals as written here."""
        if isinstance(value, str) and _INSTANT.fullmatch(value):
            try:
                return self.local_time(datetime.fromisoformat(value), zone)
            except ValueError:
                return value
        written = str(value)
        return self.decimal(written) if _DECIMAL.fullmatch(written) else written

    def local_instants(self, text: str, zone: ZoneInfo) -> str:
        """A sentence with its instants by the utility's clocks; what only looks like an instant stays."""
        return _INSTANT.sub(lambda found: self.fact(found[0], zone), text)


@cache
def languages() -> Mapping[str, Language]:
    """All of them by code, English first."""
    known = {"en": "English", "ru": "Русский", "uk": "Українська"}
    return {code: Language(code, name, Locale.parse(code), _words(code)) for code, name in known.items()}


def english() -> Language:
    """The language of those whom nobody has asked."""
    return languages()["en"]


def language_of(request: Request) -> Language:
    """Language that was chosen on a page, else the best of those that the browser wants, else English."""
    offered = languages()
    chosen = request.cookies.get(COOKIE, "")
    if chosen in offered:
        return offered[chosen]
    for wanted in _by_preference(request.headers.get("accept-language", "")):
        if wanted in offered:
            return offered[wanted]
    return english()


def _by_preference(header: str) -> list[str]:
    """Primary subtags of Accept-Language, the most wanted first (RFC 9110, 12.5.4)."""
    weighted: list[tuple[float, str]] = []
    for part in header[:500].split(","):
        tag, _, parameter = part.strip().partition(";")
        weight = re.fullmatch(r"\s*q=(0(\.\d{0,3})?|1(\.0{0,3})?)\s*", parameter) if parameter else None
        quality = float(weight[1]) if weight else (0.0 if parameter else 1.0)
        if quality:
            weighted.append((quality, tag.split("-")[0].lower()))
    return [tag for _, tag in sorted(weighted, key=lambda one: -one[0])]


def catalogue(code: str) -> Catalog:
    """All messages of a language's `.po` files in one catalogue."""
    merged = Catalog(locale=code)
    for path in sorted((LOCALES / code).glob("*.po")):
        with path.open("rb") as file:
            for message in read_po(file, locale=code, abort_invalid=True):
                if message.id:
                    merged.add(message.id, message.string, context=message.context)
    return merged


def _words(code: str) -> NullTranslations:
    if code == "en":
        return NullTranslations()
    compiled = BytesIO()
    write_mo(compiled, catalogue(code))
    compiled.seek(0)
    return Translations(compiled)


def _filled(text: str, values: Mapping[str, object]) -> str:
    return text % values if values else text
