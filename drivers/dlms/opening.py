"""Opening an optical head for HDLC: the sign-on of IEC 62056-21 in mode E, which is told to speak protocol 2.

`/?!` at 300 7E1, the identification with `\\2` in it, `ACK 2 Z 2`, which most meters repeat; then both speak
HDLC at the new speed in 8N1.
"""

from drivers.driver import Tally
from drivers.errors import UnsupportedError
from drivers.line import Line, SerialSettings
from drivers.optical.codec.telegram import MODE_C_BAUDS, OptionSelect, encode_sign_on
from drivers.optical.wire import Wire

HEAD = SerialSettings(300, 7, "E", 1)
MODE_E = "\\2"
_CONFIRMATION_LIMIT = 0.6  # to the first character of the repeated acknowledgement, which some leave out
_BEFORE_HDLC = 0.1  # heads and meters need a moment after the change of speed


def open_head(line: Line) -> None:
    """Sign on and agree on HDLC. The line has the new speed afterwards. Raises DriverError."""
    if not line.can_switch:
        raise UnsupportedError(
            f"{line.name} cannot change its speed as an optical head needs it",
            advice="connect the head to a serial port, or a direct interface of the meter to this line",
        )
    line.discard()
    wire = Wire(line, line.name, Tally(), None)
    sign_on = encode_sign_on("")
    wire.request(sign_on)
    identification = wire.identification(sign_on)
    baud = MODE_C_BAUDS.get(identification.baud)
    if baud is None or not identification.type.startswith(MODE_E):
        raise UnsupportedError(
            f"the {identification.manufacturer} meter on {line.name} does not offer mode E",
            advice='read it with the protocol "optical"',
        )
    line.wait(identification.reaction)
    acknowledgement = OptionSelect("2", identification.baud, "2").encode()
    line.send(acknowledgement)
    confirmed = b""
    while acknowledgement not in confirmed and (data := line.receive(_CONFIRMATION_LIMIT)):
        confirmed = (confirmed + data)[-64:]
    line.configure(SerialSettings(baud, 8, "N", 1))
    line.wait(_BEFORE_HDLC)
