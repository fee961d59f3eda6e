"""Control totals, and when a close is delivered: billing said of all that it added that it has it.

Where it was pushed, every message is acknowledged with its control totals, at every destination that is
still there. Where it was pushed nowhere, somebody pulled the period to the close's last cursor and
acknowledged that. The fact is a step of the close (`close_events`), noted once.
"""

from collections.abc import Iterable
from typing import Any

from psycopg import Connection

TRUE_UP = "true_up"
"""What the control total of true-ups is called, behind the register and unit that they belong to."""


def control_sums(rows: Iterable[tuple[str, int, int | None]]) -> dict[str, int]:
    """Control totals of (register and unit, consumption, true-up or None), both in micro-units.

    True-ups are a total of their own, there where there is any: `{"8-0:1.0.0 m3": 31000000,
    "8-0:1.0.0 m3 true_up": -2250000}`.
    """
    sums: dict[str, int] = {}
    for name, consumption, true_up in rows:
        sums[name] = sums.get(name, 0) + consumption
        if true_up is not None:
            settled = f"{name} {TRUE_UP}"
            sums[settled] = sums.get(settled, 0) + true_up
    return dict(sorted(sums.items()))


def note_delivered(connection: Connection[Any], utility_id: int, period: str, author: str) -> int:
    """Note it of the period's closes of which it is newly true, as by `author`; how many.

    For whoever has just stored an acknowledgement, or issued a close, in the same transaction.
    """
    return connection.execute(
        """
        insert into close_events (utility_id, period, run, state, author)
        select c.utility_id, c.period, c.run, 'delivered', %(author)s
        from closes c
        cross join lateral (
            select count(*) as messages, count(*) filter (where o.state <> 'acknowledged') as open
            from outbox o join destinations d on d.id = o.destination_id
            where o.close_id = c.id and d.removed_at is null
        ) pushed
        where c.utility_id = %(utility)s and c.period = %(period)s and pushed.open = 0
          and not exists (select from close_events e
                          where e.utility_id = c.utility_id and e.period = c.period and e.run = c.run
                            and e.state = 'delivered')
          and (pushed.messages > 0
               or coalesce((select b.id from billing_readings b
                            where b.utility_id = c.utility_id and b.period = c.period and b.close_id = c.id
                            order by b.id desc limit 1), 0)
                  <= coalesce((select max(a.cursor) from billing_acknowledgements a
                               where a.utility_id = c.utility_id and a.period = c.period), 0))
        on conflict do nothing
        """,
        {"utility": utility_id, "period": period, "author": author},
    ).rowcount
