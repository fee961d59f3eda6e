"""Progress of a utility's readings: what `hesper demo` waits for and sums up."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection


@dataclass(frozen=True, slots=True)
class ValidationProgress:
    """Counts of one utility; `unjudged` are blocks of readings of all utilities that wait to be validated."""

    readings: int
    telegrams: int
    quarantined: int
    findings: int
    unjudged: int


def meters_read_since(connection: Connection[Any], utility: str, instant: datetime) -> set[str]:
    """Meter ids of which a telegram that was read at or after the instant is stored."""
    rows = connection.execute(
        """
        select distinct m.code
        from meters m
        join utilities u on u.id = m.utility_id
        join telegrams t on t.meter_id = m.id and t.measured_at >= %s
        where u.code = %s
        """,
        (instant, utility),
    )
    return {code for (code,) in rows}


def standing(connection: Connection[Any], utility: str) -> ValidationProgress:
    """The counts as of now."""
    row = connection.execute(
        """
        with mine as (select id from utilities where code = %s)
        select (select count(*) from readings join registers r on r.id = register_id, mine
                where r.utility_id = mine.id),
               (select count(*) from telegrams join meters m on m.id = meter_id, mine
                where m.utility_id = mine.id),
               (select count(*) from quarantine q, mine where q.utility_id = mine.id and q.state = 'waiting'),
               (select count(*) from findings f, mine where f.utility_id = mine.id),
               (select count(*) from validation_queue)
        """,
        (utility,),
    ).fetchone()
    assert row is not None
    return ValidationProgress(*row)
