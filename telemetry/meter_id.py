"""Meter identity: `<FLAG manufacturer>-<serial>`, such as KAM-06855817.

The three letters are the manufacturer's identification of the FLAG Association, as M-Bus (EN 13757-3, 5.5)
and IEC 62056-21 (6.3.2) carry it; the serial number is as printed on the meter.
"""

import re

_METER_ID = re.compile(r"(?P<manufacturer>[A-Z]{3})-(?P<serial>[0-9A-Z][0-9A-Z.]{0,31})")


class MeterIdError(ValueError):
    """A text that is not a meter id."""


def meter_id(manufacturer: str, serial: str) -> str:
    """The meter id of a manufacturer and serial, upper case. Raises MeterIdError.

    >>> meter_id("Kam", "06855817")
    'KAM-06855817'
    """
    return check_meter_id(f"{manufacturer}-{serial}".upper())


def possible_meter_id(manufacturer: str, serial: str) -> str | None:
    """The meter id, None for what makes none."""
    try:
        return meter_id(manufacturer, serial)
    except MeterIdError:
        return None


def check_meter_id(text: str) -> str:
    """`text`, if it is a meter id. Raises MeterIdError."""
    if not _METER_ID.fullmatch(text):
        raise MeterIdError(
            f"{text!r} is not a meter id: three letters of the FLAG manufacturer, a hyphen, "
            "and the serial number in capitals and digits, such as KAM-06855817"
        )
    return text


def split_meter_id(text: str) -> tuple[str, str]:
    """(manufacturer, serial). Raises MeterIdError."""
    manufacturer, _, serial = check_meter_id(text).partition("-")
    return manufacturer, serial


def same_meter(one: str, other: str) -> bool:
    """True where two ids name one meter: zeros in front of a serial are printed and sent as makers like."""
    maker, _, serial = one.partition("-")
    other_maker, _, other_serial = other.partition("-")
    return (maker, serial.lstrip("0")) == (other_maker, other_serial.lstrip("0"))
