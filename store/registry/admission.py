"""Admission of what is met later: further registers of a known meter, and the meters of an import."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from psycopg import Connection

from metering.registry.defaults import capacity_of, defaults
from store.registry.snapshot import KnownRegister, known_register
from telemetry.meter_id import check_meter_id
from telemetry.obis import Obis
from telemetry.topics import check_segment


def add_register(
    connection: Connection[Any],
    meter_id: int,
    obis: str,
    unit: str | None = None,
    *,
    digits: int | None = None,
    interval: timedelta | None = None,
) -> KnownRegister:
    """The register of a known meter, added if it is not there; one that is there stays as it is.

    `unit` defaults to the code's usual one. Of two channels with the same total only the first is billed.
    Safe when several ingesters add the same at once. Raises ObisError for what is not a code, ValueError
    for a code without a unit, LookupError for a meter that is not registered.
    """
    code = Obis.parse(obis)
    with connection.transaction():
        # the lock orders those who add to one meter, so that only one of them finds it without a billed total
        meter = connection.execute(
            "select utility_id, medium from meters where id = %s for no key update", (meter_id,)
        ).fetchone()
        if meter is None:
            raise LookupError(f"no meter has the id {meter_id}")
        utility_id, medium = meter
        usual = defaults(code, medium)
        unit = unit or usual.unit
        if unit is None:
            raise ValueError(f"{obis} has no usual unit and none is given")
        connection.execute(
            """
            insert into registers
                (utility_id, meter_id, obis, unit, kind, capacity, billed, expected_interval)
            select %(utility)s, %(meter)s, %(obis)s, %(unit)s, %(kind)s, %(capacity)s,
                   %(billed)s and not exists (
                       select from registers
                       where meter_id = %(meter)s and billed
                         and obis ~ %(same_total)s),
                   %(interval)s
            on conflict (meter_id, obis) do nothing
            """,
            {
                "utility": utility_id,
                "meter": meter_id,
                "obis": obis,
                "unit": unit,
                "kind": usual.kind.value,
                "capacity": capacity_of(digits),
                "billed": usual.billed,
                "same_total": rf"^{code.a}-\d+:{code.c}\.{code.d}\.{code.e}$",
                "interval": interval,
            },
        )
        row = connection.execute(
            """
            select id, meter_id, obis, unit, kind, capacity, billed from registers
            where meter_id = %s and obis = %s
            """,
            (meter_id, obis),
        ).fetchone()
    assert row is not None
    return known_register(row)


def register_import(
    connection: Connection[Any], utility: str, gateway: str, *, name: str = "", time_zone: str = "UTC"
) -> int:
    """The id of the utility, made if it is new, with a gateway of kind 'import' that speaks for an import.

    A utility that is there keeps its name and time zone. Raises TopicError for codes that are no topic
    segments, and ValueError where a field gateway has the code.
    """
    check_segment(utility)
    check_segment(gateway)
    with connection.transaction():
        connection.execute(
            "insert into utilities (code, name, time_zone) values (%s, %s, %s) on conflict (code) do nothing",
            (utility, name or utility, time_zone),
        )
        row = connection.execute("select id from utilities where code = %s", (utility,)).fetchone()
        assert row is not None
        utility_id = int(row[0])
        connection.execute(
            """
            insert into gateways (utility_id, code, kind) values (%s, %s, 'import')
            on conflict (utility_id, code) do nothing
            """,
            (utility_id, gateway),
        )
        kind = connection.execute(
            "select kind from gateways where utility_id = %s and code = %s", (utility_id, gateway)
        ).fetchone()
        if kind != ("import",):
            raise ValueError(f"{gateway} is a field gateway of {utility}; an import needs a code of its own")
    return utility_id


def admit_meters(
    connection: Connection[Any], utility: str, meters: Sequence[tuple[str, int, datetime]]
) -> int:
    """Registers the meters of an import, and returns how many were new.

    Each is (meter id, medium, instant of its first reading). A new meter comes with a service point of the
    same code and an installation open from that instant. Known meters stay as they are, but for an
    installation made here, whose start moves back when an earlier reading comes. Raises MeterIdError, and
    LookupError for a utility that is not registered.
    """
    first: dict[str, tuple[int, datetime]] = {}
    for code, medium, at in meters:
        known = first.get(check_meter_id(code))
        first[code] = (medium, at if known is None else min(at, known[1]))
    codes = sorted(first)  # one order for all who do this at once, so that none waits for another in a circle
    parameters: dict[str, Any] = {
        "codes": codes,
        "media": [int(first[code][0]) for code in codes],
        "instants": [first[code][1] for code in codes],
    }
    with connection.transaction():
        row = connection.execute("select id from utilities where code = %s", (utility,)).fetchone()
        if row is None:
            raise LookupError(f"no utility has the code {utility!r}")
        parameters["utility"] = row[0]
        added = connection.execute(
            """
            insert into meters (utility_id, code, medium)
            select %(utility)s, code, medium
            from unnest(%(codes)s::text[], %(media)s::smallint[]) as new (code, medium)
            order by code
            on conflict (utility_id, code) do nothing
            """,
            parameters,
        ).rowcount
        connection.execute(_ADMIT_SERVICE_POINTS, parameters)
        connection.execute(_ADMIT_INSTALLATIONS, parameters)
        connection.execute(_BEGIN_EARLIER, parameters)
    return added


_ADMIT_SERVICE_POINTS = """
    insert into service_points (utility_id, code, medium)
    select m.utility_id, m.code, m.medium
    from meters m
    where m.utility_id = %(utility)s and m.code = any(%(codes)s)
      and not exists (select from installations i where i.meter_id = m.id)
    order by m.code
    on conflict (utility_id, code) do nothing
"""

_ADMIT_INSTALLATIONS = """
    insert into installations (service_point_id, meter_id, valid_from)
    select p.id, m.id, new.at
    from unnest(%(codes)s::text[], %(instants)s::timestamptz[]) as new (code, at)
    join meters m on m.utility_id = %(utility)s and m.code = new.code
    join service_points p on p.utility_id = %(utility)s and p.code = new.code
    where not exists (select from installations i where i.meter_id = m.id)
    order by new.code
    on conflict do nothing
"""

_BEGIN_EARLIER = """
    update installations i
    set valid_from = new.at
    from unnest(%(codes)s::text[], %(instants)s::timestamptz[]) as new (code, at)
    join meters m on m.utility_id = %(utility)s and m.code = new.code
    join service_points p on p.utility_id = %(utility)s and p.code = new.code
    where i.meter_id = m.id and i.service_point_id = p.id
      and i.valid_from > new.at and i.start_values = '{}'
      and not exists (select from installations other where other.meter_id = m.id and other.id <> i.id)
"""
