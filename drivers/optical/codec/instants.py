"""Dates and times as meters write them, and as they want them written: local time, with or without a season.

The season is one digit in front: 0 winter, 1 summer, 2 UTC (VDEW Lastenheft 2.1.2: ZST10, ZSTs11, ZST12
and ZSTs13).
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo

# How registers show a time of day and a date, as strptime reads and strftime writes it; `s` is the season
_TIMES = (
    (re.compile(r"\d{6}"), "%H%M%S"),
    (re.compile(r"[012]\d{6}"), "s%H%M%S"),
    (re.compile(r"\d\d:\d\d:\d\d"), "%H:%M:%S"),
)
_DATES = (
    (re.compile(r"\d{6}"), "%y%m%d"),
    (re.compile(r"[012]\d{6}"), "s%y%m%d"),
    (re.compile(r"\d\d-\d\d-\d\d"), "%y-%m-%d"),
    (re.compile(r"\d{4}-\d\d-\d\d"), "%Y-%m-%d"),
    (re.compile(r"0[0-6]\.\d\d\.\d\d\.\d\d"), "0%w.%d.%m.%y"),  # Energomera: day of the week, 00 Sunday
)
_SEPARATED = re.compile(r"(?P<date>\d{2}(?:\d{2})?-\d{2}-\d{2})[ ,T]+(?P<time>\d{2}:\d{2}(?::\d{2})?)")
_WINTER, _SUMMER, _UTC = "0", "1", "2"

_Forms = Sequence[tuple[re.Pattern[str], str]]


def instant(text: str, zone: tzinfo) -> datetime | None:
    """The instant of a meter's date and time, UTC; None for what is none.

    Forms: YY-MM-DD hh:mm[:ss], YYYY-MM-DD hh:mm[:ss], YYMMDDhhmm[ss], and sYYMMDDhhmm[ss] whose first
    digit is the season.
    """
    season = ""
    text = text.strip()
    if separated := _SEPARATED.fullmatch(text):
        digits = re.sub(r"\D", "", separated["date"])[-6:] + re.sub(r"\D", "", separated["time"])
    elif text.isdecimal() and len(text) in (10, 11, 12, 13):
        season, digits = (text[0], text[1:]) if len(text) % 2 else ("", text)
    else:
        return None
    try:
        local = datetime.strptime(digits.ljust(12, "0"), "%y%m%d%H%M%S")  # noqa: DTZ007 (the zone follows)
    except ValueError:
        return None
    return _in_zone(local, season, zone)


def clock_instant(date: str, time: str, zone: tzinfo, near: datetime) -> datetime | None:
    """The instant that a clock shows in two registers; None where one of them has no known form.

    An hour that occurs twice is taken as the one that is nearer to `near`, unless a season tells.
    """
    date, time = date.strip(), time.strip()
    date_form, time_form = _form(date, _DATES), _form(time, _TIMES)
    if date_form is None or time_form is None:
        return None
    season = date[0] if date_form[0] == "s" else time[0] if time_form[0] == "s" else ""
    shown = f"{date[date_form[0] == 's' :]} {time[time_form[0] == 's' :]}"
    try:
        form = f"{date_form.removeprefix('s')} {time_form.removeprefix('s')}"
        local = datetime.strptime(shown, form)  # noqa: DTZ007 (the zone follows)
    except ValueError:
        return None
    if season:
        return _in_zone(local, season, zone)
    both = [local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
    return min(both, key=lambda one: abs(one - near))


def time_like(shown: str, at: datetime, zone: tzinfo) -> str | None:
    """The time of day in the form that a meter shows it in; None for a form that is not known."""
    return _like(shown.strip(), _TIMES, at, zone)


def date_like(shown: str, at: datetime, zone: tzinfo) -> str | None:
    """The date in the form that a meter shows it in; None for a form that is not known."""
    return _like(shown.strip(), _DATES, at, zone)


def stamp(at: datetime, zone: tzinfo) -> str:
    """ZSTs11: season, year, month, day, hour and minute, as load profiles are asked for."""
    local = at.astimezone(zone)
    return f"{_season(local)}{local:%y%m%d%H%M}"


def _form(text: str, forms: _Forms) -> str | None:
    return next((form for pattern, form in forms if pattern.fullmatch(text)), None)


def _like(shown: str, forms: _Forms, at: datetime, zone: tzinfo) -> str | None:
    form = _form(shown, forms)
    if form is None:
        return None
    if form[0] != "s":
        return at.astimezone(zone).strftime(form)
    local = at.astimezone(UTC if shown[0] == _UTC else zone)
    season = _UTC if shown[0] == _UTC else _season(local)
    return season + local.strftime(form[1:])


def _season(local: datetime) -> str:
    return _SUMMER if local.dst() else _WINTER


def _in_zone(local: datetime, season: str, zone: tzinfo) -> datetime:
    if season == _UTC:
        return local.replace(tzinfo=UTC)
    # Where the hour occurs twice, summer time comes first; without a season the first is taken.
    return local.replace(tzinfo=zone, fold=int(season not in ("", _SUMMER))).astimezone(UTC)
