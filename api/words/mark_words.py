"""Words for what is said of single readings: their state, which has a sign on charts, and the reasons."""

from enum import Enum
from zoneinfo import ZoneInfo

from api.words.evidence_words import evidence_name
from api.words.explanations import explain, finding_title
from api.words.language import Language
from api.words.presentation import N_
from store.validation.judged_readings import JudgedRow, Said
from telemetry.findings import STEP, STEPS
from telemetry.quality import Quality
from telemetry.status import Status

EDIT = "edit"  # the rule of the marks that edits leave (store/migrations/core/0004_edits.sql)

_DECIDED = {
    "exclude": N_("Left out"),
    "enter": N_("Entered by hand"),
    "accept": N_("Accepted"),
    "withdrawn": N_("Entry withdrawn"),
}


class ReadingState(Enum):
    """State of a reading on a chart and in a table: (name for style and script, words)."""

    EXCLUDED = ("excluded", N_("left out of accounting"))
    QUESTIONABLE = ("questionable", N_("questionable"))
    ESTIMATED = ("estimated", N_("estimated"))
    MANUAL = ("manual", N_("entered or handed in"))
    NOTED = ("noted", N_("noted"))

    def __init__(self, code: str, words: str) -> None:
        self.code = code
        self.words = words


def kind_of(row: JudgedRow) -> ReadingState:
    """The gravest that is said of it."""
    if not row.usable:
        return ReadingState.EXCLUDED
    if row.quality in (Quality.ESTIMATED, Quality.INTERPOLATED, Quality.DERIVED, Quality.MIXED):
        return ReadingState.ESTIMATED
    if Status.MANUAL in Status(row.status) or row.quality == Quality.EDITED:
        return ReadingState.MANUAL
    return ReadingState.QUESTIONABLE if row.quality == Quality.QUESTIONABLE else ReadingState.NOTED


def reasons_of(row: JudgedRow, unit: str, zone: ZoneInfo, language: Language) -> str:
    """Every reason in a line; of a reading that was handed in, that it was. `unit` is the register's."""
    told = [_reason(said, unit, zone, language) for said in row.said]
    if Status.MANUAL in Status(row.status) and not any(said.rule == EDIT for said in row.said):
        told.append(language.gettext("Handed in by a resident or an inspector"))
    return "; ".join(told)


def _reason(said: Said, unit: str, zone: ZoneInfo, language: Language) -> str:
    if said.rule == EDIT:
        decided = language.gettext(_DECIDED.get(str(said.evidence.get("action")), "Accepted"))
        return language.gettext(
            "%(decided)s by %(author)s: %(reason)s",
            decided=decided,
            author=said.author,
            reason=said.evidence.get("reason", ""),
        )
    kind = STEP + said.rule if said.rule in STEPS else said.rule
    title = finding_title(kind, language)
    if sentence := explain(kind, said.evidence, unit, zone, language):
        return f"{title}: {sentence}"
    facts = ", ".join(
        f"{evidence_name(name, language).lower()} {language.fact(value, zone)}"
        for name, value in said.evidence.items()
        if not isinstance(value, dict | list)
    )
    return f"{title} ({facts})" if facts else title
