"""Words of the system's own tables as pages say them: media, qualities, registers, states, methods.

They are looked up by value, so that no tool finds them in the source: `terms()` lists them, and they are kept
in `terms.po`.
"""

import re
from collections.abc import Iterator

from api.language import Language
from api.models import medium_label, quality_code
from api.presentation import in_words
from store.access import UserRole
from store.gateway_requests import CommandState, ConfigurationState
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
_STATES = ("open", "acknowledged", "resolved", "false alarm", "alarm", "warning", "info")
_REQUESTS = ("waiting", "done", "failed", "replayed", "discarded", "replay", "discard", "accept", "draft")
_OUTCOMES = ("tried", "stored", "waiting", "readouts", "discarded")  # the figures of a request
_CONNECTIONS = ("online", "offline", "never seen")
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
    yield from (state.value for states in (CommandState, ConfigurationState) for state in states)
    yield from (reason.value for reason in MissReason)
    yield from _REQUESTS
    yield from (in_words(name) for name in _OUTCOMES)
    yield from (role.value for role in UserRole)
    yield from (reason.value for reason in MissReason)


def medium_name(code: int, language: Language) -> str:
    """The medium of OBIS value group A: 'cold water'."""
    return language.gettext(medium_label(code))


def register_name(code: str, language: Language) -> str:
    """The friendly name of an OBIS code, 'active energy import, tariff 2'; the code where there is none."""
    try:
        name = Obis.parse(code).name
    except ObisError:
        return code
    return ", ".join(_part(part, language) for part in name.split(", "))


def quality_name(code: int, language: Language) -> str:
    """ESPI QualityOfReading in a word: 'interpolated'."""
    return language.gettext(quality_code(code).label)


def method_name(method: str, language: Language) -> str:
    """How a boundary value was found."""
    return language.gettext(_METHODS.get(method, method.replace("_", " ")))


def state_name(word: str, language: Language) -> str:
    """A state, severity, role or other single word of the store."""
    return language.gettext(word.replace("_", " "))


def phrase(name: str, language: Language) -> str:
    """A short name of the store as a phrase: 'negative_step.glitch' -> 'Negative step: glitch'."""
    return language.gettext(in_words(name))


def _part(text: str, language: Language) -> str:
    match = _NUMBERED.fullmatch(text)
    return f"{language.gettext(match[1])} {match[2]}" if match else language.gettext(text)


def _unnumbered(text: str) -> str:
    match = _NUMBERED.fullmatch(text)
    return match[1] if match else text
