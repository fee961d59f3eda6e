"""Documents of `/v1`, under the names that OpenAPI has for them; further fields are passed over.

Values are exact decimals, instants are UTC. Where only some `fields` were asked for, the others are empty.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from msgspec import Struct


class Instant(Struct, frozen=True):
    """An instant, and how far the utility's clocks were from UTC: `+01:00`."""

    utc: datetime
    local_offset: str


class Named(Struct, frozen=True):
    """A site, or the service point of a meter."""

    code: str
    name: str


class Point(Named, frozen=True):
    """A service point with the billing system's account."""

    account: str | None = None


class Quality(Struct, frozen=True):
    """ESPI QualityOfReading."""

    code: int
    label: str


class Site(Struct, frozen=True):
    """A building or a part of one."""

    code: str
    name: str = ""
    address: str = ""
    parent: str | None = None


class Register(Struct, frozen=True):
    """One register of a meter."""

    obis: str
    name: str
    unit: str
    kind: str
    billed: bool


class Meter(Struct, frozen=True):
    """A meter and where it is installed now."""

    id: str
    model: str = ""
    medium: str = ""
    site: Named | None = None
    gateway: str | None = None
    line: str | None = None
    service_point: Named | None = None
    verified_until: date | None = None


class MeterDetail(Meter, frozen=True):
    """A meter with its registers."""

    registers: list[Register] = []


class Installation(Struct, frozen=True):
    """A meter's time at a service point; `valid_to` None: until now."""

    id: int
    service_point: str
    meter: str
    valid_from: Instant
    valid_to: Instant | None
    multiplier: Decimal
    start_values: dict[str, Decimal]
    end_values: dict[str, Decimal]


class ServicePoint(Struct, frozen=True):
    """A place where a medium is delivered."""

    code: str
    name: str = ""
    medium: str = ""
    site: str | None = None
    account: str | None = None
    ended_at: datetime | None = None


class ServicePointDetail(ServicePoint, frozen=True):
    """A service point with all installations, the first one first."""

    installations: list[Installation] = []


class Reading(Struct, frozen=True):
    """One value of a register."""

    obis: str
    measured_at: Instant
    value: Decimal
    unit: str
    quality: Quality
    marks: list[str]
    status: list[str]


class Shown(Struct, frozen=True):
    """A register's value, and when it was read."""

    at: Instant
    value: Decimal


class Period(Struct, frozen=True):
    """A consumption between two readings; None where the register fell in between."""

    starts_at: Instant
    ends_at: Instant
    first: Shown
    last: Shown
    consumption: Decimal | None


class Consumption(Struct, frozen=True):
    """A register's consumption by period."""

    obis: str
    unit: str
    periods: list[Period]


class BillingReading(Struct, frozen=True):
    """One version of a billing reading; a higher one of the same point and register replaces it."""

    cursor: int
    service_point: Point
    meters: list[str]
    obis: str
    unit: str
    period: str
    version: int
    starts_at: Instant
    ends_at: Instant
    start_value: Decimal
    end_value: Decimal
    consumption: Decimal
    true_up: Decimal | None
    quality: Quality
    content_hash: str
    details: str


class BillingPage(Struct, frozen=True):
    """A page of a period's billing readings."""

    readings: list[BillingReading]
    next_cursor: int
    complete: bool


class Acknowledgement(Struct, frozen=True):
    """An acknowledgement as it was stored."""

    period: str
    cursor: int
    count: int
    totals: dict[str, Decimal]


class ProblemDocument(Struct, frozen=True):
    """RFC 9457: the answer to a request that was not fulfilled."""

    type: str = "about:blank"
    title: str = ""
    status: int = 0
    detail: str = ""
    errors: list[dict[str, Any]] = []
