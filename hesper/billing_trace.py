"""All that stands behind a billing reading: its trace, with marks, edits, installations, telegrams decoded.

The evidence says what a close saw, and its hash keeps it. Marks and edits are shown as they are now, one by
one: a reader sees what was decided since.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from psycopg import Connection

from api.v1.billing.trace import Trace, trace_of
from drivers.errors import DecodeError
from drivers.modbus.profile_file import profile_names
from hesper.decode import explain as decoded
from metering.billing.evidence import BoundaryEvidence, InstallationEvidence, ReadingEvidence
from metering.billing.method import BUILT_IN, Method
from metering.billing.rule_set import parse_rules
from store.billing.rule_sets import all_rules
from store.billing.trace import (
    EarlierReading,
    EditBehind,
    InstallationBehind,
    MarkBehind,
    TelegramBehind,
    earlier,
    edits_behind,
    installations_behind,
    marks_behind,
)
from telemetry.explanation import Explanation


@dataclass(frozen=True, slots=True)
class DecodedTelegram:
    """What a telegram says; `profile`: that of the Modbus meter by which it says it."""

    explanation: Explanation
    profile: str | None = None


@dataclass(frozen=True, slots=True)
class Chain:
    """`ladder`: the steps of the rules that the billing reading was made by. `rests_on`: of an average."""

    trace: Trace
    ladder: tuple[Method, ...]
    marks: list[MarkBehind]
    edits: list[EditBehind]
    installations: dict[int, InstallationBehind]
    rests_on: list[EarlierReading]

    def marks_of(self, part: InstallationEvidence) -> Iterator[MarkBehind]:
        """The marks on one meter's readings."""
        return (mark for mark in self.marks if mark.register_id == part.register)

    def edits_of(self, part: InstallationEvidence) -> Iterator[EditBehind]:
        """The edits of one meter's readings."""
        return (edit for edit in self.edits if edit.register_id == part.register)

    def telegram(self, part: InstallationEvidence, reading: ReadingEvidence) -> TelegramBehind | None:
        """The telegram that brought a reading."""
        return self.trace.telegrams.get((part.meter, reading.at))


def chain_of(store: Connection[Any], utility_id: int, reading_id: int) -> Chain | None:
    """The chain of the utility's billing reading with this id."""
    trace = trace_of(store, utility_id, reading_id)
    if trace is None:
        return None
    parts = trace.evidence.installations
    spans = [(part.register, min(part.instants), max(part.instants)) for part in parts]
    bases = [part.end.basis for part in parts if part.end.basis is not None]
    periods = sorted({period for basis in bases for period in basis.periods or ()})
    return Chain(
        trace,
        _ladder(store, utility_id, trace.evidence.rules),
        marks_behind(store, spans),
        edits_behind(store, spans),
        installations_behind(store, utility_id, [part.installation for part in parts]),
        earlier(store, utility_id, reading_id, periods),
    )


def _ladder(store: Connection[Any], utility_id: int, label: str | None) -> tuple[Method, ...]:
    for row in reversed(all_rules(store, utility_id)):
        rules = parse_rules(row.content)
        if rules.label == label:
            return rules.ladder
    return BUILT_IN


def steps(found: BoundaryEvidence, ladder: Sequence[Method]) -> Iterator[tuple[str, str]]:
    """(step, why it was or was not taken) of the whole ladder, in its order."""
    said = dict(text.split(": ", 1) for text in found.passed_over if ": " in text)
    taken = False
    for method in ladder:
        if method == found.method:
            taken = True
            yield method, f"taken: {found.value}"
        elif method in said:
            yield method, said[method]
        elif taken:
            yield method, "not tried: a step before it had a value"
        elif method is Method.INSTALLATION:
            yield method, "no meter was put in or taken out at this instant"
        else:
            yield method, "no reason is kept"
    if not taken and found.method is not None:
        yield found.method, f"taken, though no step of these rules: {found.value}"


def says(explanation: Explanation, obis: str, value: Decimal) -> bool:
    """Whether a telegram gives the register this value, whatever zeros it ends in."""
    return any(
        record.obis == obis and record.value is not None and Decimal(record.value) == value
        for record in explanation.records
    )


def read_telegram(raw: bytes, obis: str, value: Decimal) -> DecodedTelegram:
    """What it says; of a Modbus telegram, by the profile with which it says `value`. Raises DecodeError."""
    try:
        return DecodedTelegram(decoded(raw))
    except DecodeError:
        for name in profile_names():
            with suppress(DecodeError):
                found = decoded(raw, name)
                if says(found, obis, value):
                    return DecodedTelegram(found, name)
        raise
