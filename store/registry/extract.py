"""A utility's registry as the document that `apply` would make it from."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from psycopg import Connection
from psycopg.rows import dict_row

from metering.registry.checks import RegistryError
from metering.registry.entries import (
    ContractEntry,
    FuseEntry,
    GatewayEntry,
    InstallationEntry,
    LineEntry,
    MeterEntry,
    RegisterEntry,
    ServicePointEntry,
    SiteEntry,
    UtilityEntry,
    VerificationEntry,
)
from store.billing.measured import utility_codes
from telemetry.micro import MICRO, from_micro
from telemetry.obis import Medium

Row = Mapping[str, Any]


def calendar(connection: Connection[Any], utility: str) -> UtilityEntry:
    """The utility with its calendar, and nothing that it owns. Raises RegistryError for an unknown one."""
    found = _rows(connection, _UTILITY, utility)
    if not found:
        known = ", ".join(utility_codes(connection)) or "none: begin with `hesper registry apply`"
        raise RegistryError(f"utility {utility}", "is not registered", f"registered: {known}")
    return UtilityEntry(**found[0])


def extract(connection: Connection[Any], utility: str) -> UtilityEntry:
    """Everything that is registered of a utility, in order of codes, instants in its local time.

    Applying it changes nothing. Raises RegistryError for a utility that is not registered.
    """
    entry = calendar(connection, utility)
    return msgspec.structs.replace(
        entry,
        sites=[SiteEntry(**site) for site in _rows(connection, _SITES, utility)],
        gateways=_gateways(connection, utility),
        meters=_meters(connection, utility),
        service_points=_service_points(connection, utility, ZoneInfo(entry.time_zone)),
    )


def _gateways(connection: Connection[Any], utility: str) -> list[GatewayEntry]:
    lines = defaultdict(list)
    for row in _rows(connection, _LINES, utility):
        lines[row["gateway"]].append(LineEntry(row["code"], row["protocol"], row["address"]))
    return [
        GatewayEntry(row["code"], row["site"], lines[row["code"]])
        for row in _rows(connection, _GATEWAYS, utility)
    ]


def _meters(connection: Connection[Any], utility: str) -> list[MeterEntry]:
    registers, verifications = defaultdict(list), defaultdict(list)
    for row in _rows(connection, _REGISTERS, utility):
        registers[row["meter_id"]].append(
            RegisterEntry(
                row["obis"],
                row["unit"],
                _digits(row["capacity"]),
                row["billed"],
                row["expected_interval"],
                row["boundary_tolerance"],
            )
        )
    for row in _rows(connection, _VERIFICATIONS, utility):
        verifications[row["meter_id"]].append(
            VerificationEntry(row["verified_on"], row["valid_until"], row["certificate"])
        )
    return [
        MeterEntry(
            code=row["code"],
            medium=Medium(row["medium"]),
            model=row["model"],
            gateway=row["gateway"],
            site=row["site"],
            verified_until=row["verified_until"],
            line=row["line"],
            qmax=None if row["qmax"] is None else _decimal(row["qmax"]),
            imax=None if row["imax"] is None else _decimal(row["imax"]),
            phases=row["phases"],
            verifications=verifications[row["id"]],
            registers=registers[row["id"]],
        )
        for row in _rows(connection, _METERS, utility)
    ]


def _service_points(connection: Connection[Any], utility: str, zone: ZoneInfo) -> list[ServicePointEntry]:
    def local(instant: datetime | None) -> datetime | None:
        return None if instant is None else instant.astimezone(zone)

    installations = defaultdict(list)
    for row in _rows(connection, _INSTALLATIONS, utility):
        installations[row["service_point_id"]].append(
            InstallationEntry(
                row["meter"],
                row["valid_from"].astimezone(zone),
                local(row["valid_to"]),
                f"{row['multiplier'].normalize():f}",
                {obis: _decimal(value) for obis, value in row["start_values"].items()},
                {obis: _decimal(value) for obis, value in row["end_values"].items()},
            )
        )
    fuses, contracts = defaultdict(list), defaultdict(list)
    for row in _rows(connection, _FUSES, utility):
        fuse = FuseEntry(row["since"], _decimal(row["amperes"]), row["phases"])
        fuses[row["service_point_id"]].append(fuse)
    for row in _rows(connection, _CONTRACTS, utility):
        contract = ContractEntry(row["valid_from"].astimezone(zone), local(row["valid_to"]), row["account"])
        contracts[row["service_point_id"]].append(contract)
    return [
        ServicePointEntry(
            row["code"],
            Medium(row["medium"]),
            row["name"],
            row["site"],
            row["account"],
            local(row["ended_at"]),
            installations[row["id"]],
            fuses[row["id"]],
            contracts[row["id"]],
        )
        for row in _rows(connection, _SERVICE_POINTS, utility)
    ]


def _rows(connection: Connection[Any], statement: str, utility: str) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(statement.encode(), (utility,)).fetchall()


def _digits(capacity: int | None) -> int | None:
    return None if capacity is None else len(str(capacity // MICRO)) - 1


def _decimal(micro: int) -> str:
    return f"{from_micro(micro):f}"


_UTILITY = """
    select code, name, time_zone, reading_day, boundary_tolerance, interpolation_limit
    from utilities where code = %s
