"""The words of `static/chart/`, which has none of its own, in the reader's language."""

from collections.abc import Mapping

from api.words.language import Language
from api.words.mark_words import ReadingState
from api.words.presentation import N_

_WORDS: Mapping[str, str] = {
    "register": N_("Register"),
    "by_reading": N_("Consumption between readings"),
    "by_hour": N_("Consumption an hour"),
    "by_day": N_("Consumption a day"),
    "by_month": N_("Consumption a month"),
    "by_year": N_("Consumption a year"),
    "average": N_("average"),
    "no_readings": N_("no readings"),
    "missing": N_("no readings in between"),
    "since": N_("since {time}"),
    "unknown": N_("not known"),
    "read": N_("Read"),
    "value": N_("Register value"),
    "consumption": N_("Consumption"),
    "notes": N_("What is said of it"),
    "change": N_("Change"),
    "change_of": N_("Change the reading of {time}"),
    "legend": N_("Signs"),
    "gap": N_("no readings"),
    "finding": N_("finding"),
    "swap": N_("exchange"),
    "boundary": N_("billing boundary"),
    "verification": N_("end of verification"),
    "more": N_("and {count} more, see the table"),
    "events": N_("{count} events"),
    "cut": N_("Only the last {count} readings with a mark are shown. Choose a shorter time."),
    "empty": N_("No readings in this time. Look earlier, or at a longer time."),
    "whole": N_("Whole time"),
    "closer": N_("Closer"),
    "further": N_("Further"),
    "keys": N_("Drag over a time to see it closer. Keys: arrows move, + and − zoom, 0 shows the whole time."),
    "zoomed": N_("{from} to {to}"),
}


def words(language: Language) -> dict[str, str]:
    """All of them by name; `{…}` is filled in by the script. The kinds of readings are under their codes."""
    told = {name: language.gettext(text) for name, text in _WORDS.items()}
    return told | {kind.code: language.gettext(kind.words) for kind in ReadingState}
