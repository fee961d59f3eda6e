"""Whatever a meter says, the driver answers with readouts or a DriverError, in bounded time on the wire."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.driver import SearchScope, Target
from drivers.errors import DriverError
from drivers.line import SerialSettings, Transmission
from drivers.optical.codec.dataset import decode_sets
from drivers.optical.codec.telegram import (
    ACK,
    BREAK,
    NAK,
    BlockCheck,
    DataBlock,
    ProgrammingCommand,
    encode_block,
)
from drivers.optical.master import OpticalDriver
from drivers.optical.virtual import OPTICAL
from tests.drivers.optical.meters import BERLIN, EMH, NOW, driver_of
from tests.drivers.optical.pushing import VirtualPushingMeter

texts = st.lists(
    st.sampled_from(
        [
            *"().*!;0123456789",
            "1.8.0",
            "0.9.1",
            "0.9.2",
            "P.01",
            "C.1.0",
            "kWh",
            "\r\n",
            "ERR01",
            "261122",
            "130000",
        ]
    ),
    max_size=14,
).map(lambda parts: "".join(parts).encode())
profiles = st.builds(
    lambda minutes, size, values: (
        f"P.01(0261122120000)(00)({minutes})({size})(1.8.0)(kWh)" + values
    ).encode(),
    st.integers(0, 2000),
    st.integers(0, 3),
    st.sampled_from(["", "(1)", "\r\n(1)\r\n(2)", "(ERROR)", "P.01()", "(1)(2)(3)P.01(x)"]),
)
answers = (
    st.sampled_from(
        [b"", ACK, NAK, BREAK.encode(BlockCheck.XOR), ProgrammingCommand("P0", b"()").encode(BlockCheck.XOR)]
    )
    | st.builds(DataBlock, texts | profiles, st.booleans()).map(lambda block: block.encode(BlockCheck.XOR))
    | texts.map(lambda data: encode_block(data, BlockCheck.XOR))
    | st.binary(max_size=30)
)


class Hostile:
    """Identifies itself, invites to programming mode where it is `polite`, then says what it likes."""

    def __init__(self, said: list[bytes], polite: bool) -> None:
        self.left = [*[ProgrammingCommand("P0", b"()").encode(BlockCheck.XOR)] * polite, *said]

    def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
        if data.startswith(b"/?"):
            return [Transmission(EMH.encode(), 0.2)]
        speed = SerialSettings(9600, 7, "E", 1)
        return [Transmission(self.left.pop(0), 0.2, speed)] if self.left else []


ASKED: dict[str, Callable[[OpticalDriver, Target], object]] = {
    "read": lambda driver, target: driver.read(target),
    "registers": lambda driver, target: driver.read_registers(target, ["1.8.0", "C.1.0"]),
    "load profile": lambda driver, target: driver.load_profile(target, NOW - timedelta(hours=3), NOW),
    "months": lambda driver, target: driver.months(target, 3),
    "clock": lambda driver, target: driver.set_clock(target, NOW),
    "search": lambda driver, target: list(driver.search(SearchScope((OPTICAL,), ("1",)))),
}


@pytest.mark.parametrize("asked", ASKED)
@given(st.lists(answers, max_size=12), st.booleans(), st.sampled_from([None, "x"]))
@settings(max_examples=60)
def test_a_hostile_meter_meets_nothing_but_driver_errors(
    asked: str, said: list[bytes], polite: bool, password: str | None
) -> None:
    driver = driver_of(Hostile(said, polite))
    target = Target("", time_zone=BERLIN, password=password, retries=1)
    with suppress(DriverError):
        ASKED[asked](driver, target)
    assert driver.line.settings == OPTICAL
    assert driver.line.now() < 120.0


@given(st.lists(texts | st.binary(max_size=30), max_size=8))
@settings(max_examples=60)
def test_whatever_is_pushed_meets_nothing_but_driver_errors(said: list[bytes]) -> None:
    class Pushing(VirtualPushingMeter):
        def push(self, settings: SerialSettings) -> Transmission:
            data = EMH.encode() + said.pop(0) + b"\r\n!\r\n" if said else b""
            return Transmission(data, 0.0, self.settings)

    meter = Pushing(EMH, decode_sets(b""))
    with suppress(DriverError):
        driver_of(meter, meter.settings).read(Target("", "EMH-1", "iec-push"))
