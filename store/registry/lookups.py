"""Lookups of the names in messages: gateways and meters asked for by name, many at once.

A registry of a million registers is never read as a whole: an ingester asks for the names that it meets,
keeps the answers, and compares a `fingerprint` now and then to learn that they are out of date.
"""

from collections.abc import Collection, Mapping
from typing import Any

from psycopg import Connection

from store.registry.snapshot import KnownGateway, KnownMeter, KnownRegister
from telemetry.obis import RegisterKind

Name = tuple[str, str]  # utility code, and gateway code or meter id


def utilities(connection: Connection[Any]) -> dict[str, int]:
    """Ids of all utilities by code."""
    return dict(connection.execute("select code, id from utilities").fetchall())


def gateways(connection: Connection[Any], names: Collection[Name]) -> dict[Name, KnownGateway]:
    """Gateways by name, those that are registered."""
    rows = connection.execute(
        """
        select u.code, g.code, g.id, g.utility_id, g.kind
        from unnest(%s::text[], %s::text[]) as name (utility, gateway)
        join utilities u on u.code = name.utility
        join gateways g on g.utility_id = u.id and g.code = name.gateway
        """,
        _columns(names),
    )
    return {(utility, code): KnownGateway(*known) for utility, code, *known in rows}


def meters(connection: Connection[Any], names: Collection[Name]) -> dict[Name, KnownMeter]:
    """Meters by name, those that are registered, with their registers as they are now."""
    rows = connection.execute(
        """
        select u.code, m.code, m.id, m.utility_id, m.medium, m.gateway_id, r.id, r.obis, r.unit, r.kind,
               r.capacity, r.billed
        from unnest(%s::text[], %s::text[]) as name (utility, meter)
        join utilities u on u.code = name.utility
        join meters m on m.utility_id = u.id and m.code = name.meter
        left join registers r on r.meter_id = m.id
        """,
        _columns(names),
    )
    found: dict[Name, KnownMeter] = {}
    registers: dict[Name, dict[str, KnownRegister]] = {}
    for utility, code, meter_id, utility_id, medium, gateway_id, register_id, obis, unit, kind, *rest in rows:
        name = (utility, code)
        mine: dict[str, KnownRegister] = registers.setdefault(name, {})
        if name not in found:
            found[name] = KnownMeter(meter_id, utility_id, code, medium, gateway_id, mine)
        if register_id is not None:
            mine[obis] = KnownRegister(register_id, meter_id, obis, unit, RegisterKind(kind), *rest)
    return found


def fingerprint(connection: Connection[Any]) -> Mapping[str, int | None]:
    """Another one whenever a gateway or meter was added, renamed, moved or removed.

    Registers are not part of it: one that is there keeps its code and unit, and a new one is asked for.
    """
    row = connection.execute(
        """
        select (select bit_xor(hash_record_extended(row(id, utility_id, code, kind), 0)) from gateways),
               (select bit_xor(hash_record_extended(row(id, utility_id, code, gateway_id), 0)) from meters)
        """
    ).fetchone()
    assert row is not None
    return {"gateways": row[0], "meters": row[1]}


def _columns(names: Collection[Name]) -> tuple[list[str], list[str]]:
    """The names as two columns, without those that PostgreSQL has no text for: nothing is called so."""
    usable = [name for name in names if "\x00" not in name[0] + name[1]]
    return [utility for utility, _ in usable], [name for _, name in usable]
