"""Files of a period's billing readings: each format streams, and gives the same bytes for the same cursor."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import BinaryIO

from ingest.billing.formats import espi, iec61968, parquet
from ingest.billing.formats.delimited import DIALECTS, write
from store.outgoing import Issue, OutgoingReading

Write = Callable[[Issue, Iterable[OutgoingReading], BinaryIO], int]


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file; `write` takes the readings by service point and register, and returns their number."""

    name: str
    suffix: str
    write: Write


def formats(dialect: str) -> dict[str, Format]:
    """All formats by name; `dialect` is how CSV is written, one of DIALECTS."""

    def write_csv(issue: Issue, readings: Iterable[OutgoingReading], out: BinaryIO) -> int:
        return write(issue, readings, out, DIALECTS[dialect])

    known = (
        Format("csv", "csv", write_csv),
        Format("parquet", "parquet", parquet.write),
        Format("espi", "xml", espi.write),
        Format("iec61968", "xml", iec61968.write),
    )
    return {each.name: each for each in known}
