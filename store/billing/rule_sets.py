"""Rule sets of utilities by their validity, and facts about service points that estimates rest on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from psycopg import Connection
from psycopg.rows import class_row

from metering.billing.estimate import BilledBefore
from metering.billing.evidence import Evidence, InstallationEvidence
from store.billing.evidence import path


@dataclass(frozen=True, slots=True)
class RulesRow:
    """Rule set as it was given; `content` is TOML."""

    id: int
    valid_from: date
    name: str
    version: str
    content: str
    author: str
    added_at: datetime


def rules_on(connection: Connection, utility_id: int, day: date) -> RulesRow | None:
    """What holds for a period that begins on this local day: of the latest validity the row added last."""
    with connection.cursor(row_factory=class_row(RulesRow)) as cursor:
        return cursor.execute(
            """
            select id, valid_from, name, version, content, author, added_at from billing_rules
            where utility_id = %s and valid_from <= %s order by valid_from desc, id desc limit 1
            """,
            (utility_id, day),
        ).fetchone()


def add_rules(
    connection: Connection,
    utility_id: int,
    *,
    valid_from: date,
    name: str,
    version: str,
    content: str,
    author: str,
) -> None:
    """Let these hold for periods that begin on `valid_from` or later. The caller commits."""
    connection.execute(
        """
        insert into billing_rules (utility_id, valid_from, name, version, content, author)
        values (%s, %s, %s, %s, %s, %s)
        """,
        (utility_id, valid_from, name, version, content, author),
    )


def all_rules(connection: Connection, utility_id: int) -> list[RulesRow]:
    """Every rule set that a utility was ever given, by validity."""
    with connection.cursor(row_factory=class_row(RulesRow)) as cursor:
        return cursor.execute(
            """
            select id, valid_from, name, version, content, author, added_at from billing_rules
            where utility_id = %s order by valid_from, id
            """,
            (utility_id,),
        ).fetchall()


def add_coefficient(
    connection: Connection,
    utility_id: int,
    point: str,
    *,
    per: str,
    valid_from: date,
    amount: Decimal,
    author: str,
) -> None:
    """What norms are multiplied by at a service point from a day on. Raises LookupError for no such point."""
    added = connection.execute(
        """
        insert into service_point_coefficients (utility_id, service_point_id, per, valid_from, amount, author)
        select utility_id, id, %s, %s, %s, %s from service_points where utility_id = %s and code = %s
        """,
        (per, valid_from, amount, author, utility_id, point),
    )
    if not added.rowcount:
        raise LookupError(f"no service point has the code {point!r}")


def coefficients(connection: Connection, points: Sequence[int], day: date) -> dict[tuple[int, str], Decimal]:
    """What norms are multiplied by on a day, by service point and what they are per."""
    rows = connection.execute(
        """
        select distinct on (service_point_id, per) service_point_id, per, amount
        from service_point_coefficients where service_point_id = any(%s) and valid_from <= %s
        order by service_point_id, per, valid_from desc, id desc
        """,
        (list(points), day),
    )
    return {(point, per): amount for point, per, amount in rows}


def billed_before(
    connection: Connection, points: Sequence[int], periods: Sequence[str]
) -> list[BilledBefore]:
    """Current versions of these periods at these service points, the latest period first."""
    with connection.cursor(row_factory=class_row(BilledBefore)) as cursor:
        return cursor.execute(
            f"""
            select distinct on (period, service_point_id, obis)
                   service_point_id, obis, period, consumption, start_method, end_method,
                   (select sum((part #>> {path(InstallationEvidence, "end", "instant")})::timestamptz
                                - (part #>> {path(InstallationEvidence, "start", "instant")})::timestamptz)
                    from jsonb_array_elements(evidence #> {path(Evidence, "installations")}) part) as time
            from billing_readings where service_point_id = any(%s) and period = any(%s)
            order by period desc, service_point_id, obis, version desc
            """.encode(),  # noqa: S608 - paths
            (list(points), list(periods)),
        ).fetchall()


def verified_until(
    connection: Connection, meters: Sequence[str], utility_id: int, day: date
) -> dict[str, date]:
    """Until when (included) meters are verified, as known on a day; without those never told of."""
    rows = connection.execute(
        """
        select m.code, coalesce(max(v.valid_until), m.verified_until)
        from meters m left join verifications v on v.meter_id = m.id and v.verified_on <= %s
        where m.utility_id = %s and m.code = any(%s) group by m.id
        """,
        (day, utility_id, list(meters)),
    )
    return {meter: until for meter, until in rows if until is not None}
