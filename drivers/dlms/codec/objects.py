"""COSEM interface classes and the objects that a readout looks at (IEC 62056-6-2)."""

import re
from dataclasses import dataclass
from enum import IntEnum

from drivers.dlms.codec.apdu import Attribute
from drivers.dlms.codec.data import Data, DataTag, long_unsigned, octet_string, structure
from drivers.errors import DecodeError
from telemetry.obis import Obis

PRESENT = 255  # value group F
VALUE, SCALER_UNIT, CAPTURE_TIME = 2, 3, 5  # attributes of registers
BUFFER, CAPTURE_OBJECTS, CAPTURE_PERIOD = 2, 3, 4  # attributes of profiles
_NAME = re.compile(r"(\d{1,3})-(\d{1,3}):(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?:[*.](\d{1,3}))?")


class ClassId(IntEnum):
    """Interface classes."""

    DATA = 1
    REGISTER = 3
    EXTENDED_REGISTER = 4
    PROFILE_GENERIC = 7
    CLOCK = 8
    ASSOCIATION = 15


def logical_name(text: str) -> bytes:
    """The six bytes of `1-0:1.8.0*255`; the last group may be left out. Raises ValueError."""
    match = _NAME.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a logical name such as 1-0:1.8.0*255")
    return bytes(int(group or PRESENT) for group in match.groups())


OBJECT_LIST = Attribute(ClassId.ASSOCIATION, logical_name("0-0:40.0.0"), 2)
REPLY_TO_CHALLENGE = Attribute(ClassId.ASSOCIATION, logical_name("0-0:40.0.0"), 1)
DEVICE_NAME = Attribute(ClassId.DATA, logical_name("0-0:42.0.0"), VALUE)
SERIAL_NUMBER = Attribute(ClassId.DATA, logical_name("0-0:96.1.0"), VALUE)
# one for each security setup; which one is whose differs (Landis+Gyr: 43.1.3)
INVOCATION_COUNTERS = tuple(Attribute(ClassId.DATA, logical_name(f"0-0:43.1.{e}"), VALUE) for e in range(5))
ERROR_REGISTER = Attribute(ClassId.DATA, logical_name("0-0:97.97.0"), VALUE)
CLOCK = Attribute(ClassId.CLOCK, logical_name("0-0:1.0.0"), VALUE)
LOAD_PROFILE = logical_name("1-0:99.1.0")
BILLING_PROFILES = (logical_name("0-0:98.1.0"), logical_name("1-0:98.1.0"))


@dataclass(frozen=True, slots=True)
class MeterObject:
    """An object that a meter has."""

    class_id: int
    name: bytes

    def attribute(self, number: int) -> Attribute:
        return Attribute(self.class_id, self.name, number)

    @property
    def obis(self) -> Obis | None:
        """The register that it is, None for what has no place in the shared table, or is not the present."""
        code = Obis(*self.name[:5])
        is_register = self.class_id in (ClassId.REGISTER, ClassId.EXTENDED_REGISTER)
        return code if is_register and self.name[5] == PRESENT and code.definition else None


# What is asked for where a meter does not tell its objects
USUAL = tuple(
    MeterObject(ClassId.REGISTER, logical_name(f"1-0:{code}"))
    for code in (
        *("1.8.0", "1.8.1", "1.8.2", "1.8.3", "1.8.4", "2.8.0", "2.8.1", "2.8.2", "3.8.0", "4.8.0"),
        *("1.7.0", "2.7.0", "16.7.0", "32.7.0", "52.7.0", "72.7.0", "31.7.0", "51.7.0", "71.7.0"),
        *("13.7.0", "14.7.0"),
    )
)


@dataclass(frozen=True, slots=True)
class Scaling:
    """Attribute 3 of a register: a power of ten and a unit code."""

    scaler: int
    unit: int

    @classmethod
    def decode(cls, data: Data) -> "Scaling":
        """Raises DecodeError."""
        items = data.items
        if len(items) != 2 or not -30 <= items[0].integer <= 30:
            raise DecodeError("no scaler and unit")
        return cls(items[0].integer, items[1].integer)


@dataclass(frozen=True, slots=True)
class CaptureColumn:
    """A capture object: what a column of a profile holds."""

    attribute: Attribute
    index: int = 0

    @property
    def object(self) -> MeterObject:
        return MeterObject(self.attribute.class_id, self.attribute.name)

    @classmethod
    def decode(cls, data: Data) -> "CaptureColumn":
        """Raises DecodeError."""
        items = data.items
        if len(items) != 4 or len(items[1].octets) != 6:
            raise DecodeError("no capture object")
        class_id, number, index = (items[place].integer for place in (0, 2, 3))
        return cls(Attribute(class_id, items[1].octets, number), index)

    def encode(self) -> Data:
        one = self.attribute
        number = Data(DataTag.INTEGER, one.number)
        return structure(
            long_unsigned(one.class_id), octet_string(one.name), number, long_unsigned(self.index)
        )


def decode_columns(data: Data) -> tuple[CaptureColumn, ...]:
    """The columns of a profile. Raises DecodeError."""
    return tuple(map(CaptureColumn.decode, data.items))


def decode_object_list(data: Data) -> list[MeterObject]:
    """The objects of an association. Raises DecodeError."""
    objects = []
    for one in data.items:
        items = one.items
        if len(items) < 3 or len(items[2].octets) != 6:
            raise DecodeError("no element of an object list")
        objects.append(MeterObject(items[0].integer, items[2].octets))
    return objects
