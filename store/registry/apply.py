"""Application of a registry document: adds what is missing, changes what differs, deletes nothing.

Applying the same document again changes nothing. What a document does not mention stays as it is.
"""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
from psycopg import Connection

from metering.registry.checks import RegistryError, check, problems
from metering.registry.entries import Registry, UtilityEntry
from store.registry.equipment import put_gateway, put_meter, put_register, put_site, units_of
from store.registry.points import put_contract, put_fuse, put_installation, put_service_point
from store.registry.rows import RegistrySummary, Rows, given


def apply(connection: Connection[Any], registry: Registry) -> RegistrySummary:
    """Applies a registry in one transaction: all of it or, after a RegistryError, nothing.

    The error names the entry, be it against the rules or referring to something that does not exist.
    """
    check(registry)
    summary = RegistrySummary()
    with connection.transaction():
        for utility in registry.utilities:
            _apply(connection, utility, summary)
    return summary


def apply_entries(connection: Connection[Any], utility_id: int, entry: UtilityEntry) -> RegistrySummary:
    """Applies what the entry lists to a utility that is there, whose own row stays as it is.

    Raises RegistryError; then nothing was changed.
    """
    check(Registry([entry]))
    summary = RegistrySummary()
    with connection.transaction():
        rows = Rows(connection, summary, ZoneInfo(entry.time_zone), utility_id)
        _apply_entries(rows, entry, None)
    return summary


def rehearse(connection: Connection[Any], registry: Registry) -> tuple[RegistrySummary, list[RegistryError]]:
    """Rehearsal: what `apply` would do, and every entry that it would refuse; the database stays as it is.

    Entries are looked up in the database only once all of them follow the rules.
    """
    refused = list(problems(registry))
    summary = RegistrySummary()
    if not refused:
        with connection.transaction(force_rollback=True):
            for utility in registry.utilities:
                _apply(connection, utility, summary, refused)
    return summary, refused


def _apply(
    connection: Connection[Any],
    entry: UtilityEntry,
    summary: RegistrySummary,
    refused: list[RegistryError] | None = None,
) -> None:
    rows = Rows(connection, summary, ZoneInfo(entry.time_zone))
    rows.utility_id = rows.put(
        "utilities",
        {"code": entry.code},
        {"name": entry.name, "time_zone": entry.time_zone}
        | given(
            reading_day=entry.reading_day,
            boundary_tolerance=entry.boundary_tolerance,
            interpolation_limit=entry.interpolation_limit,
        ),
    )
    _apply_entries(rows, entry, refused)


def _apply_entries(rows: Rows, entry: UtilityEntry, refused: list[RegistryError] | None) -> None:
    """Puts all that a utility's entry lists. With `refused`, entries that cannot be put are noted there."""

    def put(place: str, function: Callable[..., int], *arguments: Any, **named: Any) -> int | None:
        """Result of the function; None where the entry was refused, and that is only to be noted."""
        name = f"utility {entry.code}, {place}"
        try:
            with nullcontext() if refused is None else rows.connection.transaction():
                return function(rows, name, *arguments, **named)
        except RegistryError as error:
            problem = error
        except (psycopg.IntegrityError, psycopg.DataError) as error:
            problem = RegistryError(name, str(error).splitlines()[0], "mend what the database refuses there")
        if refused is None:
            raise problem
        refused.append(problem)
        return None

    for site in entry.sites:
        put(f"site {site.code}", put_site, site)
    for gateway in entry.gateways:
        put(f"gateway {gateway.code}", put_gateway, gateway)
    units = units_of(rows, entry.meters)
    for meter in entry.meters:
        place = f"meter {meter.code}"
        meter_id = put(place, put_meter, meter)
        for register in meter.registers if meter_id is not None else ():
            where = f"{place}, register {register.obis}"
            put(where, put_register, meter_id, meter.medium, register, stored=units)
    for point in entry.service_points:
        place = f"service point {point.code}"
        point_id = put(place, put_service_point, point)
        if point_id is None:
            continue
        for installation in point.installations:
            put(f"{place}, installation of {installation.meter}", put_installation, point_id, installation)
        for fuse in point.fuses:
            put(f"{place}, fuse of {fuse.since}", put_fuse, point_id, fuse)
        for contract in point.contracts:
            put(f"{place}, contract from {contract.valid_from}", put_contract, point_id, contract)
