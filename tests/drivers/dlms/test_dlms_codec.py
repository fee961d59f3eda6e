"""Frames, data, APDUs, log-in and ciphering: published examples, and properties of the codec.

Examples marked "trace" are of real meters, published by others; the green book is DLMS UA 1000-2.
"""

import struct
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from dlms_cosem.protocol.acse import ApplicationAssociationRequest, ApplicationAssociationResponse
from dlms_cosem.utils import parse_as_dlms_data
from hypothesis import given
from hypothesis import strategies as st

from drivers.dlms import apdu, security
from drivers.dlms.acse import AssociationRequest, AssociationResponse, Initiate, Mechanism
from drivers.dlms.address import parse_address
from drivers.dlms.apdu import Attribute, Ciphered, Selection, decode_apdu, decode_ciphered, encode_apdu
from drivers.dlms.clock import ClockStatus, DateTime, decode_date_time, encode_date_time
from drivers.dlms.data import Data, Tag, decode_data, encode_data, take_length
from drivers.dlms.hdlc import Address, Frame, FrameReader, Kind, Parameters, decode_frame
from drivers.dlms.objects import Column, Scaling, decode_object_list, logical_name
from drivers.dlms.security import Keys
from drivers.errors import DecodeError, DriverError

BERLIN = ZoneInfo("Europe/Berlin")
CLIENT, SERVER = Address(16), Address(1)

# trace: log of a Landis+Gyr meter in Lauszus/smallz4 test data; the answer to DISC carries parameters, too
SNRM = "7ea0200361931b9f8180140502008006020080070400000001080400000001ce6a7e"
UA = "7ea01e210373c37a818012050180060180070400000001080400000001533b7e"
GET = "7ea0190321326fd8e6e600c00181000100002b0103ff0200b5677e"
GOT = "7ea0152103525d8ae6e700c401810006003ce488cf7a7e"
DISC = "7ea00703215303c77e"
AARE = (
    "7ea077610330ad6ce6e7006169a109060760857405080103a203020100a305a10302010ea40a04084c4e543031313830"
    "88020780890760857405080202aa1280106162636465666768696a6b6c6d6e6f70be230421281f30000094338ee4f259"
    "04c8f470d8f333b73efc7a0dda3417d0712a7c8ccfc7cdbb7e"
)
# trace: a MEM600 with a four-byte address, u9n/dlms-cosem issue 95
UA_WIDE = "7ea0230300022c29732813818014050200f2060200f20704000000010804000000010cf77e"
# trace: an Iskra AM550 pushes one APDU in three frames, arendst/Tasmota issue 8790 (the last of them)
LAST_OF_THREE = (
    "7EA02DCF022313717C0801FF060000000002020F00161E020309060101020802FF0600000BDE02020F00161EE3F67E"
)


def frame_of(text: str) -> Frame:
    frame = decode_frame(bytes.fromhex(text))
    assert frame.encode().hex() == text.lower()
    return frame


def test_frames_of_real_meters_are_read_and_written_to_the_byte() -> None:
    assert frame_of(DISC) == Frame(SERVER, CLIENT, Kind.DISCONNECT)
    assert frame_of(SNRM).kind is Kind.SET_NORMAL_RESPONSE_MODE
    assert frame_of(GET).send == 1
    got = frame_of(GOT)
    assert (got.destination, got.source, got.send, got.receive, got.final) == (CLIENT, SERVER, 1, 2, True)
    assert decode_apdu(got.information[3:]) == apdu.GetResult(Data(Tag.DOUBLE_LONG_UNSIGNED, 0x3CE488))
    pushed = frame_of(LAST_OF_THREE)
    assert (pushed.kind, pushed.source) == (Kind.UNNUMBERED_INFORMATION, Address(1, 17))


def test_the_parameters_of_a_link_come_in_one_byte_or_two() -> None:
    assert Parameters.decode(frame_of(UA).information) == Parameters(128, 128)
    wide = frame_of(UA_WIDE)
    assert wide.source == Address(1, 2836, wide=True)
    assert Parameters.decode(wide.information) == Parameters(242, 242)
    assert Parameters.decode(b"") == Parameters(128, 128)
    for wrong in ("8180", "81800105", "8180020502", "818003050200", "00", "81800405020000"):
        with pytest.raises(DecodeError):
            Parameters.decode(bytes.fromhex(wrong))


