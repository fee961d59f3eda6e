"""Log-ins and ciphering: the green book's examples (DLMS UA 1000-2), a real trace, the peer's codec."""

import pytest
from dlms_cosem.protocol.acse import ApplicationAssociationRequest, ApplicationAssociationResponse
from hypothesis import given
from hypothesis import strategies as st

from drivers.dlms.codec import apdu, security
from drivers.dlms.codec.acse import AssociationRequest, AssociationResponse, Initiate, Mechanism
from drivers.dlms.codec.hdlc import decode_frame
from drivers.dlms.codec.security import Ciphered, Keys, decode_ciphered
from drivers.errors import DecodeError
from tests.drivers.dlms.traces import AARE

numbers4 = st.integers(0, 2**32 - 1)


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
    response = AssociationResponse.decode(decode_frame(bytes.fromhex(AARE)).information[3:])
    assert (response.result, response.diagnostic, response.mechanism) == (0, 14, 2)
    assert (response.title, response.authentication) == (b"LNT01180", b"abcdefghijklmnop")
    assert response.ciphered
    assert response.encode() == decode_frame(bytes.fromhex(AARE)).information[3:]


titles = st.binary(min_size=8, max_size=8)
initiates = st.binary(min_size=1, max_size=40)


@given(initiates, titles, st.binary(min_size=1, max_size=64))
def test_log_ins_with_keys_survive_a_round_trip(initiate: bytes, title: bytes, challenge: bytes) -> None:
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
