"""Places of meters and of delivery: sites, gateways, service points, installations.

Pages go on from the key that they are ordered by: a code, or an installation's id.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

INSIDE = """
    recursive inside as (
        select s.id from sites s where s.utility_id = %(utility)s and s.code = %(site)s
        union
        select s.id from sites s join inside i on s.parent_id = i.id
    )
"""
"""The first of a statement's `with`: the ids of the site of code `site` (None: none) and of all below it."""


@dataclass(frozen=True, slots=True)
class SiteRow:
    """A building or a part of one; `parent` is the code of the site that it is a part of."""

    id: int
    code: str
    name: str
    address: str
    parent: str | None


@dataclass(frozen=True, slots=True)
class LineRow:
    """A wire of a gateway."""

    gateway_id: int
    code: str
    protocol: str
    address: str


@dataclass(frozen=True, slots=True)
class GatewayRow:
    """A gateway as it is registered, and whether it is there."""

    id: int
    code: str
    kind: str
    site: str | None
    state: str
    state_at: datetime | None


@dataclass(frozen=True, slots=True)
class ServicePointRow:
    """Service point; `account` is the billing system's reference, "" where it has none."""

    id: int
    code: str
    name: str
    medium: int
    site: str | None
    account: str
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class PlacedRow:
    """A meter's time at a service point; values of registers in micro-units, by OBIS code."""

    id: int
    service_point_id: int
    service_point: str
    meter: str
    valid_from: datetime
    valid_to: datetime | None
    multiplier: Decimal
    start_values: dict[str, int]
    end_values: dict[str, int]


_SITE = """
    select s.id, s.code, s.name, s.address, p.code as parent
    from sites s left join sites p on p.id = s.parent_id
"""
_GATEWAY = """
    select g.id, g.code, g.kind, s.code as site, g.state, g.state_at
    from gateways g left join sites s on s.id = g.site_id
"""
_POINT = """
    select p.id, p.code, p.name, p.medium, s.code as site, p.account, p.ended_at
    from service_points p left join sites s on s.id = p.site_id
"""
_PLACED = """
    select i.id, i.service_point_id, p.code as service_point, m.code as meter, i.valid_from, i.valid_to,
           i.multiplier, i.start_values, i.end_values
    from installations i
    join service_points p on p.id = i.service_point_id
    join meters m on m.id = i.meter_id
"""


def sites_page(
    connection: Connection[Any], utility_id: int, *, after: str | None, limit: int, parent: str | None = None
) -> list[SiteRow]:
    """At most `limit` sites in order of their codes, behind `after`; the parts of `parent`, if given."""
    with connection.cursor(row_factory=class_row(SiteRow)) as cursor:
        return cursor.execute(
            _SITE
            + """
            where s.utility_id = %(utility)s and (%(after)s::text is null or s.code > %(after)s)
              and (%(parent)s::text is null or p.code = %(parent)s)
            order by s.code limit %(limit)s
            """,
            {"utility": utility_id, "after": after, "limit": limit, "parent": parent},
        ).fetchall()


def site(connection: Connection[Any], utility_id: int, code: str) -> SiteRow | None:
    """The utility's site with this code."""
    with connection.cursor(row_factory=class_row(SiteRow)) as cursor:
        return cursor.execute(
            _SITE + " where s.utility_id = %s and s.code = %s", (utility_id, code)
        ).fetchone()


def gateways_page(
    connection: Connection[Any], utility_id: int, *, after: str | None, limit: int, site: str | None = None
) -> list[GatewayRow]:
    """At most `limit` gateways in order of their codes, behind `after`; those of a site, if given."""
    with connection.cursor(row_factory=class_row(GatewayRow)) as cursor:
        return cursor.execute(
            _GATEWAY
            + """
            where g.utility_id = %(utility)s and (%(after)s::text is null or g.code > %(after)s)
              and (%(site)s::text is null or s.code = %(site)s)
            order by g.code limit %(limit)s
            """,
            {"utility": utility_id, "after": after, "limit": limit, "site": site},
        ).fetchall()


