"""Rows of service points, installations, fuses and contracts, put as a registry's entries say."""

from decimal import Decimal

from metering.registry.checks import RegistryError, medium_of
from metering.registry.entries import ContractEntry, FuseEntry, InstallationEntry, ServicePointEntry
from store.registry.rows import Rows, micro_values
from telemetry.micro import to_micro


def put_service_point(rows: Rows, name: str, point: ServicePointEntry) -> int:
    """Puts the row of a service point."""
    return rows.put(
        "service_points",
        {"utility_id": rows.utility_id, "code": point.code},
        {
            "site_id": rows.reference("sites", point.site, name),
            "name": point.name,
            "medium": int(medium_of(point.medium)),
            "account": point.account,
            "ended_at": None if point.ended_at is None else rows.instant(point.ended_at),
        },
    )


def put_installation(rows: Rows, name: str, point_id: int, installation: InstallationEntry) -> int:
    """Puts the row of an installation. Raises RegistryError where it overlaps another of the same meter."""
    start = rows.instant(installation.valid_from)
    end = None if installation.valid_to is None else rows.instant(installation.valid_to)
    meter_id = rows.reference("meters", installation.meter, name)
    overlap = rows.connection.execute(
        """
        select i.valid_from from installations i
        where i.service_point_id = %(point)s and i.meter_id = %(meter)s and i.valid_from <> %(start)s
          and tstzrange(i.valid_from, i.valid_to) && tstzrange(%(start)s, %(end)s)
        """,
        {"point": point_id, "meter": meter_id, "start": start, "end": end},
    ).fetchone()
    if overlap is not None:
        raise RegistryError(
            name,
            f"overlaps its installation from {overlap[0]:%Y-%m-%d %H:%M %Z}",
            "end the one before the other begins",
        )
    return rows.put(
        "installations",
        {"service_point_id": point_id, "meter_id": meter_id, "valid_from": start},
        {
            "valid_to": end,
            "multiplier": Decimal(installation.multiplier),
            "start_values": micro_values(installation.start_values),
            "end_values": micro_values(installation.end_values),
        },
    )


def put_fuse(rows: Rows, _name: str, point_id: int, fuse: FuseEntry) -> int:
    """Puts the row of a fuse."""
    return rows.put(
        "fuses",
        {"service_point_id": point_id, "since": fuse.since},
        {"amperes": to_micro(fuse.amperes), "phases": fuse.phases},
        {"utility_id": rows.utility_id},
        identity="service_point_id",
    )


def put_contract(rows: Rows, name: str, point_id: int, contract: ContractEntry) -> int:
    """Puts the row of a contract. Raises RegistryError where it overlaps another."""
    start = rows.instant(contract.valid_from)
    end = None if contract.valid_to is None else rows.instant(contract.valid_to)
    overlap = rows.connection.execute(
        """
        select c.valid_from from contracts c
        where c.service_point_id = %(point)s and c.valid_from <> %(start)s
          and tstzrange(c.valid_from, c.valid_to) && tstzrange(%(start)s, %(end)s)
        """,
        {"point": point_id, "start": start, "end": end},
    ).fetchone()
    if overlap is not None:
        raise RegistryError(
            name,
            f"overlaps the contract from {overlap[0]:%Y-%m-%d %H:%M %Z}",
            "end the one before the other begins",
        )
    return rows.put(
        "contracts",
        {"service_point_id": point_id, "valid_from": start},
        {"valid_to": end, "account": contract.account},
        {"utility_id": rows.utility_id},
        identity="service_point_id",
    )
