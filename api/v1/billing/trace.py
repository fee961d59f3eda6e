"""Billing reading with all that stands behind it, for programs and for people."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection

from metering.billing.canonical_hash import IssuedContent
from metering.billing.evidence import Evidence
from store.billing.hashes import issued_content
from store.billing.issued import IssuedReading, billing_reading
from store.billing.trace import ReadingVersion, TelegramBehind, telegrams_behind, versions


@dataclass(frozen=True, slots=True)
class Trace:
    """Trace of a figure. `version` is the row's own among `versions`; `telegrams` by meter id and instant."""

    row: IssuedReading
    version: ReadingVersion
    versions: list[ReadingVersion]
    issued: IssuedContent
    telegrams: Mapping[tuple[str, datetime], TelegramBehind]

    @property
    def evidence(self) -> Evidence:
        """What the figure rests on."""
        return self.issued.evidence


def trace_of(store: Connection[Any], utility_id: int, reading_id: int) -> Trace | None:
    """The utility's billing reading with this id, its evidence leading to the telegrams that are kept."""
    row = billing_reading(store, utility_id, reading_id)
    issued = issued_content(store, utility_id, reading_id)
    if row is None or issued is None:
        return None
    every = versions(store, utility_id, reading_id)
    own = next(each for each in every if each.id == row.id)
    return Trace(row, own, every, issued, telegrams_behind(store, utility_id, issued.evidence.behind))
