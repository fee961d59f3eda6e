"""The addresses of a configuration: `client/logical device/physical device`, such as 16, 16/1 or 1/1/17."""

import re

from drivers.dlms.codec.hdlc import HdlcAddress
from drivers.errors import DriverError

_PUBLIC = 16
_MANAGEMENT = 1
_ADDRESS = re.compile(r"(?P<client>\d{1,3})?(?:/(?P<upper>\d{1,5})(?:/(?P<lower>\d{1,5}))?)?(?P<wide>:4)?")


def parse_address(text: str) -> tuple[HdlcAddress, HdlcAddress]:
    """(client, server). What is left out is client 16, the public one, and logical device 1.

    The server's address has one byte, two with a physical device, four where a part is above 127 or the text
    ends with `:4`, which some meters insist on. Raises DriverError.
    """
    match = _ADDRESS.fullmatch(text)
    try:
        if match:
            client, upper, lower, wide = match.groups()
            server = HdlcAddress(int(upper or _MANAGEMENT), None if lower is None else int(lower), bool(wide))
            if 0 < int(client or _PUBLIC) < 128:
                return HdlcAddress(int(client or _PUBLIC)), server
    except ValueError:
        pass
    raise DriverError(
        f"{text!r} is no DLMS address",
        advice="give client/logical device/physical device, such as 16/1 or 1/1/17 (1/1/17:4 for four bytes)",
    )