addresses = (
    st.builds(Address, st.integers(0, 127))
    | st.builds(Address, st.integers(0, 127), st.integers(0, 127))
    | st.builds(Address, st.integers(0, 16383), st.integers(0, 16383), st.just(True))
)
numbers = st.integers(0, 7)
frames = st.builds(
    Frame, addresses, addresses, st.just(Kind.INFORMATION), st.binary(max_size=200), numbers, numbers
) | st.builds(Frame, addresses, addresses, st.sampled_from([k for k in Kind if k is not Kind.INFORMATION]))


@given(frames, st.booleans(), st.binary(max_size=9))
def test_every_frame_survives_a_round_trip_between_noise(
    frame: Frame, shared_flag: bool, noise: bytes
) -> None:
    reader = FrameReader()
    encoded = frame.encode()
    reader.add(encoded + (encoded[1:] if shared_flag else noise))
    assert reader.next() == frame
    if shared_flag:
        assert reader.next() == frame


@given(
    st.lists(st.binary(max_size=20) | st.sampled_from([bytes.fromhex(GOT), b"\x7e", b"\x7e\xa0"]), max_size=8)
)
def test_the_reader_bears_any_bytes_and_loses_no_frame_to_silence(pieces: list[bytes]) -> None:
    reader = FrameReader()
    for piece in pieces:
        reader.add(piece)
        while reader.next():
            pass
    while reader.pending:
        reader.resync()
    reader.add(bytes.fromhex(GOT))
    assert reader.next() is not None


@given(st.binary(max_size=30))
def test_arbitrary_bytes_are_a_frame_or_a_decode_error(data: bytes) -> None:
    for one in (data, b"\x7e" + data + b"\x7e", b"\x7e\xa0" + bytes((len(data) + 2,)) + data + b"\x7e"):
        try:
            decode_frame(one)
        except DecodeError:
            continue


@pytest.mark.parametrize("position", range(1, 22))
def test_a_damaged_frame_is_passed_over(position: int) -> None:
    damaged = bytearray.fromhex(GOT)
    damaged[position] ^= 1
    reader = FrameReader()
    reader.add(bytes(damaged) + bytes.fromhex(UA))
    while (frame := reader.next()) is None:
        reader.resync()
    assert frame.kind is Kind.UNNUMBERED_ACKNOWLEDGE
    assert reader.damaged


data = st.recursive(
    st.just(Data(Tag.NULL))
    | st.builds(Data, st.just(Tag.BOOLEAN), st.booleans())
    | st.builds(Data, st.sampled_from([Tag.OCTET_STRING, Tag.VISIBLE_STRING, Tag.UTF8_STRING]), st.binary())
    | st.builds(Data, st.just(Tag.DATE_TIME), st.binary(min_size=12, max_size=12))
    | st.builds(Data, st.just(Tag.DATE), st.binary(min_size=5, max_size=5))
    | st.builds(Data, st.just(Tag.TIME), st.binary(min_size=4, max_size=4))
    | st.builds(Data, st.just(Tag.BIT_STRING), st.text("01", max_size=40))
    | st.builds(Data, st.sampled_from([Tag.UNSIGNED, Tag.ENUM]), st.integers(0, 255))
    | st.builds(Data, st.sampled_from([Tag.INTEGER, Tag.BCD]), st.integers(-128, 127))
    | st.builds(Data, st.just(Tag.LONG), st.integers(-(2**15), 2**15 - 1))
    | st.builds(Data, st.just(Tag.LONG_UNSIGNED), st.integers(0, 2**16 - 1))
    | st.builds(Data, st.just(Tag.DOUBLE_LONG), st.integers(-(2**31), 2**31 - 1))
    | st.builds(Data, st.just(Tag.DOUBLE_LONG_UNSIGNED), st.integers(0, 2**32 - 1))
    | st.builds(Data, st.just(Tag.LONG64), st.integers(-(2**63), 2**63 - 1))
    | st.builds(Data, st.just(Tag.LONG64_UNSIGNED), st.integers(0, 2**64 - 1)),
    lambda inner: st.builds(
        Data, st.sampled_from([Tag.ARRAY, Tag.STRUCTURE]), st.lists(inner, max_size=5).map(tuple)
    ),
    max_leaves=20,
)


