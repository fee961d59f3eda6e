"""Objects of a meter: asked for once, then remembered while the same meter answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from drivers.dlms.association import Association
from drivers.dlms.codec.apdu import Attribute
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
    CaptureColumn,
    ClassId,
    MeterObject,
    Scaling,
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
    value = association.get_optional(SERIAL_NUMBER)
    return "" if value is None else text_of(value)


def who(association: Association, serial: str) -> str | None:
    """The meter id, None where the meter does not tell it. Raises DriverError."""
    name = association.get_optional(DEVICE_NAME)
    return identity(b"" if name is None else name.octets, serial, association.title)


def discover(association: Association, serial: str) -> Knowledge:
    """Ask the meter who it is and what it has. Raises DriverError."""
    known = Knowledge(who(association, serial), serial)
    told = _objects(association)
    association.take_raw()  # a long list, and no value stands on it
    for one in sorted((one for one in told or USUAL if one.obis), key=lambda one: one.name)[:_MOST_REGISTERS]:
        if (scaling := _scaling(association, one)) is not None:
            known.registers[one] = scaling
    known.raw = association.take_raw()
    known.has_error_register = told is None or _of(ERROR_REGISTER) in told
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
    columns_told = association.get_optional(one.attribute(CAPTURE_OBJECTS))
    if columns_told is None:
        return None
    columns = tuple(map(CaptureColumn.decode, columns_told.items))
    found: dict[bytes, Scaling] = {}
    for column in columns:
        register = _of(column.attribute)
        if register.obis is None or column.attribute.number != VALUE:
            continue
        scaling = scalings.get(register) or _scaling(association, register)
        if scaling is not None:
            found[register.name] = scaling
    period = association.get_optional(one.attribute(CAPTURE_PERIOD))
    seconds = 0 if period is None else period.integer
    return ProfileBuffer(name, columns, found, seconds, association.take_raw())


def _objects(association: Association) -> Sequence[MeterObject] | None:
    """The association's object list, None where the meter does not tell it."""
    told = association.get_optional(OBJECT_LIST)
    return None if told is None else decode_object_list(told)


def _scaling(association: Association, one: MeterObject) -> Scaling | None:
    value = association.get_optional(one.attribute(SCALER_UNIT))
    return None if value is None else Scaling.decode(value)


def _of(attribute: Attribute) -> MeterObject:
    return MeterObject(attribute.class_id, attribute.name)
