"""Outliers of a close or draft: registers whose month is far from the last one, or from last year's."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from metering.periods.calendar import neighbour
from store.billing.close_list import HOLDS


@dataclass(frozen=True, slots=True)
class OutlierRow:
    """A register whose month is far from the last one, or from the same month a year before.

    Consumption in micro-units, true-ups left out. Ratios are to these, None where there is none or it is
    nothing. `factor`, by which rows are ordered, is the greater distance of the two, up or down, with one
    unit added to both sides: who used next to nothing is no outlier by a tap.
    """

    service_point: str
    service_point_name: str
    account: str
    obis: str
    unit: str
    quality: int
    consumption: int
    last_month: int | None
    last_year: int | None
    ratio_to_last_month: Decimal | None
    ratio_to_last_year: Decimal | None
    factor: Decimal


_OUTLIERS = f"""
    with holds as ({HOLDS}),
    before as (
        select distinct on (service_point_id, obis, period) service_point_id, obis, period, unit, consumption
        from billing_readings
        where utility_id = %(utility)s and period in (%(last_month)s, %(last_year)s)
        order by service_point_id, obis, period, version desc
    ), compared as (
        select h.service_point_id, h.obis, h.unit, h.quality, h.consumption, m.consumption as last_month,
               y.consumption as last_year,
               greatest(apart(h.consumption, m.consumption), apart(h.consumption, y.consumption)) as factor
        from holds h
        left join before m on m.service_point_id = h.service_point_id and m.obis = h.obis
                           and m.unit = h.unit and m.period = %(last_month)s
        left join before y on y.service_point_id = h.service_point_id and y.obis = h.obis
                           and y.unit = h.unit and y.period = %(last_year)s
    ), named as (
        select p.code as service_point, p.name as service_point_name, p.account, c.*
        from compared c join service_points p on p.id = c.service_point_id
        where c.factor >= %(least)s
    )
    select n.service_point, n.service_point_name, n.account, n.obis, n.unit, n.quality, n.consumption,
           n.last_month, n.last_year,
           round(n.consumption / nullif(n.last_month, 0)::numeric, 3) as ratio_to_last_month,
           round(n.consumption / nullif(n.last_year, 0)::numeric, 3) as ratio_to_last_year, n.factor
    from named n
    left join named seen on seen.service_point = %(after_point)s and seen.obis = %(after_obis)s
    where %(after_point)s::text is null
       or (-n.factor, n.service_point, n.obis) > (-seen.factor, seen.service_point, seen.obis)
    order by n.factor desc, n.service_point, n.obis limit %(limit)s
"""  # noqa: S608 - a fragment of this module


def outliers_page(
    connection: Connection[Any],
    utility_id: int,
    period: str,
    run: int,
    *,
    limit: int,
    after: tuple[str, str] | None = None,
    least: Decimal = Decimal(3),
) -> list[OutlierRow]:
    """What holds as of a close or draft and is `least` times more or less than before, the furthest first.

    `after`: service point and register of the last row seen.
    """
    after_point, after_obis = after or (None, None)
    with connection.cursor(row_factory=class_row(OutlierRow)) as cursor:
        return cursor.execute(
            _OUTLIERS,
            {
                "utility": utility_id,
                "period": period,
                "run": run,
                "last_month": neighbour(period, -1),
                "last_year": neighbour(period, -12),
                "least": least,
                "limit": limit,
                "after_point": after_point,
                "after_obis": after_obis,
            },
        ).fetchall()