@given(data)
def test_every_value_survives_a_round_trip(value: Data) -> None:
    assert decode_data(encode_data(value)) == value


@given(st.floats(width=32))
def test_a_float_is_the_shortest_decimal_that_it_is(number: float) -> None:
    encoded = bytes((Tag.FLOAT32,)) + struct.pack(">f", number)
    value = decode_data(encoded)
    if value.number is not None:
        assert np.float32(str(value.number)) == np.float32(number)
        assert decode_data(encode_data(value)) == value
    assert (value.number is None) == (not np.isfinite(number))


def test_a_float_shows_what_the_meter_shows() -> None:
    assert decode_data(bytes.fromhex("174366199a")).number == Decimal("230.1")
    assert decode_data(bytes.fromhex("18406cc33333333333")).number == Decimal("230.1")
    assert decode_data(bytes.fromhex("177fc00000")).number is None
    assert encode_data(Data(Tag.FLOAT32, None))[0] == Tag.FLOAT32


@given(st.binary(max_size=60) | st.lists(st.sampled_from(b"\x01\x02\x05\x82\x09\x00")).map(bytes))
def test_arbitrary_bytes_are_a_value_or_a_decode_error(raw: bytes) -> None:
    try:
        decode_data(raw)
    except DecodeError:
        return


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("0101" * 40 + "00", "too deep"),
        ("0184ffffffff", "end too early"),
        ("0985ffffffffff", "length of 5 bytes"),
        ("0980", "length of 0 bytes"),
        ("13", "no type"),
        ("", "no type"),
        ("0000", "1 bytes after"),
        ("0600", "end too early"),
    ],
)
def test_what_breaks_the_encoding_is_said(raw: str, text: str) -> None:
    with pytest.raises(DecodeError, match=text):
        decode_data(bytes.fromhex(raw))


@pytest.mark.parametrize(
    ("take", "wrong"),
    [
        (lambda d: d.items, Data(Tag.UNSIGNED, 1)),
        (lambda d: d.octets, Data(Tag.UNSIGNED, 1)),
        (lambda d: d.integer, Data(Tag.BOOLEAN, value=True)),
        (Scaling.decode, decode_data(bytes.fromhex("02020f7f161e"))),
        (Column.decode, decode_data(bytes.fromhex("0201090100"))),
        (decode_object_list, decode_data(bytes.fromhex("01010201120001"))),
    ],
)
def test_a_value_of_another_type_is_a_decode_error(take: object, wrong: Data) -> None:
    assert callable(take)
    with pytest.raises(DecodeError):
        take(wrong)


names = st.binary(min_size=6, max_size=6)
attributes = st.builds(Attribute, st.integers(0, 65535), names, st.integers(0, 255))
bytes_of_one = st.integers(0, 255)
numbers4 = st.integers(0, 2**32 - 1)
apdus = (
    st.builds(apdu.GetRequest, attributes, st.none() | st.builds(Selection, bytes_of_one, data))
    | st.builds(apdu.GetNext, numbers4)
    | st.builds(apdu.GetResult, data)
    | st.builds(apdu.GetResult, st.none(), bytes_of_one)
    | st.builds(apdu.GetBlock, st.booleans(), numbers4, st.binary(max_size=300))
    | st.builds(apdu.GetBlock, st.booleans(), numbers4, st.just(b""), st.integers(1, 255))
    | st.builds(apdu.SetRequest, attributes, data)
    | st.builds(apdu.SetResult, bytes_of_one)
    | st.builds(apdu.ActionRequest, attributes, st.none() | data)
    | st.builds(apdu.ActionResult, bytes_of_one, st.none() | data)
    | st.builds(apdu.ExceptionResponse, bytes_of_one, bytes_of_one.filter(lambda service: service != 6))
    | st.builds(apdu.ExceptionResponse, bytes_of_one, st.just(6), numbers4)
    | st.builds(apdu.ServiceError, bytes_of_one, bytes_of_one, bytes_of_one)
)


