"""Files of a period's billing readings: each format streams, and gives the same bytes for the same cursor."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from metering.delivery import delimited, espi, iec61968, parquet
from store.delivery.outgoing import Issue, OutgoingReading

Write = Callable[[Issue, Iterable[OutgoingReading], BinaryIO], int]


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file; `write` takes the readings by service point and register, and returns their number."""

    name: str
    suffix: str
    write: Write


def formats(dialect: str) -> dict[str, Format]:
    """All formats by name; `dialect` is how CSV is written, one of DIALECTS."""

    chosen = delimited.DIALECTS[dialect]
    known = (
        Format("csv", "csv", _written(lambda issue, readings: delimited.pieces(issue, readings, chosen))),
        Format("parquet", "parquet", _written(parquet.pieces)),
        Format("espi", "xml", espi.write),
        Format("iec61968", "xml", iec61968.write),
    )
    return {each.name: each for each in known}


def _written(pieces: Callable[[Issue, Iterable[OutgoingReading]], Iterator[bytes]]) -> Write:
    """What writes the pieces of a format to a file, and counts the readings in them."""

    def write(issue: Issue, readings: Iterable[OutgoingReading], out: BinaryIO) -> int:
        count = 0

        def counted() -> Iterator[OutgoingReading]:
            nonlocal count
            for reading in readings:
                count += 1
                yield reading

        out.writelines(pieces(issue, counted()))
        return count

    return write
