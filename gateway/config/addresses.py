"""Which addresses a protocol's meters can have, in an installer's words."""

import re
from importlib import import_module

from drivers.errors import DriverError

_OPTICAL = re.compile(r"[0-9A-Za-z ]{0,32}")  # IEC 62056-21, 6.3.1


def address_problem(protocol: str, address: str) -> str | None:
    """What is wrong with the address, and what to write instead; None if nothing is."""
    match protocol:
        case "mbus" | "dlms":
            parse = import_module(f"drivers.{protocol}.address").parse_address  # loads only what it speaks
            try:
                parse(address)
            except DriverError as error:
                return f"address {error}; {error.advice}"
        case "modbus" if not (re.fullmatch(r"[0-9]{1,3}", address) and 1 <= int(address) <= 247):
            return f"address {address!r} is not a Modbus unit; write a number from 1 to 247"
        case "optical" if not _OPTICAL.fullmatch(address):
            return f"address {address!r} is no device address; write 1 to 32 letters and digits, or none"
        case "sml" if address:
            return f"address {address!r} is one too many: an SML meter is alone on its head; remove it"
    return None
