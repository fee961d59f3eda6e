"""Frames of programming mode and of mode D: bytes of real meters, round trips, and bytes that are nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.errors import DecodeError
from drivers.optical.codec.dataset import Value
from drivers.optical.codec.telegram import (
    ACK,
    BREAK,
    BlockCheck,
    DataBlock,
    Frame,
    Identification,
    ProgrammingCommand,
    SingleCharacter,
    TelegramReader,
    encode_push,
)

# the examples of LEM's EM4TII+ manual (V1.0, 4.2.9), whose block check is the standard's
LEM: list[tuple[bytes, Frame]] = [
    (b"\x01P0\x02()\x03`", ProgrammingCommand("P0", b"()")),
    (b"\x01P1\x02(00000000)\x03a", ProgrammingCommand("P1", b"(00000000)")),
    (b"\x06", SingleCharacter.ACK),
    (b"\x01R5\x020.9.2()\x03\\", ProgrammingCommand.of("R5", "0.9.2")),
    (b"\x020.9.2(130103)\x039", DataBlock(b"0.9.2(130103)")),
    (b"\x01R5\x020.9.1()\x03_", ProgrammingCommand.of("R5", "0.9.1")),
    (b"\x020.9.1(101415)\x03:", DataBlock(b"0.9.1(101415)")),
    (b"\x01B0\x03q", BREAK),
]
# the traffic of a real CE301 v12 (tests of energomera-hass-mqtt), whose block check is a sum
CE301: list[tuple[bytes, Frame]] = [
    (b"\x01P0\x02(777777)\x03\x20", ProgrammingCommand("P0", b"(777777)")),
    (b"\x01P1\x02(dummy)\x03\x03", ProgrammingCommand.of("P1", "", "dummy")),
    (b"\x01R1\x02ET0PE()\x037", ProgrammingCommand.of("R1", "ET0PE")),
    (b"\x01R1\x02ENMPE(04.22)\x03D", ProgrammingCommand.of("R1", "ENMPE", "04.22")),
    (b"\x02FREQU(49.96)\r\n\x03x", DataBlock(b"FREQU(49.96)\r\n")),
    (b"\x02VOLTA(233.751)\r\nVOLTA(235.418)\r\nVOLTA(234.796)\r\n\x03\x02",
     DataBlock(b"VOLTA(233.751)\r\nVOLTA(235.418)\r\nVOLTA(234.796)\r\n")),
    (b"\x01B0\x03\x75", BREAK),
]  # fmt: skip

plain = st.binary(max_size=40).map(lambda data: bytes(byte for byte in data if byte not in b"\x02\x03\x04"))
frames = (
    st.builds(DataBlock, plain, st.booleans())
    | st.builds(ProgrammingCommand, st.sampled_from(["R1", "W5", "P1", "B0"]), st.none() | plain)
    | st.sampled_from(SingleCharacter)
)
checks = st.sampled_from(BlockCheck)


def encoded(frame: Frame, check: BlockCheck) -> bytes:
    if isinstance(frame, SingleCharacter):
        return ACK if frame is SingleCharacter.ACK else b"\x15"
    return frame.encode(check)


@pytest.mark.parametrize(
    ("raw", "frame", "check"),
    [*((*one, BlockCheck.XOR) for one in LEM), *((*one, BlockCheck.SUM) for one in CE301)],
    ids=repr,
)
def test_frames_of_real_meters(raw: bytes, frame: Frame, check: BlockCheck) -> None:
    assert encoded(frame, check) == raw
    reader = TelegramReader(check)
    reader.add(raw)
    assert reader.frame() == frame
    assert reader.pending == b""


@given(st.lists(frames, max_size=6), checks, st.integers(1, 7))
def test_frames_survive_the_wire_in_pieces(said: list[Frame], check: BlockCheck, size: int) -> None:
    reader = TelegramReader(check)
    data = b"".join(encoded(one, check) for one in said)
    found = []
    for first in range(0, len(data), size):
        reader.add(data[first : first + size])
        while (frame := reader.frame()) is not None:
            found.append(frame)
    assert found == said


@given(st.lists(st.binary(max_size=60), max_size=5), checks)
def test_arbitrary_bytes_raise_nothing_but_decode_error(pieces: list[bytes], check: BlockCheck) -> None:
    reader = TelegramReader(check)
    for piece in pieces:
        reader.add(piece)
        for understand in (reader.frame, reader.push, reader.identification):
            try:
                understand()
            except DecodeError:
                continue


@given(frames, checks)
def test_the_echo_of_what_was_sent_is_no_answer(answer: Frame, check: BlockCheck) -> None:
    sent = ProgrammingCommand.of("R1", "1.8.0").encode(check)
    reader = TelegramReader(check)
    reader.sent(sent)
    for byte in sent:
        reader.add(bytes((byte,)))
        assert reader.frame() is None
    reader.add(encoded(answer, check))
    assert reader.frame() == answer


def test_the_echo_of_an_acknowledgement_is_no_acknowledgement() -> None:
    reader = TelegramReader()
    reader.sent(ACK)
    reader.add(ACK + ACK)
    assert reader.frame() is SingleCharacter.ACK
    assert reader.frame() is None


def test_a_command_never_shows_what_may_be_a_password() -> None:
    assert "secret" not in repr(ProgrammingCommand.of("P1", "", "secret"))


@pytest.mark.parametrize("value", ["a)b", "(", "a!", "ü", "a\r\nb"])
def test_what_a_data_set_cannot_carry_is_refused_without_being_shown(value: str) -> None:
    with pytest.raises(ValueError, match="cannot carry") as caught:
        ProgrammingCommand.of("P1", "", value)
    assert value not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "code"),
    [("ER07", 7), ("ERR12", 12), ("ERROR03", 3), ("err 4", 4), ("ERROR", None), ("12", None), ("", None)],
)
def test_errors_have_a_number(text: str, code: int | None) -> None:
    assert Value(text).error == code
    assert code is None or Value(text).number is None


def test_a_telegram_of_mode_d_ends_with_its_exclamation_mark() -> None:
    who = Identification("ESY", "5", "Q3DA1004 V3.02")
    raw = b"/ESY5Q3DA1004 V3.02\r\n\r\n1-0:1.8.0*255(00000001.5*kWh)\r\n!\r\n"
    assert encode_push(who, b"1-0:1.8.0*255(00000001.5*kWh)\r\n") == raw
    reader = TelegramReader()
    reader.add(b"255(07*V)\r\n!\r\n/ESY5Q3 broke off\r\n1-0:1.8" + raw[:30])  # listening began in the middle
    assert reader.push() is None
    reader.add(raw[30:] + raw[:5])
    assert reader.push() == (who, b"\r\n1-0:1.8.0*255(00000001.5*kWh)\r\n", raw)
    assert reader.push() is None
    assert reader.pending == raw[:5]
