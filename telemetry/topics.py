"""MQTT topics: `hesper/v1/{utility}/{gateway}/{kind}`.

The gateway's MQTT client id, its certificate's CN and the `{gateway}` segment are the same text, so a
broker ACL can be written with one pattern. A segment with a wildcard or a separator in it is refused
(otherwise a gateway called `+` would read everybody's topics).
"""

import re
from dataclasses import dataclass
from enum import StrEnum

ROOT = "hesper/v1"
_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class TopicError(ValueError):
    """A segment or topic that is not part of the contract."""


class Kind(StrEnum):
    """The last segment: who says what. Up: from the gateway. Down: to the gateway."""

    READINGS = "readings"  # up
    STATUS = "status"  # up, retained, with a last will
    HEALTH = "health"  # up
    REPLY = "reply"  # up
    ACK = "ack"  # down
    CONFIG = "config"  # down, retained
    COMMAND = "command"  # down


@dataclass(frozen=True, slots=True)
class Topic:
    """A parsed topic; `str()` gives its text."""

    utility: str
    gateway: str
    kind: Kind

    def __post_init__(self) -> None:
        check_segment(self.utility)
        check_segment(self.gateway)

    def __str__(self) -> str:
        return f"{ROOT}/{self.utility}/{self.gateway}/{self.kind.value}"

    @classmethod
    def parse(cls, text: str) -> "Topic":
        """Raises TopicError for what is not a topic of the contract."""
        parts = text.split("/")
        if len(parts) != 5 or "/".join(parts[:2]) != ROOT:
            raise TopicError(f"{text!r} is not {ROOT}/<utility>/<gateway>/<kind>")
        try:
            kind = Kind(parts[4])
        except ValueError:
            raise TopicError(f"{text!r} ends in an unknown kind; known: {', '.join(Kind)}") from None
        return cls(parts[2], parts[3], kind)


def check_segment(text: str) -> str:
    """`text`, if it can be a utility's or gateway's segment. Raises TopicError."""
    if not _SEGMENT.fullmatch(text):
        raise TopicError(
            f"{text!r} cannot be a topic segment: 1 to 64 letters, digits, '.', '_' or '-', "
            "beginning with a letter or digit ('+', '#' and '/' are refused)"
        )
    return text


def subscription(kind: Kind, *, share: str | None = None) -> str:
    """The topic filter of a kind, of everybody; with an MQTT 5 shared-subscription group if one is given."""
    text = f"{ROOT}/+/+/{kind.value}"
    return f"$share/{check_segment(share)}/{text}" if share else text
