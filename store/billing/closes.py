"""Earlier closes of a period, as a close compares with them, and the steps of each.

Nothing here updates or deletes. What is drafted, and how it is issued, is in `store/billing/drafts.py`.
What billing systems and pages read back is in `store/billing/issued.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import Connection
from psycopg.types.json import Jsonb

from metering.billing.canonical_hash import BillingException
from metering.billing.evidence import Evidence
from store.billing.evidence import with_evidence


@dataclass(frozen=True, slots=True)
class LatestVersion:
    """Highest version of a billing reading that is there already."""

    service_point_id: int
    obis: str
    version: int
    start_value: int
    end_value: int
    evidence: Evidence
    content_hash: bytes

    @property
    def key(self) -> tuple[int, str]:
        """Service point and register."""
        return self.service_point_id, self.obis


def issued(
    connection: Connection, utility_id: int, period: str, points: Sequence[int]
) -> list[LatestVersion]:
    """The highest version of each billing reading of a period at these service points."""
    with connection.cursor(row_factory=with_evidence(LatestVersion)) as cursor:
        return cursor.execute(
            """
            select distinct on (service_point_id, obis)
                   service_point_id, obis, version, start_value, end_value, evidence, content_hash
            from billing_readings where service_point_id = any(%s) and period = %s and utility_id = %s
            order by service_point_id, obis, version desc
            """,
            (list(points), period, utility_id),
        ).fetchall()


def last_run(connection: Connection, utility_id: int, period: str) -> int:
    """The number of a period's last close; 0: never closed."""
    row = connection.execute(
        "select coalesce(max(run), 0) from closes where utility_id = %s and period = %s", (utility_id, period)
    ).fetchone()
    assert row is not None
    return int(row[0])


def exceptions_of(connection: Connection, utility_id: int, period: str, run: int) -> list[BillingException]:
    """What a close left for people, by service point and register."""
    with connection.cursor(row_factory=with_evidence(BillingException)) as cursor:
        return cursor.execute(
            """
            select service_point_id, obis, reason, detail, evidence from billing_exceptions
            where close_id = (select id from closes where utility_id = %s and period = %s and run = %s)
            order by service_point_id, obis
            """,
            (utility_id, period, run),
        ).fetchall()


def note(
    connection: Connection,
    utility_id: int,
    period: str,
    *,
    run: int,
    state: str,
    author: str,
    summary: dict[str, Any],
) -> None:
    """Add a step of a period's close."""
    connection.execute(
        """
        insert into close_events (utility_id, period, run, state, author, summary)
        values (%s, %s, %s, %s, %s, %s)
        """,
        (utility_id, period, run, state, author, Jsonb(summary)),
    )
