"""Unit ids of meters: 1 to 247 on a serial line (V1.02, 2.2), any byte behind Modbus TCP."""

from drivers.errors import DriverError

UNITS = range(1, 248)
UNITS_BY_TCP = range(256)


def parse_address(text: str, possible: range = UNITS) -> int:
    """The unit id of a configuration. Raises DriverError."""
    if text.isascii() and text.isdecimal() and int(text) in possible:
        return int(text)
    raise DriverError(
        f"{text!r} is not a Modbus unit", advice=f"write a number from {possible[0]} to {possible[-1]}"
    )