@given(apdus)
def test_every_apdu_survives_a_round_trip(one: apdu.Apdu) -> None:
    assert decode_apdu(encode_apdu(one)) == one


@given(
    st.binary(max_size=40),
    st.sampled_from([0xC0, 0xC1, 0xC3, 0xC4, 0xC5, 0xC7, 0xD8, 0x0E]),
    st.integers(1, 3),
)
def test_arbitrary_bytes_are_an_apdu_or_a_decode_error(raw: bytes, tag: int, form: int) -> None:
    for one in (raw, bytes((tag, form, 0xC1)) + raw, bytes((tag,)) + raw):
        for decode in (decode_apdu, decode_ciphered):
            try:
                decode(one)
            except DecodeError:
                continue


@given(st.binary(max_size=60), st.sampled_from([0x60, 0x61]))
def test_arbitrary_bytes_are_a_log_in_or_a_decode_error(raw: bytes, tag: int) -> None:
    for one in (raw, bytes((tag, len(raw))) + raw):
        for decode in (AssociationRequest.decode, AssociationResponse.decode, Initiate.decode):
            try:
                decode(one)
            except DecodeError:
                continue


PLAIN_AARQ = "601DA109060760857405080101BE10040E01000000065F1F0400007E1F04B0"
LOW_AARQ = (
    "6036A1090607608574050801018A0207808B0760857405080201AC0A80083132333435363738"
    "BE10040E01000000065F1F0400007E1F04B0"
)
PLAIN_AARE = "6129A109060760857405080101A203020100A305A103020100BE10040E0800065F1F0400007C1F04000007"


def test_log_ins_of_the_green_book_are_read_and_written_to_the_byte() -> None:
    initiate = Initiate(0x7E1F, 1200).encode(response=False)
    for text, request in (
        (PLAIN_AARQ, AssociationRequest(initiate)),
        (LOW_AARQ, AssociationRequest(initiate, Mechanism.LOW, authentication=b"12345678")),
    ):
        assert AssociationRequest.decode(bytes.fromhex(text)) == request
        assert request.encode().hex().upper() == text
    response = AssociationResponse(0, 0, Initiate(0x7C1F, 1024).encode(response=True))
    assert AssociationResponse.decode(bytes.fromhex(PLAIN_AARE)) == response
    assert response.encode().hex().upper() == PLAIN_AARE


def test_a_real_meters_answer_to_a_high_level_log_in_is_read() -> None:
    response = AssociationResponse.decode(frame_of(AARE).information[3:])
    assert (response.result, response.diagnostic, response.mechanism) == (0, 14, 2)
    assert (response.title, response.authentication) == (b"LNT01180", b"abcdefghijklmnop")
    assert response.ciphered
    assert response.encode() == frame_of(AARE).information[3:]


titles = st.binary(min_size=8, max_size=8)
initiates = st.binary(min_size=1, max_size=40)


@given(initiates, titles, st.binary(min_size=1, max_size=64))
def test_log_ins_with_keys_survive_a_round_trip_and_the_peers_codec(
    initiate: bytes, title: bytes, challenge: bytes
) -> None:
    request = AssociationRequest(initiate, Mechanism.HIGH_GMAC, True, title, challenge)
    response = AssociationResponse(0, 14, initiate, Mechanism.HIGH_GMAC, True, title, challenge)
    assert AssociationRequest.decode(request.encode()) == request
    assert AssociationResponse.decode(response.encode()) == response


def test_the_peers_codec_reads_our_log_ins() -> None:
    plain = Initiate().encode(response=False)
    low = AssociationRequest(plain, Mechanism.LOW, authentication=b"secret")
    theirs = ApplicationAssociationRequest.from_bytes(low.encode())
    assert bytes(theirs.authentication_value) == b"secret"
    conformance = theirs.user_information.content.proposed_conformance
    assert conformance.get
    assert conformance.block_transfer_with_get_or_read
    assert conformance.selective_access
    answer = AssociationResponse(0, 0, Initiate(0x7C1F, 1024).encode(response=True))
    answered = ApplicationAssociationResponse.from_bytes(answer.encode())
    assert answered.user_information.content.server_max_receive_pdu_size == 1024


