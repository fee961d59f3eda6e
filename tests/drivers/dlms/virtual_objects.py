"""Objects for virtual meters: what `VirtualDlmsMeter` is made of. Join them with `|`."""

from collections.abc import Callable, Sequence

from drivers.dlms.codec.apdu import Attribute
from drivers.dlms.codec.data import Data, DataTag, array, octet_string, structure
from drivers.dlms.codec.objects import (
    BUFFER,
    CAPTURE_OBJECTS,
    CAPTURE_PERIOD,
    CAPTURE_TIME,
    CLOCK,
    DEVICE_NAME,
    SCALER_UNIT,
    SERIAL_NUMBER,
    VALUE,
    CaptureColumn,
    ClassId,
    MeterObject,
    logical_name,
)
from drivers.dlms.server import Content, Objects


def identity(device_name: str, serial: str) -> Objects:
    """Logical device name, which begins with the manufacturer's letters, and serial number."""
    return {
        DEVICE_NAME: octet_string(device_name.encode("ascii")),
        SERIAL_NUMBER: octet_string(serial.encode("ascii")),
    }


def register(name: str, value: Content, scaler: int, unit: int, *, captured: bytes | None = None) -> Objects:
    """A register; an extended one if `captured`, a date-time, is given. `unit` is a COSEM unit code."""
    kind = ClassId.REGISTER if captured is None else ClassId.EXTENDED_REGISTER
    one = MeterObject(kind, logical_name(name))
    objects: Objects = {
        one.attribute(VALUE): value,
        one.attribute(SCALER_UNIT): structure(Data(DataTag.INTEGER, scaler), Data(DataTag.ENUM, unit)),
    }
    if captured is not None:
        objects[one.attribute(CAPTURE_TIME)] = octet_string(captured)
    return objects


def clock(shown: Callable[[], bytes]) -> Objects:
    """The clock; `shown` gives its date-time."""
    return {CLOCK: lambda: octet_string(shown())}


def profile(name: str, columns: Sequence[Attribute], rows: Content, period: int = 0) -> Objects:
    """A profile; `rows` is an array of structures, `period` in seconds, 0 for billing."""
    one = MeterObject(ClassId.PROFILE_GENERIC, logical_name(name))
    captured = array(*(CaptureColumn(column).encode() for column in columns))
    return {
        one.attribute(BUFFER): rows,
        one.attribute(CAPTURE_OBJECTS): captured,
        one.attribute(CAPTURE_PERIOD): Data(DataTag.DOUBLE_LONG_UNSIGNED, period),
    }
