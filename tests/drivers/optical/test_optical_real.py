"""What real meters sent, from their manuals and from what their readers have published, byte for byte."""

from datetime import UTC, datetime

import pytest

from drivers.driver import IdentityError, Target
from drivers.line import SerialSettings, Transmission
from drivers.optical.codec.telegram import MODE_C_BAUDS, BlockCheck, TelegramReader, encode_block
from telemetry.readout import Quantity, Readout
from telemetry.status import Status
from tests.drivers.optical.meters import BERLIN, driver_of

# LEM EM4TII+, manual V1.0, 4.2.9: the block check is the manual's
LEM = (
    b"\x021-0:1.8.0*255(000000000.0*kWh)\r\n1-0:2.8.0*255(000000000.0*kWh)\r\n1-0:3.8.0*255(000000000.0*kvarh)\r\n"
    b"1-0:4.8.0*255(000000000.0*kvarh)\r\n0-0:F.F.0*255(00000000)\r\n1-0:0.0.1*255()\r\n1-0:0.2.0*255(10600000)\r\n"
    b"1-0:0.9.1*255(140253)\r\n1-0:0.9.2*255(121221)\r\n0-0:C.1.0*255(03878504)\r\n0-0:C.72.1*255()\r\n"
    b"0-0:C.72.2*255()\r\n1-0:0.8.4*255(5*min)\r\n1-0:0.3.0*255(6.00*Imp/kWh)\r\n1-0:0.2.1*1(121120??)\r\n"
    b"1-0:0.2.1*50(121120??)\r\n0-0:C.90.2*255(9F139CC2)\r\n1-0:C.1.9*255(Point-ID)\r\n!\r\n\x03+"
)
# Elster AS1440 with two of its billing periods, in the short form of codes
AS1440 = (
    b"F.F(00000000)\r\n0.0.0(03224928)\r\n0.1.0(32)\r\n0.1.2*32(2112010000)\r\n0.1.2*31(2111010000)\r\n"
    b"1.8.1(052481.2*kWh)\r\n1.8.1*32(051967.9)\r\n1.8.1*31(051401.0)\r\n2.8.1(033594.7*kWh)\r\n2.8.1*32(033578.7)\r\n"
    b"0.9.1(221044)\r\n0.9.2(211222)\r\n32.7.0(231.9*V)\r\nC.6.0(001987)\r\n0.2.0(CE07)\r\n"
)
# Landis+Gyr: periods that never were, and a serial number with the medium and the maker in it
LANDIS = (
    b"1-1:F.F(00000000)\r\n1-1:0.0.0(001LGZ0056859504)\r\n1-1:0.9.1(185532)\r\n1-1:0.9.2(210410)\r\n1-1:0.1.0(01)\r\n"
    b"1-1:0.1.2*01(2104010000)\r\n1-1:0.1.2*00(0000000000)\r\n1-1:0.1.2*00(0000000000)\r\n1-1:1.6.0(00.641*kW)(2104091845)\r\n"
    b"1-1:1.8.0(0018788.9*kWh)\r\n1-1:1.8.0*01(0018750.0)\r\n1-1:1.8.0*00(0000000.0)\r\n1-1:1.8.0*00(0000000.0)\r\n"
)
# EasyMeter Q3D and eBZ DD3, which speak by themselves every two seconds and every second
Q3D = (
    b"/ESY5Q3DA1004 V3.03\r\n\r\n1-0:0.0.0*255(1027000455)\r\n1-0:1.8.0*255(00020995.8225132*kWh)\r\n"
    b"1-0:21.7.255*255(000002.59*W)\r\n1-0:41.7.255*255(000094.40*W)\r\n1-0:61.7.255*255(000097.82*W)\r\n"
    b"1-0:1.7.255*255(000194.81*W)\r\n1-0:96.5.5*255(82)\r\n0-0:96.1.255*255(1ESY1027000455)\r\n!\r\n"
)
DD3 = (
    b"/EBZ5DD32R06ETA_107\r\n\r\n1-0:0.0.0*255(1EBZ0102861889)\r\n1-0:96.1.0*255(1EBZ0102861889)\r\n"
    b"1-0:1.8.0*255(002714.12830185*kWh)\r\n1-0:2.8.0*255(000001.20600000*kWh)\r\n1-0:16.7.0*255(000211.26*W)\r\n"
    b"1-0:36.7.0*255(000157.64*W)\r\n1-0:56.7.0*255(000015.64*W)\r\n1-0:76.7.0*255(000037.98*W)\r\n"
    b"1-0:96.5.0*255(001C0104)\r\n0-0:96.8.0*255(02FAB8BF)\r\n!\r\n"
)
DIRECT = SerialSettings(9600, 7, "E", 1)


