"""Several meters on a wire, planning, searching, optical heads, and real lines."""

from dataclasses import replace
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.bus import VirtualBus
from drivers.catalogue import open_driver, open_line
from drivers.dlms.codec.acse import AssociationRequest, Initiate
from drivers.dlms.codec.apdu import (
    Attribute,
    ExceptionResponse,
    GetRequest,
    GetResult,
    RangeSelection,
    decode_apdu,
    encode_apdu,
)
from drivers.dlms.codec.clock import encode_date_time
from drivers.dlms.codec.data import (
    NULL,
    Data,
    DataTag,
    array,
    long_unsigned,
    octet_string,
    structure,
    unsigned,
)
from drivers.dlms.codec.hdlc import Frame, HdlcAddress, HdlcControl
from drivers.dlms.codec.objects import CLOCK, LOAD_PROFILE, OBJECT_LIST
from drivers.dlms.opening import HEAD
from drivers.dlms.virtual import DIRECT
from drivers.driver import Found, SearchProgress, SearchScope, Suspicion, Target
from drivers.errors import (
    DriverError,
    GarbledAnswerError,
    NoAnswerError,
    UnsupportedError,
)
from drivers.host import PtyMeterHost, TcpMeterHost, Wiring
from drivers.line import SerialSettings, Transmission
from drivers.optical.codec.telegram import Identification
from drivers.protocol import protocol_named
from telemetry.readout import Quantity
from tests.drivers.dlms import virtual_objects as made
from tests.drivers.dlms.head import VirtualHead
from tests.drivers.dlms.household import (
    CLOSED,
    HIGH,
    LOAD_BEGINS,
    METER,
    NOW,
    OPEN,
    PRESENT,
    PUBLIC,
    Answering,
    Saying,
    driver_of,
    household,
    meter_of,
)


def test_meters_on_one_wire_answer_to_their_physical_addresses() -> None:
    meters = [
        meter_of(
            dict(made.identity("HSP", str(lower)))
            | made.register("1-0:1.8.0", Data(DataTag.UNSIGNED, lower), 3, 30),
            address=HdlcAddress(1, lower),
        )
        for lower in (17, 18)
    ]
    driver = driver_of(VirtualBus(meters))
    for address, lower in (("16/1/18", 18), ("16/1/17", 17), ("16/1/18:4", 18)):
        [readout] = driver.read(Target(address))
        assert readout.meter == f"HSP-{lower}"
        assert readout.values == {"1-0:1.8.0": Quantity(lower * 1_000_000, "kW.h")}
    with pytest.raises(NoAnswerError):
        driver.read(Target("16/1/19", retries=0))


def test_a_readout_takes_the_time_of_its_bytes_and_reactions() -> None:
    meter = meter_of(reaction=0.1)

    class Counting:
        seconds = 0.0

        def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
            said = meter.hear(data, settings)
            self.seconds += len(data) * settings.character_time
            self.seconds += sum(one.delay + len(one.data) * settings.character_time for one in said)
            return said

    counting = Counting()
    driver = driver_of(counting)
    driver.read(PUBLIC)
    assert driver.line.now() == pytest.approx(counting.seconds, abs=1e-6)


def test_a_planned_readout_takes_about_as_long_as_a_real_one() -> None:
    driver = driver_of(meter_of(reaction=0.1))
    unknown = driver.readout_time(PUBLIC)
    driver.read(PUBLIC)
    begun = driver.line.now()
    driver.read(PUBLIC)
    assert driver.readout_time(PUBLIC) == pytest.approx(driver.line.now() - begun, rel=0.15)
    assert driver.readout_time(PUBLIC) < unknown < driver_of(meter_of(), settings=HEAD).readout_time(PUBLIC)
    with pytest.raises(DriverError, match="no DLMS address"):
        driver.readout_time(Target("x"))


def test_a_search_names_a_lone_meter_once_and_leaves_the_line_as_it_was() -> None:
    driver = driver_of(meter_of())
    driver.line.configure(SerialSettings(2400))
    events = list(driver.search(SearchScope(settings=[SerialSettings(2400), DIRECT])))
    assert [one for one in events if isinstance(one, Found)] == [
        Found("16/1", DIRECT, METER, description="DLMS")
    ]
    assert [one for one in events if isinstance(one, SearchProgress)][-1].done == 10
    assert driver.line.settings == DIRECT
    assert driver.read(PUBLIC)[0].values == PRESENT


def test_a_lone_meter_that_does_not_say_who_it_is_is_one_meter_all_the_same() -> None:
    events = list(driver_of(meter_of(household(serial=""), CLOSED)).search(SearchScope()))
    [found] = [one for one in events if isinstance(one, Found)]
    assert (found.address, found.meter) == ("16/1", None)
    assert "does not say who it is" in found.description


