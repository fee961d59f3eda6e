"""Which addresses a protocol's meters can have, in an installer's words."""

import re

_PRIMARY = {*range(251), 254}  # EN 13757-2, 5.7.5; 0: not yet configured; 254: the only meter on the line
_SECONDARY = re.compile(r"[0-9A-Fa-f]{8}(?:[0-9A-Fa-f]{8})?")  # EN 13757-7: F is a wildcard
_OPTICAL = re.compile(r"[0-9A-Za-z ]{0,32}")  # IEC 62056-21, 6.3.1


def address_problem(protocol: str, address: str) -> str | None:
    """What is wrong with the address, and what to write instead; None if nothing is."""
    number = int(address) if re.fullmatch(r"\d{1,3}", address, re.ASCII) else None
    match protocol:
        case "mbus" if number not in _PRIMARY and not _SECONDARY.fullmatch(address):
            return (
                f"address {address!r} is no M-Bus address; write a number from 1 to 250, or a secondary "
                'address: 8 digits ("06855817", with F for any digit) or all 16'
            )
        case "modbus" if number is None or not 1 <= number <= 247:
            return f"address {address!r} is not a Modbus unit; write a number from 1 to 247"
        case "optical" if not _OPTICAL.fullmatch(address):
            return f"address {address!r} is no device address; write 1 to 32 letters and digits, or none"
    return None
