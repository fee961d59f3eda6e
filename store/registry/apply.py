"""Brings a registry document into the database: adds what is missing, changes what differs, deletes nothing.

Applying the same document again changes nothing. What a document does not mention stays as it is.
"""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from psycopg import Connection
from psycopg.types.json import Jsonb

from store.registry.admission import capacity_of, defaults
from store.registry.checks import RegistryError, check, medium_of
from store.registry.entries import (
    GatewayEntry,
    InstallationEntry,
    MeterEntry,
    Registry,
    ServicePointEntry,
    SiteEntry,
    UtilityEntry,
)
from telemetry.micro import to_micro
from telemetry.obis import Obis


@dataclass(slots=True)
class Count:
    """Entries of one kind by what was done with them."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0


@dataclass(slots=True)
class Summary:
    """What an application did, by kind: 'utilities', 'sites', 'gateways', 'meters', 'registers', ..."""

    counts: dict[str, Count] = field(default_factory=dict)

    def of(self, kind: str) -> Count:
        """The count of a kind, zero where nothing of it was in the document."""
        return self.counts.setdefault(kind, Count())

    @property
    def nothing_changed(self) -> bool:
        """Whether the database already was as the document says."""
        return not any(count.added or count.changed for count in self.counts.values())


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


class _Utility:
    """The application of one utility's entries."""

    def __init__(self, connection: Connection[Any], entry: UtilityEntry, summary: Summary) -> None:
        self.connection = connection
        self.entry = entry
        self.summary = summary
        self.zone = ZoneInfo(entry.time_zone)
        self.id = 0
        self.known: dict[tuple[str, str], int] = {}  # (table, code) -> id, of what was looked up or put
        self.units: dict[tuple[int, str], str] = {}  # (meter id, OBIS) -> unit, as stored before

    def apply(self) -> None:
        entry = self.entry
        self.id = self._put(
            "utilities",
            {"code": entry.code},
            {"name": entry.name, "time_zone": entry.time_zone}
            | _given(
                reading_day=entry.reading_day,
                boundary_tolerance=entry.boundary_tolerance,
                interpolation_limit=entry.interpolation_limit,
            ),
        )
        stored = self.connection.execute(
            "select meter_id, obis, unit from registers where utility_id = %s", (self.id,)
        )
        self.units = {(meter_id, obis): unit for meter_id, obis, unit in stored}
        for site in entry.sites:
            self._site(site)
        for gateway in entry.gateways:
            self._gateway(gateway)
        for meter in entry.meters:
            self._meter(meter)
        for point in entry.service_points:
            self._service_point(point)

    def _site(self, site: SiteEntry) -> None:
        name = self._named("site", site.code)
        parent = self._reference("sites", site.parent, name)
        self._put(
            "sites",
            {"utility_id": self.id, "code": site.code},
            {"name": site.name or site.code, "address": site.address, "parent_id": parent},
        )

    def _gateway(self, gateway: GatewayEntry) -> None:
        name = self._named("gateway", gateway.code)
        self._put(
            "gateways",
            {"utility_id": self.id, "code": gateway.code},
            {"site_id": self._reference("sites", gateway.site, name)},
        )

    def _meter(self, meter: MeterEntry) -> None:
        name = self._named("meter", meter.code)
        medium = medium_of(meter.medium)
        meter_id = self._put(
            "meters",
            {"utility_id": self.id, "code": meter.code},
            {
                "gateway_id": self._reference("gateways", meter.gateway, name),
                "site_id": self._reference("sites", meter.site, name),
                "model": meter.model,
                "medium": int(medium),
                "verified_until": meter.verified_until,
            },
        )
        for register in meter.registers:
            usual = defaults(Obis.parse(register.obis), medium)
            values = {
                "unit": register.unit or usual.unit,
                "kind": usual.kind.value,
                "billed": usual.billed if register.billed is None else register.billed,
            } | _given(
                capacity=capacity_of(register.digits),
                expected_interval=register.interval,
                boundary_tolerance=register.boundary_tolerance,
            )
            self._refuse_another_unit(
                f"{name}, register {register.obis}", meter_id, register.obis, values["unit"]
            )
            key = {"meter_id": meter_id, "obis": register.obis}
            self._put("registers", key, values, added={"utility_id": self.id})

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

    def _service_point(self, point: ServicePointEntry) -> None:
        name = self._named("service point", point.code)
        point_id = self._put(
            "service_points",
            {"utility_id": self.id, "code": point.code},
            {
                "site_id": self._reference("sites", point.site, name),
                "name": point.name,
                "medium": int(medium_of(point.medium)),
                "account": point.account,
                "ended_at": None if point.ended_at is None else self._instant(point.ended_at),
            },
        )
        for installation in point.installations:
            self._installation(f"{name}, installation of {installation.meter}", point_id, installation)

    def _installation(self, name: str, point_id: int, installation: InstallationEntry) -> None:
        start = self._instant(installation.valid_from)
        end = None if installation.valid_to is None else self._instant(installation.valid_to)
        meter_id = self._reference("meters", installation.meter, name)
        overlap = self.connection.execute(
            """
            select m.code, i.valid_from from installations i join meters m on m.id = i.meter_id
            where i.service_point_id = %(point)s and (i.meter_id, i.valid_from) <> (%(meter)s, %(start)s)
              and tstzrange(i.valid_from, i.valid_to) && tstzrange(%(start)s, %(end)s)
              and i.meter_id = %(meter)s
            """,
            {"point": point_id, "meter": meter_id, "start": start, "end": end},
        ).fetchone()
        if overlap is not None:
            raise RegistryError(
                name,
                f"overlaps its installation from {overlap[1]:%Y-%m-%d %H:%M %Z}",
                "end the one before the other begins",
            )
        self._put(
            "installations",
            {"service_point_id": point_id, "meter_id": meter_id, "valid_from": start},
            {
                "valid_to": end,
                "multiplier": Decimal(installation.multiplier),
                "start_values": _micro(installation.start_values),
                "end_values": _micro(installation.end_values),
            },
        )

    def _instant(self, moment: datetime) -> datetime:
        return moment.replace(tzinfo=self.zone) if moment.tzinfo is None else moment

    def _named(self, kind: str, code: str) -> str:
        return f"utility {self.entry.code}, {kind} {code}"

    def _reference(self, table: str, code: str | None, name: str) -> int | None:
        """The id of what an entry refers to. Raises RegistryError where it is neither listed nor stored."""
        if code is None:
            return None
        if (table, code) in self.known:
            return self.known[table, code]
        row = self.connection.execute(
            f"select id from {table} where utility_id = %s and code = %s",  # noqa: S608 - our own table names
            (self.id, code),
        ).fetchone()
        if row is None:
            kind = table.rstrip("s")
            raise RegistryError(name, f"there is no {kind} {code}", f"list that {kind} too, or mend its code")
        self.known[table, code] = int(row[0])
        return self.known[table, code]

    def _put(
        self, table: str, key: dict[str, Any], values: dict[str, Any], added: dict[str, Any] | None = None
    ) -> int:
        """Adds the row, or changes it where its values differ, and returns its id.

        `added` are values that only a new row takes.
        """
        new = {**key, **(added or {}), **values}
        differs = " or ".join(f"t.{column} is distinct from excluded.{column}" for column in values)
        # names of tables and columns are literals of this module, values are parameters
        row = self.connection.execute(
            f"""
            insert into {table} as t ({", ".join(new)})
            values ({", ".join(f"%({column})s" for column in new)})
            on conflict ({", ".join(key)}) do update
            set {", ".join(f"{column} = excluded.{column}" for column in values)}
            where {differs}
            returning id, xmax = 0
            """,  # noqa: S608
            new,
        ).fetchone()
        count = self.summary.of(table)
        if row is None:
            count.unchanged += 1
            where = " and ".join(f"{column} = %({column})s" for column in key)
            row = self.connection.execute(
                f"select id from {table} where {where}",  # noqa: S608 - as above
                key,
            ).fetchone()
        elif row[1]:
            count.added += 1
        else:
            count.changed += 1
        assert row is not None
        if "code" in key:
            self.known[table, key["code"]] = int(row[0])
        return int(row[0])


def _given(**values: Any) -> dict[str, Any]:
    """The values that the document names; the others stay as the database has them."""
    return {column: value for column, value in values.items() if value is not None}


def _micro(values: dict[str, str]) -> Jsonb:
    return Jsonb({obis: to_micro(value) for obis, value in sorted(values.items())})
