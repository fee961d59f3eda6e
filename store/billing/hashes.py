"""Issued billing readings with the hashes that they were issued with, to be checked against them."""

from dataclasses import dataclass
from typing import Any

from psycopg import Connection

from metering.billing.canonical_hash import IssuedContent
from store.billing.evidence import with_evidence


@dataclass(frozen=True, slots=True)
class HashCheck:
    """How many versions were checked, and those whose hash is another, in order of id."""

    checked: int
    altered: tuple[IssuedContent, ...]


_ISSUED = """
    select b.id, b.version, b.content_hash, u.code as utility, p.code as service_point, b.obis, b.period,
           b.starts_at, b.ends_at, b.start_value, b.end_value, b.consumption, b.unit, b.quality,
           b.start_method, b.end_method, b.evidence, b.true_up
    from billing_readings b
    join utilities u on u.id = b.utility_id
    join service_points p on p.id = b.service_point_id
"""


def issued_content(connection: Connection[Any], utility_id: int, reading_id: int) -> IssuedContent | None:
    """Content of the utility's billing reading with this id."""
    with connection.cursor(row_factory=with_evidence(IssuedContent)) as cursor:
        return cursor.execute(
            _ISSUED + " where b.utility_id = %s and b.id = %s", (utility_id, reading_id)
        ).fetchone()


def verify(connection: Connection[Any], utility_id: int, period: str) -> HashCheck:
    """Hash every version that was issued for a period anew."""
    checked, altered = 0, []
    with connection.cursor(row_factory=with_evidence(IssuedContent)) as cursor:
        cursor.execute(
            _ISSUED + " where b.utility_id = %s and b.period = %s order by b.id", (utility_id, period)
        )
        for issued in cursor:
            checked += 1
            if not issued.intact:
                altered.append(issued)
    return HashCheck(checked, tuple(altered))