integers = st.builds(Data, st.just(Tag.LONG), st.integers(-(2**15), 2**15 - 1)) | st.builds(
    Data, st.sampled_from([Tag.DOUBLE_LONG_UNSIGNED, Tag.LONG64_UNSIGNED]), st.integers(0, 2**32 - 1)
)


@given(st.lists(st.lists(integers, min_size=1, max_size=4), min_size=1, max_size=4))
def test_the_peers_codec_reads_our_data(rows: list[list[Data]]) -> None:
    value = Data(Tag.ARRAY, tuple(Data(Tag.STRUCTURE, tuple(row)) for row in rows))
    assert parse_as_dlms_data(encode_data(value)) == [[cell.value for cell in row] for row in rows]


KEYS = Keys(bytes(range(16)), bytes(range(0xD0, 0xE0)))
CLIENT_TITLE, SERVER_TITLE = bytes.fromhex("4D4D4D0000000001"), bytes.fromhex("4D4D4D0000BC614E")


def test_ciphering_is_that_of_the_green_book() -> None:
    text = bytes.fromhex("C0010000080000010000FF0200")
    content = security.protect(KEYS, SERVER_TITLE, 0x01234567, text)
    assert content.hex().upper() == "3001234567411312FF935A47566827C467BC7D825C3BE4A77C3FCC056B6B"
    assert security.unprotect(KEYS, SERVER_TITLE, content) == (0x01234567, text)
    ours = security.gmac(KEYS, CLIENT_TITLE, 1, b"P6wRJ21F")
    theirs = security.gmac(KEYS, SERVER_TITLE, 0x01234567, b"K56iVagY")
    assert ours.hex().upper() == "10000000011A52FE7DD3E72748973C1E28"
    assert theirs.hex().upper() == "1001234567FE1466AFB3DBCD4F9389E2B7"


@given(st.binary(max_size=100), numbers4, st.sampled_from([security.BOTH, security.Control.AUTHENTICATED]))
def test_what_is_protected_is_opened_again_by_the_same_keys_only(
    text: bytes, counter: int, control: security.Control
) -> None:
    content = security.protect(KEYS, CLIENT_TITLE, counter, text, control)
    assert security.unprotect(KEYS, CLIENT_TITLE, content) == (counter, text)
    for keys, title in ((Keys(KEYS.authentication, KEYS.encryption), CLIENT_TITLE), (KEYS, SERVER_TITLE)):
        with pytest.raises(DecodeError, match="tag is wrong"):
            security.unprotect(keys, title, content)


@given(st.binary(max_size=60))
def test_arbitrary_content_is_no_protected_one(content: bytes) -> None:
    with pytest.raises(DecodeError):
        security.unprotect(KEYS, CLIENT_TITLE, content)


def test_content_that_is_only_encrypted_is_refused() -> None:
    content = security.protect(KEYS, CLIENT_TITLE, 1, b"text", security.Control.ENCRYPTED)
    with pytest.raises(DecodeError, match="not authenticated"):
        security.unprotect(KEYS, CLIENT_TITLE, content)


@pytest.mark.parametrize("title", [None, CLIENT_TITLE])
def test_protected_apdus_survive_a_round_trip(title: bytes | None) -> None:
    one = Ciphered(bytes(200), title)
    assert decode_ciphered(one.encode(apdu.GET_REQUEST)) == one
    assert decode_ciphered(b"\xc4\x01") is None


def test_keys_are_never_shown() -> None:
    for shown in (KEYS, Ciphered(b"secret"), AssociationRequest(b"", authentication=b"secret")):
        assert "secret" not in repr(shown)
        assert KEYS.encryption.hex() not in repr(shown)
        assert repr(KEYS.encryption) not in repr(shown)


def test_a_key_has_sixteen_bytes_or_two_of_them() -> None:
    assert Keys.parse(bytes(16)).authentication == bytes(16)
    assert Keys.parse(bytes(16) + b"\1" * 16).authentication == b"\1" * 16
    with pytest.raises(ValueError, match="16 bytes"):
        Keys.parse(bytes(15))


