"""Brings a registry document into the database: adds what is missing, changes what differs, deletes nothing.

Applying the same document again changes nothing. What a document does not mention stays as it is.
"""

from collections.abc import Callable
from contextlib import nullcontext
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
from psycopg import Connection

from store.registry.admission import capacity_of, defaults
from store.registry.checks import RegistryError, check, medium_of, problems
from store.registry.entries import (
    ContractEntry,
    FuseEntry,
    GatewayEntry,
    InstallationEntry,
    MeterEntry,
    RegisterEntry,
    Registry,
    ServicePointEntry,
    SiteEntry,
    UtilityEntry,
)
from store.registry.rows import Rows, Summary, micro_values
from telemetry.micro import to_micro
from telemetry.obis import Obis


def apply(connection: Connection[Any], registry: Registry) -> Summary:
    """Applies a registry in one transaction: all of it or, after a RegistryError, nothing.

    The error names the entry, be it against the rules or referring to something that does not exist.
    """
    check(registry)
    summary = Summary()
    with connection.transaction():
        for utility in registry.utilities:
            _Utility(connection, utility, summary).apply()
    return summary


def apply_entries(connection: Connection[Any], utility_id: int, entry: UtilityEntry) -> Summary:
    """Applies what the entry lists to a utility that is there, whose own row stays as it is.

    Raises RegistryError; then nothing was changed.
    """
    check(Registry([entry]))
    summary = Summary()
    with connection.transaction():
        _Utility(connection, entry, summary).apply_entries(utility_id)
    return summary


def rehearse(connection: Connection[Any], registry: Registry) -> tuple[Summary, list[RegistryError]]:
    """What `apply` would do, and every entry that it would refuse; the database stays as it is.

    Entries are looked up in the database only once all of them follow the rules.
    """
    refused = list(problems(registry))
    summary = Summary()
    if not refused:
        with connection.transaction(force_rollback=True):
            for utility in registry.utilities:
                _Utility(connection, utility, summary, refused).apply()
    return summary, refused


