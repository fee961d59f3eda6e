"""Load profiles: what real meters send, partial blocks, seasons, interruptions, and what is no profile."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.driver import Target
from drivers.errors import DecodeError, UnsupportedError
from drivers.line import SerialSettings, Transmission
from drivers.optical.codec.dataset import decode_sets
from drivers.optical.codec.loadprofile import LoadProfileRow, decode_load_profile
from drivers.optical.codec.telegram import ACK, NAK
from drivers.optical.virtual_programming import ProgrammingMode, VirtualLoadProfile
from telemetry.readout import Quantity
from telemetry.status import Status
from tests.drivers.optical.meters import BERLIN, EKT, Listening, answers, driver_of, programmable

# what a meter of EMH and one of Metcom sent (tests of a reader that is in use for them)
EMH_PROFILE = (
    b"P.01(1220823161500)(00000000)(15)(6)(1.5)(kW)(2.5)(kW)(5.5)(kvar)(6.5)(kvar)(7.5)(kvar)(8.5)(kvar)\r\n"
    b"(0.18374)(0.00078)(0.00000)(0.00006)(0.00087)(0.02431)\r\n(0.16832)(0.00000)(0.00000)(0.00000)(0.00000)(0.02686)"
)
METCOM_PROFILE = (
    b"P.01(1220823150000)(08)(15)(6)(1-0:1.5.0)(kW)(1-0:2.5.0)(kW)(1-0:5.5.0)(kvar)(1-0:6.5.0)(kvar)(1-0:7.5.0)(kvar)"
    b"(1-0:8.5.0)(kvar)\r\n(0.00000)(0.12683)(0.00000)(0.11411)(0.00000)(0.00000)\r\n"
)
EMH_COUNTERS = (
    b"P.01(1221005001500)(00000000)(15)(4)(1-1:1.29)(kWh)(1-1:2.29)(kWh)(1-2:1.29)(kWh)(1.8)(kWh)\r\n"
    b"(0.00000)(0.04088)(0.00358)(17.5)\r\n"
)


def decode(data: bytes) -> list[LoadProfileRow]:
    return decode_load_profile(decode_sets(data), BERLIN)


def test_the_profile_of_a_real_emh_meter() -> None:
    first, second = decode(EMH_PROFILE)
    assert first.at == datetime(2022, 8, 23, 14, 15, tzinfo=UTC)
    assert first.values == {
        "1-0:1.5.0": Quantity(183_740, "kW"),
        "1-0:2.5.0": Quantity(780, "kW"),
        "1-0:5.5.0": Quantity(0, "kvar"),
        "1-0:6.5.0": Quantity(60, "kvar"),
        "1-0:7.5.0": Quantity(870, "kvar"),
        "1-0:8.5.0": Quantity(24_310, "kvar"),
    }
    assert (second.at - first.at, second.status) == (timedelta(minutes=15), Status(0))
    assert decode(second.text.encode()) != []  # a row's text is a profile of its own


def test_the_profile_of_a_real_metcom_meter() -> None:
    [row] = decode(METCOM_PROFILE)
    assert row.at == datetime(2022, 8, 23, 13, 0, tzinfo=UTC)
    assert row.values["1-0:2.5.0"] == Quantity(126_830, "kW")
    assert row.status == Status(0)  # 08: the season changed


def test_energy_of_a_period_and_counters_are_registers_of_their_channel() -> None:
    [row] = decode(EMH_COUNTERS)
    assert row.values == {
        "1-1:1.29.0": Quantity(0, "kW.h"),
        "1-1:2.29.0": Quantity(40_880, "kW.h"),
        "1-2:1.29.0": Quantity(3_580, "kW.h"),
        "1-0:1.8.0": Quantity(17_500_000, "kW.h"),
    }


def profile(stamp: str, *lines: str, status: str = "00") -> bytes:
    header = f"P.01({stamp})({status})(15)(2)(1.8.0)(kWh)(1.5.0)(kW)"
    return "\r\n".join([header, *lines, ""]).encode()


def test_rows_go_on_in_real_time_over_the_end_of_summer_time() -> None:
    rows = decode(profile("1261025023000", *["(1)(2)"] * 5))
    assert [row.at for row in rows] == [
        datetime(2026, 10, 25, 0, 30, tzinfo=UTC) + n * timedelta(minutes=15) for n in range(5)
    ]
    assert decode(profile("0261025023000", "(1)(2)"))[0].at == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


def test_a_stamp_within_a_period_belongs_to_its_end() -> None:
    [row] = decode(profile("0261101101734", "(1)(2)"))
    assert row.at == datetime(2026, 11, 1, 9, 30, tzinfo=UTC)


def test_a_new_header_goes_on_with_its_own_instant_and_status() -> None:
    one, other = decode(profile("0261101100000", "(1)(2)", status="04") + profile("0261101120000", "(3)(4)"))
    assert (one.at.hour, one.status) == (9, Status.TEMPORARY_ERROR)
    assert (other.at.hour, other.status) == (11, Status(0))
    assert decode(profile("0261101100000", "(1)(2)", status="81"))[0].status == Status.PERMANENT_ERROR
    assert decode(profile("0261101100000", "(1)(2)", status="xx"))[0].status == Status(0)


def test_of_a_period_that_was_interrupted_only_the_later_counters_are_taken() -> None:
    [row] = decode(profile("0261101100100", "(1.5)(2)", status="80") + profile("0261101100900", "(1.7)(9)"))
    assert row.at == datetime(2026, 11, 1, 9, 15, tzinfo=UTC)
    assert row.values == {"1-0:1.8.0": Quantity(1_700_000, "kW.h")}


def test_values_that_are_none_are_left_out() -> None:
    [row] = decode(profile("0261101100000", "(----)(2)"))
    assert row.values == {"1-0:1.5.0": Quantity(2_000_000, "kW")}
    assert decode(profile("0261101100000", "()(ERR05)"))[0].values == {}


@pytest.mark.parametrize("data", [b"", b"P.01(ERROR)\r\n", b"P.01()"])
def test_a_time_without_values_has_no_rows(data: bytes) -> None:
    assert decode(data) == []


@pytest.mark.parametrize(
    "data",
    [
        b"(1)(2)",
        profile("0261101100000", "(1)"),
        profile("0261101100000", "(1)(2)(3)") + profile("0261101110000", "(1)(2)"),
        profile("0269901100000", "(1)(2)"),
        b"P.01(0261101100000)(00)(15)",
        b"P.01(0261101100000)(00)(15)(2)(1.8.0)(kWh)",
        b"P.01(0261101100000)(00)(0)(1)(1.8.0)(kWh)(1)",
        b"P.01(0261101100000)(00)(15)(0)",
        b"P.01(0261101100000)(00)(xx)(1)(1.8.0)(kWh)(1)",
    ],
)
def test_what_is_no_load_profile_is_a_decode_error(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode(data)


@given(
    st.lists(st.tuples(st.integers(0, 999_999), st.integers(0, 99)), min_size=1, max_size=40),
    st.integers(1, 80),
)
def test_a_profile_survives_being_split_anywhere(values: list[tuple[int, int]], size: int) -> None:
    data = profile("0261101000000", *(f"({total}.5)({power})" for total, power in values))
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    rows = decode(b"".join(pieces))
    assert [row.values["1-0:1.8.0"].micro for row in rows] == [total * 10**6 + 500_000 for total, _ in values]
    assert [decode(row.text.encode())[0].values for row in rows] == [row.values for row in rows]


@given(st.text(st.sampled_from("P.01()(2611011000)8kWh\r\n56"), max_size=120))
def test_nearly_right_profiles_raise_nothing_but_decode_error(text: str) -> None:
    try:
        decode(text.encode())
    except DecodeError:
        return


SINCE = datetime(2026, 11, 20, 23, 15, tzinfo=UTC)  # 00:15 in Berlin
DAY = VirtualLoadProfile(
    [("1.8.0", "kWh"), ("1.5.0", "kW")],
    [(SINCE + n * timedelta(minutes=15), (f"{1000 + n}.25", "0.40")) for n in range(-8, 104)],
    BERLIN,
)
MODE = {"registers": answers("C.1.0(03878504)")}
TARGET = Target("", profile="iec-blocks", time_zone=BERLIN)


def test_a_day_is_read_in_partial_blocks() -> None:
    listening = Listening(programmable(ProgrammingMode(**MODE, load_profile=DAY)))
    readouts = driver_of(listening).load_profile(TARGET, SINCE, SINCE + timedelta(days=1, minutes=-15))
    assert [one.at for one in readouts] == [SINCE + n * timedelta(minutes=15) for n in range(96)]
    assert [one.values["1-0:1.8.0"].micro for one in readouts] == [
        1_000_250_000 + n * 1_000_000 for n in range(96)
    ]
    assert {one.status for one in readouts} == {Status.HISTORICAL}
    assert {one.meter for one in readouts} == {"EMH-03878504"}
    assert readouts[1].raw == b"P.01(0261121001500)(00)(15)(2)(1.8.0)(kWh)(1.5.0)(kW)\r\n(1001.25)(0.40)\r\n"
    assert listening.heard.count(ACK) == 12  # 97 lines, 8 a block, the last is confirmed by nobody
    assert any(b"\x01R6\x02P.01(02611210015;02611220000)\x03" in data for data in listening.heard)


def test_without_partial_blocks_a_day_comes_at_once() -> None:
    listening = Listening(programmable(ProgrammingMode(**MODE, load_profile=DAY)))
    readouts = driver_of(listening).load_profile(
        Target("", time_zone=BERLIN), SINCE, SINCE + timedelta(days=1)
    )
    assert len(readouts) == 97
    assert ACK not in listening.heard


def test_a_damaged_partial_block_is_repeated_alone() -> None:
    class Damaging(Listening):
        def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
            said = super().hear(data, settings)
            if data == ACK and self.heard.count(ACK) == 3 and NAK not in self.heard:
                return [Transmission(said[0].data[:-2] + b"\x04\x7f", said[0].delay, said[0].settings)]
            return said

    damaging = Damaging(programmable(ProgrammingMode(**MODE, load_profile=DAY)))
    assert len(driver_of(damaging).load_profile(TARGET, SINCE, SINCE + timedelta(hours=12))) == 49
    assert damaging.heard.count(NAK) == 1
    assert damaging.heard.count(b"/?!\r\n") == 1


def test_a_lost_answer_costs_a_day_and_no_more() -> None:
    class Losing(Listening):
        def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
            said = super().hear(data, settings)
            asked = [data for data in self.heard if b"P.01(" in data]
            return [] if b"P.01(" in data and len(asked) == 3 else said

    end = SINCE + timedelta(days=4)
    rows = [(SINCE + n * timedelta(minutes=15), (f"{n}",)) for n in range(4 * 96 + 1)]
    mode = ProgrammingMode(**MODE, load_profile=VirtualLoadProfile([("1.8.0", "kWh")], rows, BERLIN))
    losing = Losing(programmable(mode))
    readouts = driver_of(losing).load_profile(TARGET, SINCE, end)
    assert [one.at for one in readouts] == [at for at, _ in rows]
    assert len([data for data in losing.heard if b"P.01(" in data]) == 5
    assert losing.heard.count(b"/?!\r\n") == 1


def test_a_span_without_values_is_empty() -> None:
    driver = driver_of(programmable(ProgrammingMode(**MODE, load_profile=DAY)))
    assert driver.load_profile(TARGET, SINCE - timedelta(days=9), SINCE - timedelta(days=8)) == []


def test_a_meter_without_a_load_profile_is_unsupported() -> None:
    with pytest.raises(UnsupportedError, match="knows no load profile"):
        driver_of(programmable(ProgrammingMode({}), EKT)).load_profile(
            Target("", profile="energomera"), SINCE, SINCE
        )


def test_a_broken_profile_names_the_line() -> None:
    mode = ProgrammingMode(answers("C.1.0(1)") | {"P.01": "P.01(x)(00)(15)(1)(1.8.0)(kWh)"})
    with pytest.raises(DecodeError, match="simulated"):
        driver_of(programmable(mode)).load_profile(TARGET, SINCE, SINCE)
