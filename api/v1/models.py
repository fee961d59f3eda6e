"""Documents that resources of `/v1` share.

Values are exact decimal strings, instants UTC with the utility's local offset.
"""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, TypeVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, Field, StringConstraints

from api.v1.fields import Sparse
from store.readings.by_meter import View
from telemetry.micro import from_micro
from telemetry.obis import Medium, Obis, ObisError
from telemetry.quality import Quality

DecimalText = Annotated[str, StringConstraints(pattern=r"^-?[0-9]{1,13}(\.[0-9]{1,6})?$")]


class QualityCode(BaseModel):
    """ESPI QualityOfReading: the code goes to billing systems, the label to people."""

    code: int
    label: str


class Instant(BaseModel):
    """An instant in UTC and how far the utility's clocks were from it."""

    utc: datetime
    local_offset: str = Field(examples=["+01:00"])


_Document = TypeVar("_Document", bound=BaseModel)


def document_of(document: type[_Document], row: Any, **given: Any) -> _Document:
    """Document with what is given, and all else by attribute of the row."""
    names = document.model_fields.keys() - given.keys()
    return document(**{name: getattr(row, name) for name in names}, **given)


def written(write: Callable[[Any], object]) -> BeforeValidator:
    """Validator that writes a row's value, if there is one, as the document has it."""
    return BeforeValidator(lambda value: None if value is None else write(value))


def decimal_text(micro: int) -> str:
    """The exact decimal of micro-units, without exponent: 56108000 -> '56.108'."""
    return format(from_micro(micro), "f")


def plain(value: Decimal) -> str:
    """A decimal without exponent or trailing zeros: 40.000 -> '40'."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def offset_text(offset: timedelta) -> str:
    """An offset from UTC: '+05:30', and with seconds where local mean time has them."""
    seconds = int(offset.total_seconds())
    hours, rest = divmod(abs(seconds), 3600)
    minutes, odd = divmod(rest, 60)
    return f"{'-' if seconds < 0 else '+'}{hours:02d}:{minutes:02d}" + (f":{odd:02d}" if odd else "")


def local_instant(instant: datetime, zone: ZoneInfo) -> Instant:
    """An instant with the zone's offset at that time."""
    offset = instant.astimezone(zone).utcoffset()
    assert offset is not None
    return Instant(utc=instant, local_offset=offset_text(offset))


def quality_code(code: int) -> QualityCode:
    """A quality with its label; the number stands for itself where the table has none."""
    known = code in Quality._value2member_map_
    return QualityCode(code=code, label=Quality(code).label if known else str(code))


def medium_label(code: int) -> str:
    """The medium of OBIS value group A, in words."""
    return Medium(code).label if code in Medium._value2member_map_ else f"medium {code}"


def register_name(obis: str) -> str:
    """The friendly name of an OBIS code; the code itself where there is none."""
    try:
        return Obis.parse(obis).name
    except ObisError:
        return obis


Amount = Annotated[str, written(decimal_text)]  # of micro-units
Plain = Annotated[str, written(plain)]  # of a decimal
CodedQuality = Annotated[QualityCode, written(quality_code)]  # of its code
MediumLabel = Annotated[str, written(medium_label)]  # of an OBIS value group A
TextOrNone = Annotated[str | None, BeforeValidator(lambda text: text or None)]  # empty: none


class Site(BaseModel):
    """Site of a meter: a building or a part of one."""

    code: str
    name: str


class ServicePoint(BaseModel):
    """Point of use that is billed, with the billing system's account."""

    code: str
    name: str
    account: str | None = None


class LastReading(BaseModel):
    """The newest reading of a register."""

    measured_at: datetime
    value: Amount


class MeterRegister(BaseModel):
    """Register of a meter."""

    obis: str
    name: str
    unit: str
    kind: str
    billed: bool
    rolls_over_at: Amount | None = Field(description="The value at which the display begins again at 0.")
    interval_seconds: int | None = Field(description="How often a reading is due.")


class RegisterWithReading(MeterRegister):
    """A register with its newest reading; `last` null: it has none yet."""

    last: LastReading | None


class RegisterList(BaseModel):
    """A meter's registers, the billed ones first."""

    meter: str
    registers: list[RegisterWithReading]


class MeterSummary(Sparse):
    """A meter and where it is installed now."""

    id: str
    model: str
    medium: MediumLabel
    site: Site | None
    gateway: str | None
    line: str | None
    qmax: Amount | None = Field(description="The highest permitted flow, in m3/h.")
    imax: Amount | None = Field(description="The largest current of an electricity meter, in A.")
    phases: int | None = Field(description="That an electricity meter measures.")
    service_point: ServicePoint | None
    verified_until: date | None


class Installation(BaseModel):
    """A time at a service point; `valid_to` null: until now."""

    service_point: ServicePoint
    valid_from: datetime
    valid_to: datetime | None
    multiplier: Plain


class MeterDetail(MeterSummary):
    """A meter with its registers and installations."""

    registers: list[MeterRegister]
    installations: list[Installation]


class MeterPage(BaseModel):
    """`next_cursor` null: this is the last page."""

    meters: list[MeterSummary]
    next_cursor: str | None


class Reading(BaseModel):
    """Reading; `marks` name the rules behind its quality, `telegram` leads to the bytes behind it."""

    obis: str
    measured_at: Instant
    value: Amount
    unit: str
    quality: CodedQuality
    marks: list[str]
    status: list[str]
    received_at: datetime
    telegram: str


class ReadingPage(BaseModel):
    """Readings from `from_` (included) to `to` (not)."""

    meter: str
    from_: datetime = Field(serialization_alias="from")
    to: datetime
    view: View
    readings: list[Reading]
    next_cursor: str | None


class StoredTelegram(BaseModel):
    """The bytes behind a meter's readings at an instant; `raw` in hexadecimal."""

    meter: str
    measured_at: datetime
    received_at: datetime
    gateway: str
    epoch: str
    batch: int
    raw: str


class ServiceHealth(BaseModel):
    """`status` is `ok`, or `degraded` where `database` is not `ok`."""

    status: str
    database: str
    version: str