class _Utility:
    """The application of one utility's entries. With `refused`, those that cannot be are put there."""

    def __init__(
        self,
        connection: Connection[Any],
        entry: UtilityEntry,
        summary: Summary,
        refused: list[RegistryError] | None = None,
    ) -> None:
        self.connection = connection
        self.entry = entry
        self.rows = Rows(connection, summary)
        self.refused = refused
        self.zone = ZoneInfo(entry.time_zone)
        self.units: dict[tuple[int, str], str] = {}  # (meter id, OBIS) -> unit, as stored before

    @property
    def id(self) -> int:
        """The utility's."""
        return self.rows.utility_id

    def apply(self) -> None:
        entry = self.entry
        utility_id = self.rows.put(
            "utilities",
            {"code": entry.code},
            {"name": entry.name, "time_zone": entry.time_zone}
            | _given(
                reading_day=entry.reading_day,
                boundary_tolerance=entry.boundary_tolerance,
                interpolation_limit=entry.interpolation_limit,
            ),
        )
        self.apply_entries(utility_id)

    def apply_entries(self, utility_id: int) -> None:
        entry = self.entry
        self.rows.utility_id = utility_id
        stored = self.connection.execute(
            """
            select r.meter_id, r.obis, r.unit from registers r join meters m on m.id = r.meter_id
            where m.utility_id = %s and m.code = any(%s)
            """,
            (self.id, [meter.code for meter in entry.meters if meter.registers]),
        )
        self.units = {(meter_id, obis): unit for meter_id, obis, unit in stored}
        for site in entry.sites:
            self._try(f"site {site.code}", self._site, site)
        for gateway in entry.gateways:
            self._try(f"gateway {gateway.code}", self._gateway, gateway)
        for meter in entry.meters:
            meter_id = self._try(f"meter {meter.code}", self._meter, meter)
            for register in meter.registers if meter_id is not None else ():
                name = f"meter {meter.code}, register {register.obis}"
                self._try(name, self._register, (meter_id, meter, register))
        for point in entry.service_points:
            point_id = self._try(f"service point {point.code}", self._service_point, point)
            for installation in point.installations if point_id is not None else ():
                name = f"service point {point.code}, installation of {installation.meter}"
                self._try(name, self._installation, (point_id, installation))
            for fuse in point.fuses if point_id is not None else ():
                name = f"service point {point.code}, fuse of {fuse.since}"
                self._try(name, self._fuse, (point_id, fuse))
            for contract in point.contracts if point_id is not None else ():
                name = f"service point {point.code}, contract from {contract.valid_from}"
                self._try(name, self._contract, (point_id, contract))

    def _try(self, name: str, put: Callable[[str, Any], int], entry: Any) -> int | None:
        """What `put` returns; None where the entry was refused, and that is only to be told."""
        name = f"utility {self.entry.code}, {name}"
        try:
            with nullcontext() if self.refused is None else self.connection.transaction():
                return put(name, entry)
        except RegistryError as error:
            problem = error
        except (psycopg.IntegrityError, psycopg.DataError) as error:
            problem = RegistryError(name, str(error).splitlines()[0], "mend what the database refuses there")
        if self.refused is None:
            raise problem
        self.refused.append(problem)
        return None

    def _site(self, name: str, site: SiteEntry) -> int:
        parent_id = self.rows.reference("sites", site.parent, name)
        site_id = self.rows.put(
            "sites",
            {"utility_id": self.id, "code": site.code},
            {"name": site.name or site.code, "address": site.address, "parent_id": parent_id},
        )
        above = self.connection.execute(
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

    def _gateway(self, name: str, gateway: GatewayEntry) -> int:
        gateway_id = self.rows.put(
            "gateways",
            {"utility_id": self.id, "code": gateway.code},
            {"site_id": self.rows.reference("sites", gateway.site, name)},
        )
        for line in gateway.lines:
            self.rows.put(
                "lines",
                {"gateway_id": gateway_id, "code": line.code},
                {"protocol": line.protocol, "address": line.address},
                {"utility_id": self.id},
            )
        return gateway_id

    def _meter(self, name: str, meter: MeterEntry) -> int:
        gateway_id = self.rows.reference("gateways", meter.gateway, name)
        meter_id = self.rows.put(
            "meters",
            {"utility_id": self.id, "code": meter.code},
            {
                "gateway_id": gateway_id,
                "line_id": self._line(gateway_id, meter.line, name),
                "site_id": self.rows.reference("sites", meter.site, name),
                "model": meter.model,
                "medium": int(medium_of(meter.medium)),
                "qmax": None if meter.qmax is None else to_micro(meter.qmax),
                "imax": None if meter.imax is None else to_micro(meter.imax),
                "phases": meter.phases,
                "verified_until": self._verified_until(meter),
            },
        )
        for verification in meter.verifications:
            self.rows.put(
                "verifications",
                {"meter_id": meter_id, "verified_on": verification.on},
                {"valid_until": verification.until, "certificate": verification.certificate},
                {"utility_id": self.id},
                identity="meter_id",
            )
        return meter_id

    def _verified_until(self, meter: MeterEntry) -> date | None:
        """The latest end of its verifications, those that the document leaves out too."""
        if not meter.verifications:
            return meter.verified_until
        stored = self.connection.execute(
            """
            select v.valid_until from verifications v join meters m on m.id = v.meter_id
            where m.utility_id = %s and m.code = %s and v.verified_on <> all(%s)
            """,
            (self.id, meter.code, [verification.on for verification in meter.verifications]),
        )
        ends: list[date] = [until for (until,) in stored]
        return max(ends + [verification.until for verification in meter.verifications])

    def _line(self, gateway_id: int | None, code: str | None, name: str) -> int | None:
        if code is None:
            return None
        row = self.connection.execute(
            "select id from lines where gateway_id = %s and code = %s", (gateway_id, code)
        ).fetchone()
        if row is None:
            raise RegistryError(name, f"its gateway has no line {code}", "list the line at its gateway")
        return int(row[0])

    def _register(self, name: str, place: tuple[int, MeterEntry, RegisterEntry]) -> int:
        meter_id, meter, register = place
        usual = defaults(Obis.parse(register.obis), medium_of(meter.medium))
        values = {
            "unit": register.unit or usual.unit,
            "kind": usual.kind.value,
            "billed": usual.billed if register.billed is None else register.billed,
        } | _given(
            capacity=capacity_of(register.digits),
            expected_interval=register.interval,
            boundary_tolerance=register.boundary_tolerance,
        )
        self._refuse_another_unit(name, meter_id, register.obis, values["unit"])
        key = {"meter_id": meter_id, "obis": register.obis}
        return self.rows.put("registers", key, values, {"utility_id": self.id})

    def _refuse_another_unit(self, name: str, meter_id: int, obis: str, unit: Any) -> None:
        """Stored readings count micro-units of the register's unit: it is never changed under them."""
        stored = self.units.get((meter_id, obis), unit)
        if stored == unit:
            return
        row = self.connection.execute(
            """
            select from registers r
            where meter_id = %s and obis = %s and exists (select from readings where register_id = r.id)
            """,
            (meter_id, obis),
        ).fetchone()
        if row is not None:
            raise RegistryError(
                name, f"has readings in {stored}, and the entry says {unit}", f"keep {stored}"
            )

    def _service_point(self, name: str, point: ServicePointEntry) -> int:
        return self.rows.put(
            "service_points",
            {"utility_id": self.id, "code": point.code},
            {
                "site_id": self.rows.reference("sites", point.site, name),
                "name": point.name,
                "medium": int(medium_of(point.medium)),
                "account": point.account,
                "ended_at": None if point.ended_at is None else self._instant(point.ended_at),
            },
        )

    def _installation(self, name: str, place: tuple[int, InstallationEntry]) -> int:
        point_id, installation = place
        start = self._instant(installation.valid_from)
        end = None if installation.valid_to is None else self._instant(installation.valid_to)
        meter_id = self.rows.reference("meters", installation.meter, name)
        overlap = self.connection.execute(
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
        return self.rows.put(
            "installations",
            {"service_point_id": point_id, "meter_id": meter_id, "valid_from": start},
            {
                "valid_to": end,
                "multiplier": Decimal(installation.multiplier),
                "start_values": micro_values(installation.start_values),
                "end_values": micro_values(installation.end_values),
            },
        )

    def _fuse(self, _name: str, place: tuple[int, FuseEntry]) -> int:
        point_id, fuse = place
        return self.rows.put(
            "fuses",
            {"service_point_id": point_id, "since": fuse.since},
            {"amperes": to_micro(fuse.amperes), "phases": fuse.phases},
            {"utility_id": self.id},
            identity="service_point_id",
        )

    def _contract(self, name: str, place: tuple[int, ContractEntry]) -> int:
        point_id, contract = place
        start = self._instant(contract.valid_from)
        end = None if contract.valid_to is None else self._instant(contract.valid_to)
        overlap = self.connection.execute(
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
        return self.rows.put(
            "contracts",
            {"service_point_id": point_id, "valid_from": start},
            {"valid_to": end, "account": contract.account},
            {"utility_id": self.id},
            identity="service_point_id",
        )

    def _instant(self, moment: datetime) -> datetime:
        return moment.replace(tzinfo=self.zone) if moment.tzinfo is None else moment


def _given(**values: Any) -> dict[str, Any]:
    """The values that the document names; the others stay as the database has them."""
    return {column: value for column, value in values.items() if value is not None}
