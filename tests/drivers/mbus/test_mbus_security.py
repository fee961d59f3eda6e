"""Encrypted telegrams: the published example, keys that fit or not, and that no key is ever shown."""

import logging
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from hypothesis import given
from hypothesis import strategies as st

from drivers.driver import Target
from drivers.errors import DecodeError
from drivers.mbus.codec import vif
from drivers.mbus.codec.encode import record
from drivers.mbus.codec.frame import LongFrame
from drivers.mbus.codec.header import Header, encode_long_header
from drivers.mbus.codec.records import read_records
from drivers.mbus.codec.security import decrypted
from drivers.mbus.codec.telegram import ApplicationError, Telegram, decode, encode_telegram
from drivers.mbus.virtual import VirtualMBusMeter
from tests.drivers.mbus.wire import driver_on, found, searched

# The gas meter of EN 13757-3:2013, table P.1, and of OMS volume 2, annex N.1.1: a radio telegram, whose
# address, header and records are the same as those of the wired telegram that is made of them here.
KEY = bytes.fromhex("0102030405060708090A0B0C0D0E0F11")
RADIO = bytes.fromhex(
    "2E44 9315 78563412 33 03 7A 2A 00 20055923C95AAA26D1B2E7493B013EC4A6F6 D3529B520EDFF0EA6DEFC99D6D69EBF3"
)
MAKER, SERIAL, VERSION_AND_MEDIUM = RADIO[2:4], RADIO[4:8], RADIO[8:10]
WIRED = LongFrame(0x08, 5, 0x72, SERIAL + MAKER + VERSION_AND_MEDIUM + RADIO[11:]).encode()

HEADER = Header("06855817", "KAM", 8, 0x04, access_number=0x2C)
RECORDS = record(vif.ENERGY, Decimal(37351), "kW.h") + record(vif.VOLUME, Decimal("561.08"), "m3")


def read(data: bytes, key: bytes | None) -> Telegram:
    answer = decode(data, key)
    assert isinstance(answer, Telegram)
    return answer


def test_the_published_example_is_decrypted() -> None:
    telegram = read(WIRED, KEY)
    assert telegram.header.meter == "ELS-12345678"
    volume, clock, flags = telegram.records
    assert (volume.quantity, volume.number, volume.unit) == ("volume", Decimal("28504.27"), "m3")
    assert str(clock.value) == "2008-05-31T23:50:00"
    assert (flags.quantity, flags.number) == ("error flags", 0)
    assert telegram.raw == WIRED  # as received: what is kept as evidence stays encrypted


@given(st.binary(max_size=200), st.binary(min_size=16, max_size=16))
def test_what_is_encrypted_is_decrypted_with_the_same_key(data: bytes, key: bytes) -> None:
    sent = encode_telegram(5, HEADER, data, key)
    header = Header("06855817", "KAM", 8, 0x04, 0x2C, 0, int.from_bytes(sent[17:19], "little"))
    assert decrypted(header, sent[7:19], sent[19:-2], key).rstrip(b"\x2f") == (b"\x2f\x2f" + data).rstrip(
        b"\x2f"
    )


def test_records_behind_the_encrypted_blocks_are_read_as_they_are() -> None:
    sent = encode_telegram(5, HEADER, RECORDS, KEY)
    longer = LongFrame(0x08, 5, 0x72, sent[7:-2] + record(vif.POWER, Decimal(5), "W")).encode()
    assert [one.quantity for one in read(longer, KEY).records] == ["energy", "volume", "power"]


def test_a_wrong_key_is_said_to_be_wrong() -> None:
    with pytest.raises(DecodeError, match="KAM-06855817 are encrypted, and the configured key is not theirs"):
        decode(encode_telegram(5, HEADER, RECORDS, KEY), bytes(16))


def test_without_a_key_the_telegram_is_said_to_be_encrypted() -> None:
    with pytest.raises(DecodeError, match="encrypted, and there is no key"):
        decode(encode_telegram(5, HEADER, RECORDS, KEY))


def test_a_key_of_another_length_is_said_to_be_one() -> None:
    with pytest.raises(DecodeError, match="15 bytes instead of 16"):
        decode(encode_telegram(5, HEADER, RECORDS, KEY), KEY[:15])


