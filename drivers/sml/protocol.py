"""SML (BSI TR-03109-1, annex IV), as others need to know it."""

from drivers.errors import DriverError
from drivers.line import SerialSettings
from drivers.protocol import MeterProtocol


class SmlProtocol(MeterProtocol):
    """SML, pushed by a meter's info interface."""

    name = "sml"
    master = "SmlDriver"
    title = "SML"
    settings = SerialSettings(9600, 8, "N", 1)
    silence = (
        "is the head on the meter's info port? It speaks by itself every few seconds",
        "is the extended data set switched on in the meter's menu (InF, with its PIN)?",
        "most meters send with 9600 8N1",
    )

    def check_address(self, address: str) -> None:
        if address:
            raise DriverError(
                f"{address!r} is one too many: an SML meter is alone on its head", advice="remove it"
            )

    def recognises(self, data: bytes) -> bool:
        from drivers.sml.transport import START

        return START in data


PROTOCOL = SmlProtocol()
