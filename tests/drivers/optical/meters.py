"""Virtual meters and drivers that the tests of this folder share."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from drivers.line import SerialSettings, Transmission, VirtualMeter
from drivers.optical.codec.dataset import DataSet, decode_sets
from drivers.optical.codec.telegram import BlockCheck, Identification
from drivers.optical.master import OpticalDriver
from drivers.optical.virtual import OPTICAL, VirtualOpticalMeter
from drivers.optical.virtual_programming import ProgrammingMode
from drivers.simulated import SimulatedLine

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
EMH = Identification("EMH", "5", "\\@D4EM4TWII001--")
EKT = Identification("EKT", "5", "CE301v12")


class Listening:
    """Remembers what was said to a meter, and what it said, at which speed."""

    def __init__(self, virtual: VirtualMeter) -> None:
        self.virtual = virtual
        self.heard: list[bytes] = []
        self.said: list[Transmission] = []

    def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
        self.heard.append(data)
        said = self.virtual.hear(data, settings)
        self.said += said
        return said


def programmable(
    programming: ProgrammingMode,
    who: Identification = EMH,
    sets: Sequence[DataSet] = (),
    check: BlockCheck = BlockCheck.XOR,
    address: str = "",
) -> VirtualOpticalMeter:
    return VirtualOpticalMeter(who, sets, programming=programming, check=check, address=address)


def answers(text: str) -> dict[str, str]:
    """Registers of a `ProgrammingMode`, each answered with its data set."""
    return {one.address: str(one) for one in decode_sets(text.encode())}


def driver_of(virtual: VirtualMeter, settings: SerialSettings = OPTICAL, **options: float) -> OpticalDriver:
    """On a virtual clock, which is the gateway's, too."""
    line = SimulatedLine(virtual, settings)
    return OpticalDriver(line, lambda: NOW + timedelta(seconds=line.now()), **options)
