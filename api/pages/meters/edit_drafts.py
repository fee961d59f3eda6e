"""An edit as somebody fills it in, what of it cannot be, and the reading that it is about.

Faults are sentences in the reader's language that say what to do; nothing is written before there are none.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from api.pages.meters.subject import RegisterView
from api.words.mark_words import EDIT, ReadingState, kind_of, reasons_of
from store.validation import judged_readings as queries
from store.validation.edits import Action, Edit, EditError
from telemetry.micro import MICRO, ValueOutOfRangeError, to_micro
from telemetry.status import Status

_LONGEST_AGO = timedelta(days=3 * 366)  # what can be disputed still


@dataclass(frozen=True, slots=True)
class EditDraft:
    """`at` is the instant of a stored reading; `local` that of one to enter, by the utility's clocks."""

    at: datetime | None = None
    action: str = ""
    local: str = ""
    value: str = ""
    reason: str = ""
    confirmed: bool = False
    fault: str = ""


@dataclass(frozen=True, slots=True)
class ChosenReading:
    """The reading that somebody wants to change. `edited`: an edit of it holds, which can be undone."""

    at: datetime
    value: int
    kind: ReadingState | None
    reasons: str
    edited: bool

    @property
    def actions(self) -> list[Action]:
        first = Action.ACCEPT if self.kind is ReadingState.EXCLUDED else Action.EXCLUDE
        other = [Action.ACCEPT] if self.kind is ReadingState.QUESTIONABLE else []
        return [first, *other, *([Action.RESTORE] if self.edited else [])]


def chosen_reading(about: RegisterView, at: datetime | None) -> ChosenReading | None:
    """The register's reading of that instant; None where there is none."""
    row = queries.reading_at(about.store, about.register.id, at) if at else None
    if row is None:
        return None
    kind = kind_of(row) if row.said or Status.MANUAL in Status(row.status) else None
    held = any(said.rule == EDIT for said in row.said)
    return ChosenReading(
        row.measured_at,
        row.value,
        kind,
        reasons_of(row, about.register.unit, about.zone, about.language),
        held,
    )


def edit_of(draft: EditDraft, about: RegisterView, author: str) -> Edit:
    """The edit that was filled in. Raises EditError."""
    language, register = about.language, about.register
    reason = draft.reason.strip()
    if not reason:
        raise EditError(language.gettext("Give a reason. It stays with the edit, and residents may read it."))
    if draft.action == Action.ENTER.value:
        at = _instant(draft.local, about)
        value = _micro(draft.value, about)
        if queries.reading_at(about.store, register.id, at) is not None:
            raise EditError(
                language.gettext(
                    "There is a reading of that instant already, and readings are never altered. Leave it "
                    "out, and enter the value for another minute."
                )
            )
        if not draft.confirmed:
            _check_neighbours(about, at, value)
        return Edit(register.id, at, Action.ENTER, author, reason, value)
    reading = chosen_reading(about, draft.at)
    if reading is None:
        raise EditError(
            language.gettext("There is no reading of that instant. Choose one in the table under the chart.")
        )
    if draft.action not in {action.value for action in reading.actions}:
        raise EditError(language.gettext("Choose what is to be done with the reading."))
    return Edit(register.id, reading.at, Action(draft.action), author, reason)


def _instant(text: str, about: RegisterView) -> datetime:
    """A local wall time, in UTC. Raises EditError."""
    language = about.language
    try:
        wall = datetime.fromisoformat(text).replace(tzinfo=None)
        first, second = (wall.replace(tzinfo=about.zone, fold=fold) for fold in (0, 1))
        at = first.astimezone(UTC)
    except (ValueError, OverflowError):
        raise EditError(language.gettext("Give the day and the time at which the meter was read.")) from None
    if first.utcoffset() != second.utcoffset():
        raise EditError(language.gettext("Clocks are changed in that hour: take another one."))
    if at > about.now:
        raise EditError(language.gettext("That time is still to come."))
    if at < about.now - _LONGEST_AGO:
        raise EditError(language.gettext("That is too long ago. Check the year."))
    return at


def _micro(text: str, about: RegisterView) -> int:
    """A figure with a decimal point or comma, in micro-units. Raises EditError."""
    language, register = about.language, about.register
    value: int | None
    try:
        value = to_micro("".join(text.split()).replace(",", "."))
    except ValueOutOfRangeError:
        value = None
    if value is None or (value < 0 and register.kind == "counter"):
        raise EditError(language.gettext("Give the value as the meter shows it, such as 1234.567."))
    if register.capacity is not None and value >= register.capacity:
        raise EditError(
            language.gettext(
                "The meter has %(digits)s digits before the decimal mark, and the value has more.",
                digits=len(str(register.capacity // MICRO)) - 1,
            )
        )
    return value


def _check_neighbours(about: RegisterView, at: datetime, value: int) -> None:
    """A counter does not run backwards. Raises EditError."""
    if about.register.kind != "counter":
        return
    before, after = queries.neighbours(about.store, about.register.id, at)
    wrong = before if before and value < before[1] else after if after and value > after[1] else None
    if wrong is not None:
        raise EditError(
            about.language.gettext(
                "The meter showed %(value)s on %(time)s, so that it would have run backwards. Check the "
                "value, or confirm that it is right.",
                value=about.language.amount(wrong[1], about.register.unit),
                time=about.language.local_time(wrong[0], about.zone),
            )
        )