@pytest.mark.parametrize("zone", [UTC, BERLIN, ZoneInfo("America/New_York")])
@given(hundredths=st.integers(0, 400_000_000_000))
def test_instants_survive_a_round_trip_with_their_deviation(zone: ZoneInfo, hundredths: int) -> None:
    aware = datetime(1980, 1, 1, tzinfo=UTC) + timedelta(milliseconds=10 * hundredths)
    decoded = decode_date_time(encode_date_time(aware, zone), BERLIN)
    assert decoded.instant == aware
    assert bool(decoded.status & ClockStatus.SUMMER_TIME) == bool(aware.astimezone(zone).dst())


@given(st.binary(max_size=13))
def test_arbitrary_bytes_are_a_date_and_time_or_a_decode_error(raw: bytes) -> None:
    try:
        assert decode_date_time(raw, BERLIN).instant.tzinfo is UTC
    except DecodeError:
        return


@pytest.mark.parametrize(
    ("raw", "instant", "status"),
    [
        ("07ea0b18 02 071e0000 ffc4 00", datetime(2026, 11, 24, 6, 30, tzinfo=UTC), 0),
        ("07ea0b18 ff 071e00ff 8000 ff", datetime(2026, 11, 24, 6, 30, tzinfo=UTC), 0),  # local, no deviation
        ("07ea0718 ff 071e0000 ff88 80", datetime(2026, 7, 24, 5, 30, tzinfo=UTC), 0x80),
        (
            "07ea0a19 ff 021e0000 8000 80",
            datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
            0x80,
        ),  # the hour occurs twice
        ("07ea0a19 ff 021e0000 8000 00", datetime(2026, 10, 25, 1, 30, tzinfo=UTC), 0),
        ("07e50b02 02 15330000 ffc4 00", datetime(2021, 11, 2, 20, 51, tzinfo=UTC), 0),  # trace: Iskra AM550
    ],
)
def test_dates_and_times_are_read(raw: str, instant: datetime, status: int) -> None:
    shown = decode_date_time(bytes.fromhex(raw), BERLIN)
    assert shown == DateTime(instant, ClockStatus(status))


def test_a_date_with_wildcards_is_no_instant() -> None:
    for wild in ("ffff0b18ff071e0000ffc400", "07eaff18ff071e0000ffc400", "07ea0b18ff191e0000ffc400"):
        with pytest.raises(DecodeError):
            decode_date_time(bytes.fromhex(wild), BERLIN)
    with pytest.raises(DecodeError):
        decode_date_time(bytes(5), BERLIN)


def test_a_deviation_is_utc_minus_local_time() -> None:
    local = datetime(2026, 1, 1, 12, tzinfo=BERLIN)
    assert encode_date_time(local, BERLIN)[9:11] == (-60).to_bytes(2, "big", signed=True)
    assert local.utcoffset() == timedelta(hours=1)


@pytest.mark.parametrize(
    ("text", "client", "server", "encoded"),
    [
        ("", 16, Address(1), "03"),
        ("32", 32, Address(1), "03"),
        ("1/17", 1, Address(17), "23"),
        ("1/1/17", 1, Address(1, 17), "0223"),
        ("16/1/17:4", 16, Address(1, 17, wide=True), "00020023"),
        ("1/1/2836", 1, Address(1, 2836), "00022c29"),
        ("16/200", 16, Address(200), "02900001"),
    ],
)
def test_addresses_of_a_configuration(text: str, client: int, server: Address, encoded: str) -> None:
    assert parse_address(text) == (Address(client), server)
    assert server.encode().hex() == encoded


@pytest.mark.parametrize("text", ["x", "0/1", "128", "16/", "16/1/2/3", "16/99999", "/1/1:2"])
def test_what_is_no_address_is_said(text: str) -> None:
    with pytest.raises(DriverError, match="no DLMS address"):
        parse_address(text)


def test_logical_names() -> None:
    assert logical_name("1-0:1.8.0*255") == logical_name("1-0:1.8.0") == bytes((1, 0, 1, 8, 0, 255))
    assert str(Attribute(3, logical_name("1-0:1.8.0"), 2)) == "1-0:1.8.0*255 attribute 2"
    with pytest.raises(ValueError, match="logical name"):
        logical_name("1.8.0")


def test_lengths_of_every_size() -> None:
    assert take_length(bytes.fromhex("7f"), 0) == (127, 1)
    assert take_length(bytes.fromhex("820100"), 0) == (256, 3)