def test_the_vector_is_made_of_the_bytes_that_were_sent() -> None:
    """Bit 15 of the manufacturer's code shows in no letter of it, and counts all the same."""
    sent = encode_long_header(replace(HEADER, configuration=0x0510))
    sent = sent[:5] + bytes((sent[5] | 0x80,)) + sent[6:]
    vector = sent[4:6] + sent[:4] + sent[6:8] + sent[8:9] * 8
    cipher = Cipher(AES(KEY), CBC(vector)).encryptor()
    plain = b"\x2f\x2f" + record(vif.ENERGY, Decimal(37351), "kW.h")
    frame = LongFrame(0x08, 5, 0x72, sent + cipher.update(plain.ljust(16, b"\x2f")))
    assert [one.number for one in read(frame.encode(), KEY).records] == [37351]


def test_more_blocks_than_there_are_bytes_are_an_error() -> None:
    sent = encode_telegram(5, HEADER, RECORDS, KEY)
    with pytest.raises(DecodeError, match="in 16 bytes, but there are 0"):
        decode(LongFrame(0x08, 5, 0x72, sent[7:-18]).encode(), KEY)


@pytest.mark.parametrize(("mode", "name"), [(7, "security mode 7"), (13, "security mode 13")])
def test_other_security_modes_are_said_not_to_be_supported(mode: int, name: str) -> None:
    header = Header("06855817", "KAM", 8, 0x04, configuration=mode << 8)
    with pytest.raises(DecodeError, match=f"{name} .* not supported"):
        decode(encode_telegram(5, header, RECORDS), KEY)


def test_a_short_header_names_no_meter_so_that_a_key_is_of_no_use() -> None:
    frame = LongFrame(0x08, 5, 0x7A, b"\x01\x00\x10\x05" + bytes(16))
    with pytest.raises(DecodeError, match="names no meter"):
        decode(frame.encode(), KEY)


@pytest.mark.parametrize("configuration", [0x0010, 0x2C2D & 0xE0FF, 0x00FF, 0xE0FF])
def test_rubbish_in_the_signature_of_old_meters_is_no_encryption(configuration: int) -> None:
    header = Header("06855817", "KAM", 8, 0x04, configuration=configuration)
    assert read(encode_telegram(5, header, RECORDS), None).records == read_records(RECORDS)


@given(st.binary(max_size=100), st.integers(0, 0xFFFF))
def test_arbitrary_bytes_with_a_key_are_a_telegram_or_a_decode_error(data: bytes, configuration: int) -> None:
    header = Header("06855817", "KAM", 8, 0x04, configuration=configuration)
    try:
        answer = decode(encode_telegram(5, header, data), KEY)
    except DecodeError:
        return
    assert not isinstance(answer, ApplicationError)


# through the driver


@pytest.mark.parametrize("address", ["5", "06855817"])
def test_the_driver_reads_an_encrypted_meter_with_the_key_of_its_target(address: str) -> None:
    meter = VirtualMBusMeter(5, [encode_telegram(5, HEADER, RECORDS, KEY)])
    (readout,) = driver_on(meter).read(Target(address, key=KEY))
    assert readout.values["6-0:1.0.0"].micro == 37_351_000_000


def test_no_key_appears_in_an_error_a_log_or_a_repr(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    target = Target("5", key=KEY)
    meter = VirtualMBusMeter(5, [encode_telegram(5, HEADER, RECORDS, bytes(16))])
    with pytest.raises(DecodeError) as raised:
        driver_on(meter).read(target)
    shown = f"{raised.value} {raised.value.advice} {target!r} {caplog.text}".lower()
    assert KEY.hex() not in shown
    assert repr(KEY)[2:-1].lower() not in shown


def test_an_encrypted_meter_is_found_by_a_search_without_its_key() -> None:
    meter = VirtualMBusMeter(5, [encode_telegram(5, HEADER, RECORDS, KEY)])
    (event,) = found(searched(driver_on(meter), "5"))
    assert (event.meter, event.description) == ("KAM-06855817", "heat (outlet), encrypted")


def test_the_cipher_is_loaded_only_when_a_key_is_used() -> None:
    code = "import sys, drivers.mbus.master; sys.exit('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