def test_a_search_tells_meters_that_want_a_password_and_noise() -> None:
    scope = SearchScope(addresses=["16/1"])
    events = list(driver_of(meter_of(access=replace(CLOSED, public=False))).search(scope))
    assert events[1] == Found("16/1", DIRECT, description="DLMS; asks for a password or key")
    events = list(driver_of(Saying(b"\x7e\xa0 noise")).search(scope))
    assert [type(one) for one in events] == [SearchProgress, Suspicion, SearchProgress]
    events = list(driver_of(Answering(bytes.fromhex("c401c1"))).search(scope))
    assert isinstance(events[1], Found)
    assert events[1].meter is None


def range_of(column: Attribute) -> RangeSelection:
    instant = octet_string(encode_date_time(LOAD_BEGINS, UTC))
    restricting = structure(
        long_unsigned(column.class_id), octet_string(column.name), unsigned(column.number), long_unsigned(0)
    )
    return RangeSelection(1, structure(restricting, instant, instant, array()))


IDENTIFICATION = Identification("LGz", "5", "\\2ZMD310")


@pytest.mark.parametrize("confirms", [True, False])
@pytest.mark.parametrize("manufacturer", ["LGz", "LGZ"])
def test_an_optical_head_is_opened_by_mode_e(manufacturer: str, confirms: bool) -> None:
    head = VirtualHead(meter_of(), replace(IDENTIFICATION, manufacturer=manufacturer), confirms=confirms)
    driver = driver_of(head, settings=HEAD)
    for _ in range(2):
        assert driver.read(PUBLIC)[0].values == PRESENT
        assert driver.line.settings == HEAD


def test_a_head_without_mode_e_is_told() -> None:
    for identification in (replace(IDENTIFICATION, type="ZMD310"), replace(IDENTIFICATION, baud="X")):
        with pytest.raises(UnsupportedError, match="mode E"):
            driver_of(VirtualHead(meter_of(), identification), settings=HEAD).read(PUBLIC)
    with pytest.raises(NoAnswerError, match="sign-on"):
        driver_of(Saying(b""), settings=HEAD).read(PUBLIC)
    for noise in (b"\xff/LG", bytes(4096)):
        with pytest.raises(GarbledAnswerError, match="no identification"):
            driver_of(Saying(noise), settings=HEAD).read(PUBLIC)


def test_a_head_behind_a_serial_server_is_not_possible() -> None:
    line = open_line("tcp://127.0.0.1:1", HEAD)
    with pytest.raises(UnsupportedError, match="cannot change its speed"):
        open_driver("dlms", line, lambda: NOW).read(PUBLIC)


@given(st.lists(st.binary(max_size=40), max_size=6), st.booleans())
def test_a_virtual_meter_bears_any_apdus_and_bytes(heard: list[bytes], log_in: bool) -> None:
    meter = meter_of(access=CLOSED if log_in else OPEN)
    for data in heard:
        meter.hear(data, DIRECT)
        meter.hear(
            Frame(HdlcAddress(1), HdlcAddress(16), HdlcControl.SET_NORMAL_RESPONSE_MODE, data).encode(),
            DIRECT,
        )
        meter.hear(
            Frame(HdlcAddress(1), HdlcAddress(16), HdlcControl.INFORMATION, b"\xe6\xe6\0" + data).encode(),
            DIRECT,
        )
        meter.server.handle(data)
        meter.server.handle(encode_apdu(GetRequest(OBJECT_LIST)) + data)
    assert meter.hear(b"", SerialSettings(2400)) == []


@pytest.mark.parametrize(
    "selection",
    [
        RangeSelection(2, structure()),
        RangeSelection(1, structure()),
        RangeSelection(1, structure(*[NULL] * 4)),
        RangeSelection(1, NULL),
        RangeSelection(1, range_of(Attribute(8, bytes(6), 2)).parameters),
    ],
)
def test_a_virtual_meter_refuses_selections_that_are_no_ranges(selection: RangeSelection) -> None:
    server = meter_of().server
    server.handle(AssociationRequest(Initiate().encode(response=False)).encode())
    buffer = Attribute(7, LOAD_PROFILE, 2)
    answer = decode_apdu(server.handle(encode_apdu(GetRequest(buffer, range_of(CLOCK)))))
    assert isinstance(answer, GetResult)
    refused = decode_apdu(server.handle(encode_apdu(GetRequest(buffer, selection))))
    assert isinstance(refused, ExceptionResponse)


@pytest.mark.parametrize(
    "wiring",
    [
        Wiring(time_scale=0),
        Wiring(time_scale=0, echo=True),
        Wiring(piece=7, piece_gap=0.001),
        Wiring(stray=b"\x7e\x00"),
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", [PtyMeterHost, TcpMeterHost])
def test_meters_are_read_over_real_lines(kind: type[PtyMeterHost], wiring: Wiring) -> None:
    fast = replace(protocol_named("dlms").settings, baud=115200)
    meter = meter_of(access=CLOSED, settings=fast, reaction=0.0)
    with kind(meter, fast, wiring) as host:
        line = open_line(host.spec, fast)
        assert open_driver("dlms", line, lambda: NOW).read(HIGH)[0].values == PRESENT
        line.close()