def gateway(connection: Connection[Any], utility_id: int, code: str) -> GatewayRow | None:
    """The utility's gateway with this code."""
    with connection.cursor(row_factory=class_row(GatewayRow)) as cursor:
        return cursor.execute(
            _GATEWAY + " where g.utility_id = %s and g.code = %s", (utility_id, code)
        ).fetchone()


def lines(connection: Connection[Any], gateway_ids: list[int]) -> list[LineRow]:
    """The lines of these gateways, in order of their codes."""
    with connection.cursor(row_factory=class_row(LineRow)) as cursor:
        return cursor.execute(
            """
            select gateway_id, code, protocol, address from lines
            where gateway_id = any(%s) order by gateway_id, code
            """,
            (gateway_ids,),
        ).fetchall()


def service_points_page(
    connection: Connection[Any],
    utility_id: int,
    *,
    after: str | None,
    limit: int,
    site: str | None = None,
    medium: int | None = None,
    account: str | None = None,
) -> list[ServicePointRow]:
    """At most `limit` service points in order of their codes, behind `after`."""
    with connection.cursor(row_factory=class_row(ServicePointRow)) as cursor:
        return cursor.execute(
            _POINT
            + """
            where p.utility_id = %(utility)s and (%(after)s::text is null or p.code > %(after)s)
              and (%(site)s::text is null or s.code = %(site)s)
              and (%(medium)s::int is null or p.medium = %(medium)s)
              and (%(account)s::text is null or p.account = %(account)s)
            order by p.code limit %(limit)s
            """,
            {
                "utility": utility_id,
                "after": after,
                "limit": limit,
                "site": site,
                "medium": medium,
                "account": account,
            },
        ).fetchall()


def service_point(connection: Connection[Any], utility_id: int, code: str) -> ServicePointRow | None:
    """The utility's service point with this code."""
    with connection.cursor(row_factory=class_row(ServicePointRow)) as cursor:
        return cursor.execute(
            _POINT + " where p.utility_id = %s and p.code = %s", (utility_id, code)
        ).fetchone()


def placed_at(connection: Connection[Any], service_point_id: int) -> list[PlacedRow]:
    """All installations at a service point, the first one first."""
    with connection.cursor(row_factory=class_row(PlacedRow)) as cursor:
        return cursor.execute(
            _PLACED + " where i.service_point_id = %s order by i.valid_from, m.code", (service_point_id,)
        ).fetchall()


def placed_page(
    connection: Connection[Any],
    utility_id: int,
    *,
    after: int,
    limit: int,
    service_point: str | None = None,
    meter: str | None = None,
    at: datetime | None = None,
) -> list[PlacedRow]:
    """At most `limit` installations in order of their ids, behind `after`; those that held `at`, if given."""
    with connection.cursor(row_factory=class_row(PlacedRow)) as cursor:
        return cursor.execute(
            _PLACED
            + """
            where p.utility_id = %(utility)s and i.id > %(after)s
              and (%(point)s::text is null or p.code = %(point)s)
              and (%(meter)s::text is null or m.code = %(meter)s)
              and (%(at)s::timestamptz is null
                   or i.valid_from <= %(at)s and (i.valid_to is null or i.valid_to > %(at)s))
            order by i.id limit %(limit)s
            """,
            {
                "utility": utility_id,
                "after": after,
                "limit": limit,
                "point": service_point,
                "meter": meter,
                "at": at,
            },
        ).fetchall()


def placed(connection: Connection[Any], utility_id: int, installation_id: int) -> PlacedRow | None:
    """An installation of the utility."""
    with connection.cursor(row_factory=class_row(PlacedRow)) as cursor:
        return cursor.execute(
            _PLACED + " where p.utility_id = %s and i.id = %s", (utility_id, installation_id)
        ).fetchone()