class Recorded:
    """Says what a meter has said: its identification, then its block; or by itself, what it pushed."""

    period = 2.0

    def __init__(self, identification: bytes, block: bytes) -> None:
        self.identification = identification
        self.block = block

    def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
        if data.startswith(b"/?"):
            return [Transmission(self.identification, 0.2)]
        agreed = SerialSettings(MODE_C_BAUDS[chr(self.identification[4])], 7, "E", 1)
        return [Transmission(self.block, 0.2, agreed)]


class Pushed(Recorded):
    def push(self, settings: SerialSettings) -> Transmission:
        return Transmission(self.block)


def read(identification: str, data: bytes, target: Target) -> list[Readout]:
    block = data if data.startswith(b"\x02") else encode_block(data, BlockCheck.XOR)
    return driver_of(Recorded(f"/{identification}\r\n".encode(), block)).read(target)


def test_a_block_of_lems_manual_holds() -> None:
    reader = TelegramReader()
    reader.add(LEM)
    assert reader.frame() is not None
    [readout] = read("EMH5\\@D4EM4TIIW001--", LEM, Target("", time_zone=BERLIN))
    assert readout.meter == "EMH-03878504"
    assert set(readout.values) == {"1-0:1.8.0", "1-0:2.8.0", "1-0:3.8.0", "1-0:4.8.0"}
    assert readout.clock == datetime(2012, 12, 21, 13, 2, 53, tzinfo=UTC)
    assert readout.raw.endswith(LEM)


def test_an_as1440_with_its_billing_periods() -> None:
    present, october, november = read("ABB5\\@V9.21", AS1440, Target("", "ABB-3224928", time_zone=BERLIN))
    assert present.meter == "ABB-3224928"
    assert present.values == {
        "1-0:1.8.1": Quantity(52_481_200_000, "kW.h"),
        "1-0:2.8.1": Quantity(33_594_700_000, "kW.h"),
        "1-0:32.7.0": Quantity(231_900_000, "V"),
    }
    assert present.clock == datetime(2021, 12, 22, 21, 10, 44, tzinfo=UTC)
    assert (october.at, november.at) == (
        datetime(2021, 10, 31, 23, tzinfo=UTC),
        datetime(2021, 11, 30, 23, tzinfo=UTC),
    )
    assert november.values == {
        "1-0:1.8.1": Quantity(51_967_900_000, "kW.h"),
        "1-0:2.8.1": Quantity(33_578_700_000, "kW.h"),
    }
    assert {october.status, november.status} == {Status.HISTORICAL}


@pytest.mark.parametrize("meter", ["LGZ-001LGZ0056859504", "LGZ-56859504", None])
def test_a_meter_of_landis_gyr_whose_first_period_is_its_only_one(meter: str | None) -> None:
    present, march = read("LGZ4\\2ZMD3104107.B32", LANDIS, Target("", meter, time_zone=BERLIN))
    assert present.meter == meter or meter is None
    assert present.values["1-1:1.8.0"] == Quantity(18_788_900_000, "kW.h")
    assert (march.at, march.values) == (
        datetime(2021, 3, 31, 22, tzinfo=UTC),
        {"1-1:1.8.0": Quantity(18_750_000_000, "kW.h")},
    )
    with pytest.raises(IdentityError):
        read("LGZ4\\2ZMD3104107.B32", LANDIS, Target("", "LGZ-56859505"))


def test_an_easymeter_that_writes_every_value_group() -> None:
    target = Target("", "ESY-27000455", "iec-push")
    [readout] = driver_of(Pushed(b"", Q3D), DIRECT).read(target)
    assert readout.values == {
        "1-0:1.8.0": Quantity(20_995_822_513, "kW.h"),
        "1-0:21.7.0": Quantity(2_590_000, "W"),
        "1-0:41.7.0": Quantity(94_400_000, "W"),
        "1-0:61.7.0": Quantity(97_820_000, "W"),
        "1-0:1.7.0": Quantity(194_810_000, "W"),
    }
    assert readout.raw == Q3D


def test_an_ebz_that_tells_finer_than_a_micro_unit() -> None:
    [readout] = driver_of(Pushed(b"", DD3), DIRECT).read(Target("", profile="iec-push"))
    assert readout.meter == "EBZ-1EBZ0102861889"
    assert readout.values["1-0:1.8.0"] == Quantity(2_714_128_302, "kW.h")
    assert readout.values["1-0:2.8.0"] == Quantity(1_206_000, "kW.h")
    assert len(readout.values) == 6
