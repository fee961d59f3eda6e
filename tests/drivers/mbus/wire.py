"""What the M-Bus tests share: telegrams, a wire that is listened to, a master at its end."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from drivers.bus import VirtualBus
from drivers.driver import Found, SearchEvent, SearchScope, Suspicion
from drivers.line import SerialSettings, Transmission, VirtualMeter
from drivers.mbus.address import Secondary
from drivers.mbus.codec import vif
from drivers.mbus.codec.dif import MORE_FOLLOWS
from drivers.mbus.codec.encode import record
from drivers.mbus.codec.header import Header
from drivers.mbus.codec.telegram import encode_telegram
from drivers.mbus.master import MBusDriver
from drivers.mbus.virtual import VirtualMBusMeter
from drivers.simulated import SimulatedLine

LINE_SETTINGS = SerialSettings(2400, 8, "E", 1)
NOW = datetime(2026, 11, 22, 2, 30, tzinfo=UTC)
NKE = bytes.fromhex("10 40 05 45 16")
NKE_SELECTED = bytes.fromhex("10 40 FD 3D 16")
REQ_FCB_1 = bytes.fromhex("10 7B 05 80 16")
REQ_FCB_0 = bytes.fromhex("10 5B 05 60 16")
BUSY = bytes.fromhex("68 04 04 68 08 05 70 08 85 16")


def telegram(
    energy: int,
    *,
    more: bool = False,
    serial: str = "06855817",
    maker: str = "KAM",
    version: int = 8,
    medium: int = 0x04,
) -> bytes:
    """An answer with one energy, its tariff depending on it so that several can be in one readout."""
    data = record(vif.ENERGY, Decimal(energy), "kW.h", tariff=energy % 4)
    header = Header(serial, maker, version, medium)
    return encode_telegram(5, header, data + (bytes((MORE_FOLLOWS,)) if more else b""))


def counting(serial: str) -> Callable[[], Sequence[bytes]]:
    """Answers of a meter that counts 4 kWh between two readouts."""
    counter = iter(range(4, 1000, 4))
    return lambda: [telegram(next(counter), serial=serial)]


def counter(address: int, serial: str) -> VirtualMBusMeter:
    """A meter that counts 4 kWh between two readouts."""
    return VirtualMBusMeter(address, counting(serial), secondary=Secondary(serial, 0x2C2D, 8, 4))


class Tap:
    """A virtual meter's wire, listened to: keeps what the master sends, and can spoil answers."""

    def __init__(self, meter: VirtualMeter, spoil: Callable[[int, bytes], bytes] | None = None) -> None:
        self.meter = meter
        self.spoil = spoil
        self.sent: list[bytes] = []

    def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
        self.sent.append(data)
        answers = self.meter.hear(data, settings)
        if self.spoil is None:
            return answers
        spoiled = [(self.spoil(len(self.sent), one.data), one.delay) for one in answers]
        return [Transmission(data, delay) for data, delay in spoiled if data]


def driver_on(meter: VirtualMeter, settings: SerialSettings = LINE_SETTINGS) -> MBusDriver:
    return MBusDriver(SimulatedLine(meter, settings), lambda: NOW)


def bus_of(serials: Sequence[str], **options: object) -> VirtualBus:
    """Meters at the primary addresses 1, 2, ..., each with its own reaction time."""
    return VirtualBus(
        VirtualMBusMeter(
            1 + n,
            [telegram(4, serial=serial)],
            reaction=0.005 + 0.18 * (n * 7919 % 97) / 97,
            **options,  # type: ignore[arg-type]
        )
        for n, serial in enumerate(serials)
    )


def searched(driver: MBusDriver, *addresses: str, **scope: object) -> list[SearchEvent]:
    return list(driver.search(SearchScope(addresses=addresses, **scope)))  # type: ignore[arg-type]


def found(events: Sequence[SearchEvent]) -> list[Found]:
    return [event for event in events if isinstance(event, Found)]


def suspicions(events: Sequence[SearchEvent]) -> list[Suspicion]:
    return [event for event in events if isinstance(event, Suspicion)]