"""
_SITES = """ -- a parent before its parts, as a document has them
    with recursive tree as (
        select id, 0 as depth from sites where utility_id = (select id from utilities where code = %s)
          and parent_id is null
        union all
        select s.id, depth + 1 from sites s join tree on s.parent_id = tree.id
    )
    select s.code, s.name, s.address, p.code as parent
    from tree join sites s using (id) left join sites p on p.id = s.parent_id order by depth, s.code
"""
_GATEWAYS = """
    select g.code, s.code as site from gateways g left join sites s on s.id = g.site_id
    where g.utility_id = (select id from utilities where code = %s) and g.kind = 'field' order by g.code
"""
_LINES = """
    select g.code as gateway, l.code, l.protocol, l.address
    from lines l join gateways g on g.id = l.gateway_id
    where l.utility_id = (select id from utilities where code = %s) order by g.code, l.code
"""
_METERS = """
    select m.id, m.code, m.medium, m.model, g.code as gateway, s.code as site, m.verified_until,
           l.code as line, m.qmax, m.imax, m.phases
    from meters m
    left join gateways g on g.id = m.gateway_id
    left join sites s on s.id = m.site_id
    left join lines l on l.id = m.line_id
    where m.utility_id = (select id from utilities where code = %s) order by m.code
"""
_REGISTERS = """
    select meter_id, obis, unit, capacity, billed, expected_interval, boundary_tolerance
    from registers where utility_id = (select id from utilities where code = %s) order by obis
"""
_VERIFICATIONS = """
    select meter_id, verified_on, valid_until, certificate from verifications
    where utility_id = (select id from utilities where code = %s) order by verified_on
"""
_SERVICE_POINTS = """
    select p.id, p.code, p.medium, p.name, s.code as site, p.account, p.ended_at
    from service_points p left join sites s on s.id = p.site_id
    where p.utility_id = (select id from utilities where code = %s) order by p.code
"""
_INSTALLATIONS = """
    select i.service_point_id, m.code as meter, i.valid_from, i.valid_to, i.multiplier, i.start_values,
           i.end_values
    from installations i
    join service_points p on p.id = i.service_point_id
    join meters m on m.id = i.meter_id
    where p.utility_id = (select id from utilities where code = %s) order by i.valid_from, m.code
"""
_FUSES = """
    select service_point_id, since, amperes, phases from fuses
    where utility_id = (select id from utilities where code = %s) order by since
"""
_CONTRACTS = """
    select service_point_id, valid_from, valid_to, account from contracts
    where utility_id = (select id from utilities where code = %s) order by valid_from
"""
