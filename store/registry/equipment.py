"""Rows of sites, gateways, lines, meters and registers, put as a registry's entries say."""

from collections.abc import Mapping, Sequence
from datetime import date

from metering.registry.checks import RegistryError, medium_of
from metering.registry.defaults import capacity_of, defaults
from metering.registry.entries import GatewayEntry, MeterEntry, RegisterEntry, SiteEntry
from store.registry.rows import Rows, given
from telemetry.micro import to_micro
from telemetry.obis import Medium, Obis


def put_site(rows: Rows, name: str, site: SiteEntry) -> int:
    """Puts the row of a site. Raises RegistryError where its parent is a part of it."""
    parent_id = rows.reference("sites", site.parent, name)
    site_id = rows.put(
        "sites",
        {"utility_id": rows.utility_id, "code": site.code},
        {"name": site.name or site.code, "address": site.address, "parent_id": parent_id},
    )
    above = rows.connection.execute(
        """
        with recursive above as (
            select %(parent)s::int as id
            union
            select s.parent_id from sites s join above using (id)
        )
        select from above where id = %(site)s
        """,
        {"parent": parent_id, "site": site_id},
    ).fetchone()
    if above is not None:
        raise RegistryError(name, f"is above {site.parent} itself", "name a parent that is no part of it")
    return site_id


def put_gateway(rows: Rows, name: str, gateway: GatewayEntry) -> int:
    """Puts the rows of a gateway and its lines."""
    gateway_id = rows.put(
        "gateways",
        {"utility_id": rows.utility_id, "code": gateway.code},
        {"site_id": rows.reference("sites", gateway.site, name)},
    )
    for line in gateway.lines:
        rows.put(
            "lines",
            {"gateway_id": gateway_id, "code": line.code},
            {"protocol": line.protocol, "address": line.address},
            {"utility_id": rows.utility_id},
        )
    return gateway_id


def put_meter(rows: Rows, name: str, meter: MeterEntry) -> int:
    """Puts the rows of a meter and its verifications."""
    gateway_id = rows.reference("gateways", meter.gateway, name)
    meter_id = rows.put(
        "meters",
        {"utility_id": rows.utility_id, "code": meter.code},
        {
            "gateway_id": gateway_id,
            "line_id": _line(rows, gateway_id, meter.line, name),
            "site_id": rows.reference("sites", meter.site, name),
            "model": meter.model,
            "medium": int(medium_of(meter.medium)),
            "qmax": None if meter.qmax is None else to_micro(meter.qmax),
            "imax": None if meter.imax is None else to_micro(meter.imax),
            "phases": meter.phases,
            "verified_until": _verified_until(rows, meter),
        },
    )
    for verification in meter.verifications:
        rows.put(
            "verifications",
            {"meter_id": meter_id, "verified_on": verification.on},
            {"valid_until": verification.until, "certificate": verification.certificate},
            {"utility_id": rows.utility_id},
            identity="meter_id",
        )
    return meter_id


def _verified_until(rows: Rows, meter: MeterEntry) -> date | None:
    """The latest end of its verifications, those that the document leaves out too."""
    if not meter.verifications:
        return meter.verified_until
    stored = rows.connection.execute(
        """
        select v.valid_until from verifications v join meters m on m.id = v.meter_id
        where m.utility_id = %s and m.code = %s and v.verified_on <> all(%s)
        """,
        (rows.utility_id, meter.code, [verification.on for verification in meter.verifications]),
    )
    ends: list[date] = [until for (until,) in stored]
    return max(ends + [verification.until for verification in meter.verifications])


def _line(rows: Rows, gateway_id: int | None, code: str | None, name: str) -> int | None:
    if code is None:
        return None
    row = rows.connection.execute(
        "select id from lines where gateway_id = %s and code = %s", (gateway_id, code)
    ).fetchone()
    if row is None:
        raise RegistryError(name, f"its gateway has no line {code}", "list the line at its gateway")
    return int(row[0])


def units_of(rows: Rows, meters: Sequence[MeterEntry]) -> dict[tuple[int, str], str]:
    """{(meter id, OBIS): unit}, as it is stored of the meters whose registers are listed."""
    stored = rows.connection.execute(
        """
        select r.meter_id, r.obis, r.unit from registers r join meters m on m.id = r.meter_id
        where m.utility_id = %s and m.code = any(%s)
        """,
        (rows.utility_id, [meter.code for meter in meters if meter.registers]),
    )
    return {(meter_id, obis): unit for meter_id, obis, unit in stored}


def put_register(
    rows: Rows,
    name: str,
    meter_id: int,
    medium: Medium | str,
    register: RegisterEntry,
    *,
    stored: Mapping[tuple[int, str], str],
) -> int:
    """Puts the row of a register. Raises RegistryError for another unit than its readings are `stored` in."""
    usual = defaults(Obis.parse(register.obis), medium_of(medium))
    values = {
        "unit": register.unit or usual.unit,
        "kind": usual.kind.value,
        "billed": usual.billed if register.billed is None else register.billed,
    } | given(
        capacity=capacity_of(register.digits),
        expected_interval=register.interval,
        boundary_tolerance=register.boundary_tolerance,
    )
    unit = stored.get((meter_id, register.obis), values["unit"])
    if unit != values["unit"] and _has_readings(rows, meter_id, register.obis):
        raise RegistryError(
            name, f"has readings in {unit}, and the entry says {values['unit']}", f"keep {unit}"
        )
    key = {"meter_id": meter_id, "obis": register.obis}
    return rows.put("registers", key, values, {"utility_id": rows.utility_id})


def _has_readings(rows: Rows, meter_id: int, obis: str) -> bool:
    """Stored readings count micro-units of the register's unit: it is never changed under them."""
    row = rows.connection.execute(
        """
        select from registers r
        where meter_id = %s and obis = %s and exists (select from readings where register_id = r.id)
        """,
        (meter_id, obis),
    ).fetchone()
    return row is not None
