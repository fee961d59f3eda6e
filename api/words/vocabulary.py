"""Words of the system's own tables as pages say them: media, qualities, registers, states, methods.

They are looked up by value, so that no tool finds them in the source: `terms()` lists them, and they are kept
in `terms.po`.
"""

import re
from collections.abc import Iterator

from api.v1.models import medium_label, quality_code
from api.words.explanations import finding_title
from api.words.language import Language
from api.words.presentation import in_words
from metering.access import Scope, UserRole
from store.gateways.requests import CommandState, ConfigurationState
from telemetry.obis import Medium, Obis, ObisError, known_names
from telemetry.quality import Quality
from telemetry.status import Status
from telemetry.units import UNITS
from telemetry.wire import MissReason

_METHODS = {
    "set_day": "set day",
    "reading": "reading",
    "interpolation": "interpolated",
    "installation": "installation",
    "handed_in": "handed in",
    "average": "average of past months",
    "normative": "norm",
}
_REQUESTS = ("waiting", "done", "failed", "replayed", "discarded", "replay", "discard", "accept", "draft")
_OUTCOMES = ("tried", "stored", "waiting", "readouts", "discarded")  # the figures of a request
_CONNECTIONS = ("online", "offline", "never seen")
_STATES = (
    *("open", "acknowledged", "resolved", "false alarm", "alarm", "warning", "info"),
    *("waiting", "delivered", "dead"),
)
# Why a register has no billing reading, and what can be done: the reasons of `ingest/billing`.
_REASONS = {
    "no_reading_before": (
        "No earlier reading",
        "Import or enter an earlier reading, or note the value at the installation.",
    ),
    "no_reading_after": (
        "No later reading",
        "Wait for a later reading or enter one, or note the value at the removal.",
    ),
    "gap_too_long": (
        "Gap too long",
        "Enter a reading taken near the boundary, or let the rules estimate what is missing.",
    ),
    "unusable_readings": (
        "Readings not usable",
        "Look at the findings of this register, and enter a reading that was checked.",
    ),
    "not_validated": ("Not validated yet", "Let the validator finish, then draft the month again."),
    "reset": (
        "Register reset",
        "Write the last and the first value down as the end and the start of two installations.",
    ),
    "swap_suspect": (
        "Exchange suspected",
        "Find out which meter answered, and write an exchange down as two installations.",
    ),
    "rollover": (
        "Register rolled over",
        "Enter how many digits the register has, then draft the month again.",
    ),
    "negative_consumption": (
        "Consumption below zero",
        "Compare both boundary readings with the meter: it may have run backward.",
    ),
    "verification_expired": (
        "Verification expired",
        "Have the meter verified or exchanged, and enter the new verification.",
    ),
    "unit_changed": (
        "Unit changed",
        "Convert the values noted at the exchange, so that both registers have one unit.",
    ),
    "no_meter": (
        "No meter",
        "Record the installation with its start value, or end the service point in the registry.",
    ),
    "tariff_sum": (
        "Tariffs and total differ",
        "Read the registers at the meter, and enter what was checked.",
    ),
    "never_read": ("Never read", "See why the meter does not answer, or import a reading."),
}
# Rules that marks name, and what people do with readings.
_MARKS = {
    "glitch": "Glitch",
    "mix_up": "Two meters mixed up",
    "edit": "Edited by a person",
    "exclude": "Left out",
    "enter": "Entered by hand",
    "accept": "Taken all the same",
    "restore": "As it was read",
}
# What a scope lets a key do.
_SCOPES = {
    Scope.OWN: "see its own account and the API's description",
    Scope.METERS_READ: "see meters, gateways, sites, service points and last readings",
    Scope.FINDINGS_READ: "see findings",
    Scope.FINDINGS_WRITE: "deal with findings",
    Scope.READINGS_READ: "see readings and consumption",
    Scope.TELEGRAMS_READ: "see telegrams",
    Scope.READINGS_WRITE: "enter and edit readings",
    Scope.REGISTRY_WRITE: "change the registry",
    Scope.GATEWAYS_WRITE: "command and configure gateways",
    Scope.BILLING_READ: "see months and billing readings",
    Scope.BILLING_ACKNOWLEDGE: "acknowledge billing readings",
    Scope.BILLING_CLOSE: "draft months",
    Scope.BILLING_APPROVE: "approve months and edits",
    Scope.DELIVERIES_READ: "see deliveries",
    Scope.DELIVERIES_WRITE: "send deliveries again",
    Scope.AUDIT_READ: "see the audit log",
}
_NUMBERED = re.compile(r"(.+) (L?\d+)")  # 'tariff 2', 'voltage L3'


def terms() -> Iterator[str]:
    """Every word that the functions below may ask a catalogue for."""
    yield from (medium.label for medium in Medium)
    yield from (quality.label for quality in Quality)
    yield from (label for bit in Status for label in bit.labels())
    yield from (unit.sign for unit in UNITS.values() if unit.sign)
    yield from (_unnumbered(part) for name in known_names() for part in name.split(", "))
    yield from ("channel", "tariff")
    yield from _METHODS.values()
    yield from (*_STATES, *_CONNECTIONS)
    yield from (text for texts in _REASONS.values() for text in texts)
    yield from _MARKS.values()
    yield from (state.value for states in (CommandState, ConfigurationState) for state in states)
    yield from _REQUESTS
    yield from (in_words(name) for name in _OUTCOMES)
    yield from (role.value for role in UserRole)
    yield from (reason.value for reason in MissReason)
    yield from _SCOPES.values()


def medium_name(code: int, language: Language) -> str:
    """The medium of OBIS value group A: 'cold water'."""
    return language.gettext(medium_label(code))


def register_name(code: str, language: Language) -> str:
    """The friendly name of an OBIS code, 'active energy import, tariff 2'; the code where there is none."""
    try:
        name = Obis.parse(code).name
    except ObisError:
        return code
    return ", ".join(register_part(part, language) for part in name.split(", "))


def quality_name(code: int, language: Language) -> str:
    """ESPI QualityOfReading in a word: 'interpolated'."""
    return language.gettext(quality_code(code).label)


def method_name(method: str, language: Language) -> str:
    return language.gettext(_METHODS.get(method, method.replace("_", " ")))


def state_name(word: str, language: Language) -> str:
    """A state, severity, role or other single word of the store."""
    return language.gettext(word.replace("_", " "))


def scope_name(scope: Scope, language: Language) -> str:
    """Right that the scope gives, as an infinitive: 'see telegrams'."""
    return language.gettext(_SCOPES[scope])


def phrase(name: str, language: Language) -> str:
    """A short name of the store as a phrase: 'gap_too_long' -> 'Gap too long'; a finding by its title."""
    if name in _REASONS:
        return language.gettext(_REASONS[name][0])
    return language.gettext(_MARKS[name]) if name in _MARKS else finding_title(name, language)


def remedy(reason: str, language: Language) -> str | None:
    """Remedy for an exception of a close; None where its own detail has to say it."""
    return language.gettext(_REASONS[reason][1]) if reason in _REASONS else None


def facts_of(detail: str) -> str:
    """An exception's detail without what can be done, which the store puts last in English."""
    return detail.rpartition(": ")[0] or detail


def register_part(text: str, language: Language) -> str:
    """A part of a register's name: 'tariff 2' by the word and its number."""
    match = _NUMBERED.fullmatch(text)
    return f"{language.gettext(match[1])} {match[2]}" if match else language.gettext(text)


def _unnumbered(text: str) -> str:
    match = _NUMBERED.fullmatch(text)
    return match[1] if match else text
