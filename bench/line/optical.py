"""Optical ports: a session's time against that of the characters and reactions that it is made of.

The readout is a usual one: a 17-character identification and 1500 characters at 9600 Bd. Its limit is the
formula of the standard's times; that of a load profile is the wire time of the very telegrams that passed.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from bench.measurement import Measurement
from drivers.driver import Target
from drivers.line import SerialSettings, Transmission, VirtualMeter
from drivers.optical.codec.dataset import DataSet, Value, decode_sets, encode_sets
from drivers.optical.codec.telegram import BlockCheck, Identification, encode_block
from drivers.optical.master import OpticalDriver
from drivers.optical.virtual import OPTICAL, VirtualOpticalMeter
from drivers.optical.virtual_programming import ProgrammingMode, VirtualLoadProfile
from drivers.simulated import SimulatedLine

_WANTED = "<= 1.03"
_NOW = datetime(2026, 11, 22, tzinfo=UTC)
_CHARACTERS, _BAUD = 1500, 9600


def measure() -> Iterator[Measurement]:
    """Readouts of meters that react in 200 ms and in 20 ms, and a day of a load profile in partial blocks."""
    for maker, reaction in (("LGZ", 0.2), ("LGz", 0.02)):
        yield _readout(Identification(maker, "5", "ZMD310AT.B"), reaction)
    yield _day()


def _readout(who: Identification, reaction: float) -> Measurement:
    line = SimulatedLine(VirtualOpticalMeter(who, _sets()), OPTICAL)
    [_] = OpticalDriver(line, lambda: _NOW).read(Target(""))
    slow = 5 + len(who.encode()) + 6
    formula = slow * 10 / 300 + 3 * reaction + _CHARACTERS * 10 / _BAUD
    return Measurement(
        f"mode C readout, 1500 characters, {reaction * 1000:.0f} ms", line.now(), "s", formula, _WANTED
    )


def _sets() -> list[DataSet]:
    """Data sets whose block has exactly 1500 characters."""
    sets = decode_sets(b"C.1.0(12345678)1.8.0(005432.1*kWh)2.8.0(000012.0*kWh)")
    frame = len(encode_block(encode_sets([*sets, DataSet("X", (Value(""),))]), BlockCheck.XOR))
    return [*sets, DataSet("X", (Value("0" * (_CHARACTERS - frame)),))]


class _Counted:
    """Adds up the wire time of what is said and heard, and the meter's reactions."""

    def __init__(self, meter: VirtualMeter) -> None:
        self.meter = meter
        self.seconds = 0.0
        self.turns = 0

    def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
        self.seconds += len(data) * settings.character_time
        said = self.meter.hear(data, settings)
        for one in said:
            self.seconds += len(one.data) * (one.settings or settings).character_time
            self.turns += 1
        return said


def _day() -> Measurement:
    since = _NOW - timedelta(days=1)
    rows = [(since + n * timedelta(minutes=15), (f"{5000 + n}.25", "0.400")) for n in range(1, 97)]
    profile = VirtualLoadProfile([("1.8.0", "kWh"), ("1.5.0", "kW")], rows, UTC, lines_in_block=12)
    who = Identification("EMH", "5", "LZQJ-XC")
    mode = ProgrammingMode({"C.1.0": "C.1.0(03878504)"}, password="12345678", load_profile=profile)
    counted = _Counted(VirtualOpticalMeter(who, (), programming=mode))
    line = SimulatedLine(counted, OPTICAL)
    target = Target("", profile="iec-blocks", password="12345678")
    readouts = OpticalDriver(line, lambda: _NOW).load_profile(target, since, _NOW)
    assert len(readouts) == 96
    # the reader reacts as often as the meter: after all but the last answer, and before the break
    least = counted.seconds + 2 * counted.turns * who.reaction
    return Measurement("load profile of a day, partial blocks, 200 ms", line.now(), "s", least, _WANTED)
