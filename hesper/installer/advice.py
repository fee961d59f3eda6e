"""Advice by what went wrong: the one place that turns a driver's errors and suspicions into steps.

A driver's error carries the advice that holds for it anywhere. What is added here is what a person with a
screwdriver can check, the likeliest first, in the words of the protocol's wiring.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from drivers.driver import IdentityError, Suspicion
from drivers.errors import (
    DecodeError,
    DriverError,
    GarbledAnswerError,
    LineError,
    MeterError,
    NoAnswerError,
    UnsupportedError,
)
from drivers.protocol import protocol_named

KINDS: tuple[tuple[type[DriverError], str], ...] = (
    (IdentityError, "another meter"),
    (LineError, "line"),
    (NoAnswerError, "no answer"),
    (GarbledAnswerError, "garbled answer"),
    (MeterError, "refused by the meter"),
    (UnsupportedError, "not possible"),
    (DecodeError, "not understood"),
    (DriverError, "cannot be asked"),
)

_WIRING = (
    "is this the right port, and is the converter one for these meters (RS-485, M-Bus, optical)?",
    "are the meters powered, and their wires in the right terminals (RS-485: try A and B swapped)?",
    "scan again without --settings and --address: a meter may have others than you think",
)
_NOISE = (
    "a wrong speed or parity makes noise of answers: find the meter's own with `hesper gateway scan`",
    "do two meters share the address (taken twice)? Disconnect one of them and ask again",
    "check the termination, the shield, and the length of the cable; keep it away from motor cables",
)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Trouble in a word and a sentence, and what to try, the likeliest first."""

    kind: str
    what: str
    steps: tuple[str, ...]

    def text(self) -> str:
        """For a person, in several lines."""
        return "\n".join([self.what, *(f"  {number}. {step}" for number, step in enumerate(self.steps, 1))])

    def as_json(self) -> dict[str, object]:
        """For a program."""
        return {"kind": self.kind, "error": self.what, "try": list(self.steps)}


def trouble(error: DriverError, protocol: str) -> Trouble:
    """A driver's error, as the installer meets it."""
    kind = next(name for base, name in KINDS if isinstance(error, base))
    usual = type(error).advice
    own = (error.advice,) if error.advice and error.advice != usual else ()
    steps: tuple[str, ...]
    if isinstance(error, NoAnswerError):
        steps = protocol_named(protocol).silence
    elif isinstance(error, GarbledAnswerError):
        steps = _NOISE
    else:
        steps = (usual,) if usual and not own else ()
    return Trouble(kind, str(error), (*own, *steps))


def suspected(suspicion: Suspicion) -> Trouble:
    """A search's suspicion, as the installer meets it."""
    where = f"address {suspicion.address} at {suspicion.settings}" if suspicion.address else "the line"
    return Trouble(
        "suspicion", f"{where}: {suspicion.what}", (suspicion.advice,) if suspicion.advice else _NOISE
    )


def nothing_found(protocols: Sequence[str]) -> Trouble:
    """A search that met nobody."""
    steps = protocol_named(protocols[0]).silence if len(protocols) == 1 else _WIRING
    return Trouble("nothing found", f"no meter answered in {' or '.join(protocols)}", steps)
