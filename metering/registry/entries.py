"""Entries of a registry: the document as structs, for who builds it in code.

`document.py` reads them from TOML, `tables.py` from CSV; `checks.py` has their rules. Instants without an
offset are local time of the utility. Values of registers are decimal texts in the register's unit. A
reference (`gateway`, `site`, `meter`, `parent`) names an entry of the same utility, in this document or
registered before.
"""

from datetime import date, datetime, timedelta

from msgspec import Struct

from telemetry.obis import Medium


class RegisterEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """Register of a meter. What is left out follows from its OBIS code (`defaults.py`).

    `digits`: integer digits of the display, after which it rolls over. `interval`: how often a reading is
    due.
    """

    obis: str
    unit: str | None = None
    digits: int | None = None
    billed: bool | None = None
    interval: timedelta | None = None
    boundary_tolerance: timedelta | None = None


class VerificationEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """A verification (poverka) of a meter: on which day, and the day from which it holds no longer."""

    on: date
    until: date
    certificate: str = ""


class MeterEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """`code` is the meter id. Without `gateway` any gateway of the utility may read it.

    `line` is one of that gateway's. `qmax`: the highest permitted flow, as decimal text in m3/h; `imax`: the
    largest current in A, which an electricity meter with 1 or 3 `phases` is made for. Each of
    `verifications` is kept; with any, the latest `until` is what `verified_until` says. Registers that are
    not listed are added with their first reading.
    """

    code: str
    medium: Medium | str
    model: str = ""
    gateway: str | None = None
    site: str | None = None
    verified_until: date | None = None
    line: str | None = None
    qmax: str | None = None
    imax: str | None = None
    phases: int | None = None
    verifications: list[VerificationEntry] = []
    registers: list[RegisterEntry] = []


class InstallationEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """Installation of a meter, from when to when. Values: {OBIS: decimal text in the register's unit}."""

    meter: str
    valid_from: datetime
    valid_to: datetime | None = None
    multiplier: str = "1"
    start_values: dict[str, str] = {}
    end_values: dict[str, str] = {}


class FuseEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """The rating of the main circuit breaker from a local day on: decimal text in A, of 1 or 3 phases."""

    since: date
    amperes: str
    phases: int = 1


class ContractEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """Contract of who pays, from when to when. `account` is the billing system's reference."""

    valid_from: datetime
    valid_to: datetime | None = None
    account: str = ""


class ServicePointEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """Service point, where something is delivered. `account` is the billing system's reference.

    From `ended_at` on nothing is delivered, and the month close misses no meter. With any `contracts`, what
    is used outside of them is a finding; without, nobody's is.
    """

    code: str
    medium: Medium | str
    name: str = ""
    site: str | None = None
    account: str = ""
    ended_at: datetime | None = None
    installations: list[InstallationEntry] = []
    fuses: list[FuseEntry] = []
    contracts: list[ContractEntry] = []


class SiteEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """A building or a part of one; a parent is listed before its parts."""

    code: str
    name: str = ""
    address: str = ""
    parent: str | None = None


class LineEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """A wire of a gateway: `protocol` such as mbus, `address` such as /dev/ttyUSB0 or 10.0.0.7:502."""

    code: str
    protocol: str = ""
    address: str = ""


class GatewayEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """`code` is the gateway's segment of the topic, its MQTT client id and its certificate's CN."""

    code: str
    site: str | None = None
    lines: list[LineEntry] = []


class UtilityEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """A tenant. `reading_day`: the local day of the month on which periods begin.

    What is left out of the three calendar fields stays as it is, or becomes the database's default.
    """

    code: str
    name: str
    time_zone: str
    reading_day: int | None = None
    boundary_tolerance: timedelta | None = None
    interpolation_limit: timedelta | None = None
    sites: list[SiteEntry] = []
    gateways: list[GatewayEntry] = []
    meters: list[MeterEntry] = []
    service_points: list[ServicePointEntry] = []


class Registry(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole document."""

    utilities: list[UtilityEntry] = []
