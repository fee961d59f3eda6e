"""Reconciliation statements: the versions issued for an account, and what was left out of its months."""

from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from metering.delivery.statement import Exclusion, Statement, StatementVersion, reconcile


def statement(connection: Connection[Any], utility_id: int, account: str, first: str, last: str) -> Statement:
    """The statement of an account for the periods from `first` to `last`, both included."""
    months = {"utility": utility_id, "account": account, "first": first, "last": last}
    lines = reconcile(_versions(connection, months), _exclusions(connection, months))
    return Statement(account, first, last, lines)


def _versions(connection: Connection[Any], months: dict[str, Any]) -> list[StatementVersion]:
    """All versions of the account's billing readings, in order."""
    with connection.cursor(row_factory=class_row(StatementVersion)) as cursor:
        cursor.execute(
            """
            with issued as (
                select * from billing_readings
                where utility_id = %(utility)s and account = %(account)s and account <> ''
                  and period between %(first)s and %(last)s
                union all  -- where nobody noted the account with the reading, the present one
                select b.* from service_points p join billing_readings b on b.service_point_id = p.id
                where p.utility_id = %(utility)s and p.account = %(account)s and p.account <> ''
                  and b.account is null and b.period between %(first)s and %(last)s
            )
            select b.period, p.code as service_point, b.obis, b.unit, b.version, b.consumption, b.quality,
                   b.created_at, b.true_up, sent.delivered_at,
                   least(sent.acknowledged_at,
                         (select min(a.at) from billing_acknowledgements a
                          where a.utility_id = b.utility_id and a.period = b.period and a.cursor >= b.id)
                   ) as acknowledged_at, b.id
            from issued b
            join service_points p on p.id = b.service_point_id
            cross join lateral (
                select min(o.delivered_at) as delivered_at, min(o.acknowledged_at) as acknowledged_at
                from outbox o
                where o.close_id = b.close_id and b.id between o.first_reading and o.last_reading
            ) sent
            order by b.period, p.code, b.obis, b.version
            """,
            months,
        )
        return cursor.fetchall()


def _exclusions(connection: Connection[Any], months: dict[str, Any]) -> list[Exclusion]:
    """Registers of the account's service points that the last close of each period left out."""
    with connection.cursor(row_factory=class_row(Exclusion)) as cursor:
        cursor.execute(
            """
            select e.period, p.code as service_point, e.obis, e.reason, e.detail
            from (
                select distinct on (period) id from closes
                where utility_id = %(utility)s and period between %(first)s and %(last)s
                order by period, run desc
            ) c
            join billing_exceptions e on e.close_id = c.id
            join service_points p on p.id = e.service_point_id
            where p.utility_id = %(utility)s and p.account = %(account)s and p.account <> ''
            order by e.period, p.code, e.obis
            """,
            months,
        )
        return cursor.fetchall()
