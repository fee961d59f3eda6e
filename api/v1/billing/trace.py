"""One billing reading with all that stands behind it, for programs and for people."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection

from api.v1.billing.evidence import Evidence, telegram_path
from metering.billing.canonical_hash import Issued, issued_content
from store.billing.issued import BillingRow, billing_reading
from store.billing.trace import BehindRow, VersionRow, telegrams_behind, versions


@dataclass(frozen=True, slots=True)
class Trace:
    """`version` is the row's own among `versions`; `telegrams` by meter id and instant."""

    row: BillingRow
    version: VersionRow
    versions: list[VersionRow]
    issued: Issued
    evidence: Evidence
    telegrams: Mapping[tuple[str, datetime], BehindRow]


def trace_of(store: Connection[Any], utility_id: int, reading_id: int) -> Trace | None:
    """The utility's billing reading with this id, its evidence leading to the telegrams that are kept."""
    row = billing_reading(store, utility_id, reading_id)
    issued = issued_content(store, utility_id, reading_id)
    if row is None or issued is None:
        return None
    every = versions(store, utility_id, reading_id)
    evidence = Evidence.model_validate(issued.content.evidence)
    telegrams = telegrams_behind(store, utility_id, evidence.behind)
    for part in evidence.installations:
        for reading in part.readings:
            if (part.meter, reading.at) in telegrams:
                reading.telegram = telegram_path(part.meter, reading.at)
    own = next(each for each in every if each.id == row.id)
    return Trace(row, own, every, issued, evidence, telegrams)
