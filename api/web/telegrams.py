"""Telegrams as pages show them: the bytes, and every record of them in the reader's language.

What bytes mean is the drivers' matter, which `api/` may not import: whoever composes the app hands it a
`Decode` (`hesper/decode.py` has the one of an installation). An app without one shows the bytes alone.
"""

from collections.abc import Callable
from dataclasses import dataclass

from telemetry.explanation import Explanation


@dataclass(frozen=True, slots=True)
class Undecoded:
    """Telegram that is shown as bytes alone; `reason` is a sentence in the words of its driver."""

    reason: str


Telegram = Explanation | Undecoded
Decode = Callable[[bytes, str], Telegram]  # (telegram, the meter's model in the registry); never raises


def undecoded(_raw: bytes, _model: str) -> Telegram:
    """The Decode of an app that was given none."""
    return Undecoded("this process was started without the drivers")
