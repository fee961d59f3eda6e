"""A meter exchanged at a service point: one installation ends with its readings, another begins with its.

The same meter with another multiplier (its transformers were exchanged) is the same thing: consumption is a
sum over installations, so each ratio counts for the readings between its two instants.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from psycopg import Connection

from metering.registry.checks import RegistryError, check_installation
from metering.registry.entries import InstallationEntry
from store.postgres.roles import enter_utility
from store.registry.rows import micro_values
from telemetry.meter_id import MeterIdError, check_meter_id
from telemetry.micro import to_micro

Values = Mapping[str, str]  # {OBIS: decimal text in the register's unit}


@dataclass(frozen=True, slots=True)
class Exchange:
    """Exchange of a meter. `removed` is needed where several meters measure; `at` without offset is local.

    `start_values` of the same meter default to `end_values`; `multiplier` to that of before.
    """

    utility: str
    service_point: str
    installed: str
    at: datetime
    end_values: Values
    start_values: Values
    removed: str | None = None
    multiplier: str | None = None


@dataclass(frozen=True, slots=True)
class _Open:
    """An installation without an end."""

    id: int
    meter_id: int
    meter: str
    valid_from: datetime
    multiplier: Decimal


def swap(connection: Connection[Any], exchange: Exchange) -> str:
    """Does it in one transaction, and returns the meter id that was taken away. Raises RegistryError.

    A meter that is not registered yet is, on the gateway, line and site of the one before.
    """
    name = f"utility {exchange.utility}, service point {exchange.service_point}"
    with connection.transaction():
        row = connection.execute(
            """
            select p.id, p.utility_id, p.medium, u.time_zone
            from service_points p join utilities u on u.id = p.utility_id
            where u.code = %s and p.code = %s for no key update of p
            """,
            (exchange.utility, exchange.service_point),
        ).fetchone()
        if row is None:
            raise RegistryError(name, "is not registered", "mend the code, or register it first")
        point_id, utility_id, medium, zone = row
        enter_utility(connection, utility_id)  # whose readings are looked at
        at = exchange.at if exchange.at.tzinfo else exchange.at.replace(tzinfo=ZoneInfo(zone))
        before = _open_installation(connection, name, point_id, exchange.removed)
        if at <= before.valid_from:
            raise RegistryError(
                name,
                f"{before.meter} was installed only at {before.valid_from:%Y-%m-%d %H:%M %Z}",
                "let the exchange be later, or correct that installation",
            )
        same = before.meter == exchange.installed
        starts = exchange.start_values or (exchange.end_values if same else {})
        multiplier = exchange.multiplier or str(before.multiplier)
        check_installation(
            name, InstallationEntry(exchange.installed, at, None, multiplier, dict(starts), {})
        )
        check_installation(
            name, InstallationEntry(before.meter, at, None, "1", {}, dict(exchange.end_values))
        )
        _require_readings(connection, name, before, exchange.end_values, starts)
        _refuse_fallen(connection, name, before, at, exchange.end_values)
        meter_id = _meter(connection, name, (utility_id, medium, at), exchange.installed, before)
        connection.execute(
            "update installations set valid_to = %s, end_values = %s where id = %s",
            (at, micro_values(exchange.end_values), before.id),
        )
        connection.execute(
            """
            insert into installations (service_point_id, meter_id, valid_from, multiplier, start_values)
            values (%s, %s, %s, %s, %s)
            """,
            (point_id, meter_id, at, Decimal(multiplier), micro_values(starts)),
        )
    return before.meter


def _open_installation(connection: Connection[Any], name: str, point_id: int, removed: str | None) -> _Open:
    found = [
        _Open(*row)
        for row in connection.execute(
            """
            select i.id, m.id, m.code, i.valid_from, i.multiplier
            from installations i join meters m on m.id = i.meter_id
            where i.service_point_id = %s and i.valid_to is null and (%s::text is null or m.code = %s)
            order by m.code
            """,
            (point_id, removed, removed),
        )
    ]
    if not found:
        whom = removed or "no meter"
        raise RegistryError(
            name, f"{whom} is not measuring there now" if removed else f"has {whom}", "install one first"
        )
    if len(found) > 1:
        several = " and ".join(one.meter for one in found)
        raise RegistryError(name, f"is measured by {several}", "say which of them is removed")
    return found[0]


def _require_readings(
    connection: Connection[Any], name: str, before: _Open, ends: Values, starts: Values
) -> None:
    """A bill needs both readings of the exchange: nobody else can say them later."""
    rows = connection.execute(
        "select obis from registers where meter_id = %s and billed and kind = 'counter' order by obis",
        (before.meter_id,),
    )
    for (obis,) in rows:
        for kind, values in (("end", ends), ("start", starts)):
            if obis not in values:
                raise RegistryError(
                    name, f"no {kind} reading of {obis} is given", "read it off the display of that meter"
                )


def _refuse_fallen(connection: Connection[Any], name: str, before: _Open, at: datetime, ends: Values) -> None:
    """An end below what was read earlier is a slip of the pen, but for a register that rolled over."""
    for obis, value in ends.items():
        row = connection.execute(
            """
            select last.value from registers r cross join lateral (
                select value from utility_readings where register_id = r.id and measured_at <= %s
                order by measured_at desc limit 1) last
            where r.meter_id = %s and r.obis = %s and r.kind = 'counter'
              and last.value > %s and (r.capacity is null or last.value - %s < r.capacity / 2)
            """,
            (at, before.meter_id, obis, to_micro(value), to_micro(value)),
        ).fetchone()
        if row is not None:
            raise RegistryError(
                name,
                f"the end reading {value} of {obis} is below what {before.meter} showed before",
                "look at the display or the instant again",
            )


def _meter(
    connection: Connection[Any], name: str, place: tuple[int, int, datetime], code: str, before: _Open
) -> int:
    """The id of the meter to install. `place`: utility, medium, instant."""
    utility_id, medium, at = place
    try:
        check_meter_id(code)
    except MeterIdError as error:
        raise RegistryError(name, str(error), "use the meter id that the driver reports") from error
    elsewhere = connection.execute(
        """
        select p.code from meters m join installations i on i.meter_id = m.id
        join service_points p on p.id = i.service_point_id
        where m.utility_id = %s and m.code = %s and i.id <> %s and (i.valid_to is null or i.valid_to > %s)
        """,
        (utility_id, code, before.id, at),
    ).fetchone()
    if elsewhere is not None:
        raise RegistryError(name, f"{code} is installed at {elsewhere[0]}", "end that installation first")
    connection.execute(
        """
        insert into meters (utility_id, code, medium, gateway_id, line_id, site_id)
        select %s, %s, %s, gateway_id, line_id, site_id from meters where id = %s
        on conflict (utility_id, code) do nothing
        """,
        (utility_id, code, medium, before.meter_id),
    )
    row = connection.execute(
        "select id from meters where utility_id = %s and code = %s", (utility_id, code)
    ).fetchone()
    assert row is not None
    return int(row[0])
