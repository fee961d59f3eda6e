"""M-Bus (EN 13757-2 and -3), as others need to know it."""

from drivers.line import SerialSettings
from drivers.protocol import MeterProtocol

_FIRST_BYTES = (0x68, 0x10, 0xE5)  # long frame, short frame, single character


class MBusProtocol(MeterProtocol):
    """Wired M-Bus."""

    name = "mbus"
    master = "MBusDriver"
    title = "M-Bus"
    settings = SerialSettings(2400, 8, "E", 1)
    silence = (
        "is this the meter's address? `hesper gateway scan` finds it; a new meter often has 0",
        "a wrong speed is silence, too: most meters speak 2400 8E1, some 300 or 9600",
        "is the level converter powered (24 to 42 V between the two wires), and made for so many meters?",
        "is the meter connected at all? M-Bus wires have no polarity, but a short takes all meters down",
    )

    def recognises(self, data: bytes) -> bool:
        return data[:1] != b"" and data[0] in _FIRST_BYTES


PROTOCOL = MBusProtocol()
