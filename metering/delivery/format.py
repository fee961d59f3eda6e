"""Format of a delivered file: its name, what it can carry, and the functions that write it piece by piece.

A writer gives an iterator of bytes, so that a file of a million readings needs the memory of one piece. The
same readings give the same bytes: ids are made of names, times are those of the close.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from metering.delivery.outgoing import Issue, OutgoingReading, ReadingColumns, RegisterLabel

BillingWriter = Callable[[Issue, Iterable[OutgoingReading]], Iterator[bytes]]
"""Writer of a period's billing readings, which come ordered by service point and register."""
ReadingsWriter = Callable[[Iterable[ReadingColumns], Mapping[int, RegisterLabel]], Iterator[bytes]]
"""Writer of stored readings, with the registers of their numbers."""


class InexpressibleError(ValueError):
    """A register or figure for which a format has no words; the message names it."""


@dataclass(frozen=True, slots=True)
class Format:
    """Declaration of a file format.

    `name` stands in commands and addresses, `title` in texts. `billing` and `readings` write the two kinds of
    content that a file may have; None: the format cannot carry it. `dialects` are the ways of writing billing
    readings by name, where there are several. `extra` names what has to be installed for it
    beside the package itself; `binary`: it is not for a terminal.
    """

    name: str
    title: str
    extension: str
    media_type: str
    billing: BillingWriter | None = None
    readings: ReadingsWriter | None = None
    dialects: Mapping[str, BillingWriter] = field(default_factory=dict)
    extra: str = ""
    binary: bool = False
