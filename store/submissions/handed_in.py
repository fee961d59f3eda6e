"""Readings that people handed in, as a close counts them: by their receipts, else by the window's days."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from psycopg import Connection

from metering.billing.case import StoredReading
from telemetry.status import Status


@dataclass(frozen=True, slots=True)
class SubmissionBoundary:
    """Boundary of a register for which a reading may have been handed in.

    `period` ends at or holds `instant`, and began at `begins`; readings from `earliest` on and before
    `latest` (None: any) are those of the installation. Without a receipt those from `since` on and before
    `until` count.
    """

    register_id: int
    service_point_id: int
    period: str
    begins: datetime
    instant: datetime
    earliest: datetime
    latest: datetime | None
    since: datetime
    until: datetime


_USABLE = """
    {0}.register_id = place.register_id and {0}.measured_at < g.validated_until
    and not exists (select from marks m where m.register_id = {0}.register_id
                    and m.measured_at = {0}.measured_at and not m.usable)
"""
_RECEIPT = """
    from submissions s where s.service_point_id = place.service_point_id
    and s.register_id = place.register_id and s.verdict = 'accepted'
"""
_LAST = f"""
    select counted.measured_at, counted.value, counted.status
    from unnest(%(register_id)s::int[], %(service_point_id)s::int[], %(period)s::text[],
                %(begins)s::timestamptz[], %(instant)s::timestamptz[], %(earliest)s::timestamptz[],
                %(latest)s::timestamptz[], %(since)s::timestamptz[], %(until)s::timestamptz[])
         with ordinality as place (register_id, service_point_id, period, begins, instant, earliest, latest,
                                   since, until, position)
    join registers g on g.id = place.register_id
    left join lateral (
        select r.measured_at, r.value, r.status
        from (select s.read_at {_RECEIPT} and s.counts_in = place.period
              union
              select n.measured_at from readings n
              where n.register_id = place.register_id and n.status & %(manual)s <> 0
                and n.measured_at >= place.since and n.measured_at < place.until
                and not exists (select {_RECEIPT} and s.read_at = n.measured_at)) candidate (read_at)
        join readings r on r.measured_at = candidate.read_at and {_USABLE.format("r")}
         and r.status & %(manual)s <> 0
        where r.measured_at >= place.earliest and (place.latest is null or r.measured_at < place.latest)
          and not exists (  -- the register was read since: by itself, or by a person for a period before
              select from readings n
              where {_USABLE.format("n")} and n.measured_at > r.measured_at
                and n.measured_at <= greatest(place.instant, place.since)
                and case when n.status & %(manual)s = 0
                         then r.measured_at < place.begins and n.measured_at <= place.instant
                         else coalesce((select bool_or(s.counts_in < place.period)
                                        {_RECEIPT} and s.read_at = n.measured_at),
                                       n.measured_at < place.since) end)
        order by r.measured_at desc limit 1) counted on true
    order by place.position
"""  # noqa: S608 - fragments of this module


def last_handed_in(
    connection: Connection[Any], boundaries: Sequence[SubmissionBoundary]
) -> list[StoredReading | None]:
    """The last usable reading that counts for each boundary.

    One that was read before its period began is of no use where the register was read since, for then it lies
    below what the period begins with.
    """
    columns = {
        field.name: [getattr(each, field.name) for each in boundaries] for field in fields(SubmissionBoundary)
    }
    rows = connection.execute(_LAST.encode(), columns | {"manual": int(Status.MANUAL)})
    return [None if row[0] is None else StoredReading(*row) for row in rows]
