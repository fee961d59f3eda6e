"""DLMS/COSEM, as others need to know it."""

from drivers.errors import DecodeError
from drivers.line import SerialSettings
from drivers.protocol import CapturedTelegram, MeterProtocol
from telemetry.explanation import Explanation

_FLAG = 0x7E  # of HDLC


class DlmsProtocol(MeterProtocol):
    """DLMS/COSEM over HDLC."""

    name = "dlms"
    master = "DlmsDriver"
    title = "DLMS"
    settings = SerialSettings(9600, 8, "N", 1)
    silence = (
        "is this the meter's address (physical device), and may this client associate with it?",
        "most meters begin with 9600 8N1; behind an optical head some with 300 7E1",
    )
    has_load_profiles = True
    has_two_keys = True

    def recognises(self, data: bytes) -> bool:
        return len(data) > 2 and data[0] == data[-1] == _FLAG

    def explain(self, telegram: CapturedTelegram) -> Explanation:  # noqa: ARG002 - it cannot be told
        raise DecodeError("this is an HDLC frame (DLMS), which means something only within its association")


PROTOCOL = DlmsProtocol()
