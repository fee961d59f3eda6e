"""A virtual household meter for the tests, and what reading it has to give."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from drivers.dlms.codec.clock import encode_date_time
from drivers.dlms.codec.data import Data, DataTag, array, octet_string, structure
from drivers.dlms.codec.objects import CLOCK, VALUE, ClassId, MeterObject, logical_name
from drivers.dlms.codec.security import Keys
from drivers.dlms.master import DlmsDriver
from drivers.dlms.server import Objects, ServerAccess
from drivers.dlms.virtual import DIRECT, VirtualDlmsMeter
from drivers.driver import Target
from drivers.line import SerialSettings, Transmission, VirtualMeter
from drivers.simulated import SimulatedLine
from telemetry.readout import Quantity
from tests.drivers.dlms import virtual_objects as made

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 24, 6, 30, tzinfo=UTC)
METER = "HSP-0012345678"
IMPORT = MeterObject(ClassId.REGISTER, logical_name("1-0:1.8.0")).attribute(VALUE)
EXPORT = MeterObject(ClassId.REGISTER, logical_name("1-0:2.8.0")).attribute(VALUE)
LOAD_BEGINS = datetime(2026, 11, 20, tzinfo=UTC)
MAXIMUM = datetime(2026, 11, 18, 17, 15, tzinfo=UTC)

KEY = bytes(range(16)) + bytes(range(0x20, 0x30))
PASSWORD = "open sesame"
PUBLIC = Target("16/1", time_zone=BERLIN)
LOW = Target("32/1", time_zone=BERLIN, password=PASSWORD)
HIGH = Target("1/1", time_zone=BERLIN, key=KEY)
CLOSED = ServerAccess(
    password=PASSWORD.encode(), keys=Keys.parse(KEY), public=True, writable=frozenset({CLOCK})
)
OPEN = ServerAccess(writable=frozenset({CLOCK}))

PRESENT = {
    "1-0:1.8.0": Quantity(12345_678_000, "kW.h"),
    "1-0:1.8.1": Quantity(9_000_500_000, "kW.h"),
    "1-0:2.8.0": Quantity(77_000, "kW.h"),
    "1-0:1.6.0": Quantity(4_321_000, "kW"),
    "1-0:16.7.0": Quantity(-230_000_000, "W"),
    "1-0:32.7.0": Quantity(230_100_000, "V"),
}


def months() -> list[tuple[datetime, int, int]]:
    """The ends of closed months (local), with import and export in W.h."""
    ends = [(2025, 12), *((2026, month) for month in range(1, 12))]
    return [
        (datetime(year, month, 1, tzinfo=BERLIN).astimezone(UTC), 1_000_000 * place, 1_000 * place)
        for place, (year, month) in enumerate(ends, 1)
    ]


def quarters(first: datetime, count: int) -> list[tuple[datetime, int, int]]:
    """A load profile of quarters of an hour from `first` on."""
    step = 900
    return [
        (datetime.fromtimestamp(first.timestamp() + step * place, UTC), 100 + place, place)
        for place in range(count)
    ]


def rows(entries: list[tuple[datetime, int, int]]) -> Data:
    """The buffer of a profile: time, import, export."""
    return array(
        *(
            structure(
                octet_string(encode_date_time(instant, BERLIN)),
                Data(DataTag.LONG64_UNSIGNED, imported),
                Data(DataTag.DOUBLE_LONG_UNSIGNED, exported),
            )
            for instant, imported, exported in entries
        )
    )


def household(now: Callable[[], datetime] = lambda: NOW, serial: str = "0012345678") -> Objects:
    """A fresh set of objects."""
    columns = (CLOCK, IMPORT, EXPORT)
    return (
        dict(made.identity("HSPH00012345678", serial))
        | made.register("1-0:1.8.0", Data(DataTag.DOUBLE_LONG_UNSIGNED, 12_345_678), 0, 30)
        | made.register("1-0:1.8.1", Data(DataTag.LONG64_UNSIGNED, 90_005), 2, 30)
        | made.register("1-0:2.8.0", Data(DataTag.LONG_UNSIGNED, 77), 0, 30)
        | made.register(
            "1-0:1.6.0",
            Data(DataTag.DOUBLE_LONG_UNSIGNED, 4321),
            0,
            27,
            captured=encode_date_time(MAXIMUM, BERLIN),
        )
        | made.register("1-0:16.7.0", Data(DataTag.DOUBLE_LONG, -230), 0, 27)
        | made.register("1-0:32.7.0", Data(DataTag.FLOAT32, Decimal("230.1")), 0, 35)
        | made.register(
            "1-0:96.14.0", Data(DataTag.UNSIGNED, 1), 0, 255
        )  # nothing that is a register of ours
        | made.clock(lambda: encode_date_time(now(), BERLIN))
        | made.profile("0-0:98.1.0", columns, rows(months()))
        | made.profile("1-0:99.1.0", columns, lambda: rows(quarters(LOAD_BEGINS, 300)), 900)
    )


def driver_of(
    meter: VirtualMeter, clock: Callable[[], datetime] = lambda: NOW, settings: SerialSettings = DIRECT
) -> DlmsDriver:
    return DlmsDriver(SimulatedLine(meter, settings), clock, random=lambda count: bytes(range(1, count + 1)))


def wh(value: int) -> Quantity:
    return Quantity(value * 1000, "kW.h")


def meter_of(
    objects: Objects | None = None, access: ServerAccess = OPEN, **options: object
) -> VirtualDlmsMeter:
    return VirtualDlmsMeter(objects or household(), access=access, **options)  # type: ignore[arg-type] # tests


class Saying:
    """Says the same to everything."""

    def __init__(self, said: bytes) -> None:
        self.said = said

    def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
        return [Transmission(self.said)] if self.said else []


class Answering(VirtualDlmsMeter):
    """A meter whose server gives fixed answers after the log-in."""

    def __init__(self, answer: bytes | None, log_in: bytes | None = None) -> None:
        super().__init__(household())
        handle = self.server.handle

        def handled(apdu: bytes) -> bytes:
            fixed = log_in if apdu[0] == 0x60 else answer
            return handle(apdu) if fixed is None else fixed

        self.server.handle = handled  # type: ignore[method-assign]
