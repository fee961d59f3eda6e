"""Objects of a meter: asked for once, then remembered while the same meter answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from drivers.dlms.association import Association
from drivers.dlms.codec.objects import (
    BILLING_PROFILES,
    CAPTURE_OBJECTS,
    CAPTURE_PERIOD,
    DEVICE_NAME,
    ERROR_REGISTER,
    OBJECT_LIST,
    SCALER_UNIT,
    SERIAL_NUMBER,
    USUAL,
    VALUE,
    ClassId,
    MeterObject,
    Scaling,
    decode_columns,
    decode_object_list,
)
from drivers.dlms.readouts import ProfileBuffer, identity, text_of
from telemetry.readout import Quantity

_MOST_REGISTERS = 120


@dataclass(slots=True)
class Knowledge:
    """Knowledge of one meter. `meter` is the id that it tells, `raw` its answers about scalers.

    `billing_read` is the local day on which the billing profile was looked at, `billed` its last entry's
    instant; `told` is what was returned of the past.
    """

    meter: str | None
    serial: str
    registers: dict[MeterObject, Scaling] = field(default_factory=dict)
    raw: bytes = b""
    has_error_register: bool = False
    billing: ProfileBuffer | None = None
    billing_read: date | None = None
    billed: datetime | None = None
    told: dict[datetime, dict[str, Quantity]] = field(default_factory=dict)


def serial_number(association: Association) -> str:
    """The serial number object, "" where the meter has none. Raises DriverError."""
    return association.told(SERIAL_NUMBER, text_of) or ""


def who(association: Association, serial: str) -> str | None:
    """The meter id, None where the meter does not tell it. Raises DriverError."""
    name = association.told(DEVICE_NAME, lambda data: data.octets)
    return identity(name or b"", serial, association.title)


def discover(association: Association, serial: str) -> Knowledge:
    """Ask the meter who it is and what it has. Raises DriverError."""
    known = Knowledge(who(association, serial), serial)
    told = association.told(OBJECT_LIST, decode_object_list)
    association.take_raw()  # a long list, and no value stands on it
    for one in sorted((one for one in told or USUAL if one.obis), key=lambda one: one.name)[:_MOST_REGISTERS]:
        if scaling := association.told(one.attribute(SCALER_UNIT), Scaling.decode):
            known.registers[one] = scaling
    known.raw = association.take_raw()
    known.has_error_register = told is None or MeterObject(ClassId.DATA, ERROR_REGISTER.name) in told
    for name in BILLING_PROFILES:
        expected = told is None or MeterObject(ClassId.PROFILE_GENERIC, name) in told
        if expected and known.billing is None:
            known.billing = profile(association, name, known.registers)
    return known


def profile(
    association: Association, name: bytes, scalings: Mapping[MeterObject, Scaling]
) -> ProfileBuffer | None:
    """The profile of that name with the scaling of its columns, None where the meter has none."""
    association.take_raw()
    one = MeterObject(ClassId.PROFILE_GENERIC, name)
    columns = association.told(one.attribute(CAPTURE_OBJECTS), decode_columns)
    if columns is None:
        return None
    found: dict[bytes, Scaling] = {}
    for column in columns:
        register = column.object
        if register.obis is None or column.attribute.number != VALUE:
            continue
        scaling = scalings.get(register) or association.told(register.attribute(SCALER_UNIT), Scaling.decode)
        if scaling is not None:
            found[register.name] = scaling
    seconds = association.told(one.attribute(CAPTURE_PERIOD), lambda data: data.integer)
    return ProfileBuffer(name, columns, found, seconds or 0, association.take_raw())
