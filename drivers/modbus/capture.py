"""Frames that were captured on a wire, without a master that knows what it asked for: for explaining them.

Requests of functions 3 and 4 and their answers, RTU or Modbus TCP, one after the other.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from drivers.errors import DecodeError
from drivers.line import SerialSettings
from drivers.modbus.blocks import RegisterBlock, plan, without_gaps
from drivers.modbus.framing import ModbusRequest, crc_holds, exception_text, split_mbap
from drivers.modbus.profile import ModbusProfile
from drivers.modbus.search import USUAL
from drivers.tcp_line import NO_WIRE

_EXCEPTION_BIT = 0x80


@dataclass(frozen=True, slots=True)
class CapturedAnswer:
    """An answer: words, but not of which addresses."""

    unit: int
    function: int
    words: tuple[int, ...]


def captured(data: bytes) -> list[ModbusRequest | CapturedAnswer]:
    """The frames in bytes that hold nothing else. Raises DecodeError, also for a meter's refusal."""
    pdus = list(_mbap(data) if data[2:4] == b"\0\0" and not _rtu_sizes(data) else _rtu(data))
    if not pdus:
        raise DecodeError("no Modbus frame")
    return [_frame(unit, pdu) for unit, pdu in pdus]


def memory_of(
    frames: Sequence[ModbusRequest | CapturedAnswer], profile: ModbusProfile, first: int | None = None
) -> dict[tuple[int, int], int]:
    """The words by (function, address).

    An answer belongs to the request in front of it; else the first to address `first`; else all of them to
    the requests that a readout of the profile is made of. Raises DecodeError where none of that fits.
    """
    answers = [frame for frame in frames if isinstance(frame, CapturedAnswer)]
    starts = _starts(frames, first) or _planned(answers, profile)
    if starts is None:
        raise DecodeError(
            "an answer does not say which registers it has: give the address of its first word, "
            "or the request in front of it"
        )
    memory: dict[tuple[int, int], int] = {}
    for answer, start in zip(answers, starts, strict=True):
        memory |= {(answer.function, start + at): word for at, word in enumerate(answer.words)}
    return memory


def _starts(frames: Sequence[ModbusRequest | CapturedAnswer], first: int | None) -> list[int] | None:
    """The address of each answer's first word, by the request before it; None where one has none."""
    starts: list[int] = []
    asked: ModbusRequest | None = None
    for frame in frames:
        if isinstance(frame, ModbusRequest):
            asked = frame
            continue
        if asked and (asked.unit, asked.function, asked.count) == (
            frame.unit,
            frame.function,
            len(frame.words),
        ):
            starts.append(asked.address)
        elif first is not None and not starts:
            starts.append(first)
        else:
            return None
        asked = None
    return starts


def _planned(answers: Sequence[CapturedAnswer], profile: ModbusProfile) -> list[int] | None:
    """As `_starts`, by the readout that they are the answers of: at a usual speed, or split at every gap."""
    shape = [(one.function, len(one.words)) for one in answers]
    for blocks in _plans(profile):
        if [(block.function, block.count) for block in blocks] == shape:
            return [block.address for block in blocks]
    return None


def _plans(profile: ModbusProfile) -> Iterator[list[RegisterBlock]]:
    for settings in (*USUAL, *map(SerialSettings, (300, 1200, 4800)), NO_WIRE):
        yield plan(profile, settings)
    yield without_gaps(profile.spans())


def _rtu(data: bytes) -> list[tuple[int, bytes]]:
    """(unit, PDU) of RTU frames one upon the other.

    A frame whose check also holds without its last byte, or with more, is the one that whole frames follow.
    """
    begun: list[tuple[int, int]] = []  # (position, size) of frames so far
    untried = [(0, size) for size in _rtu_sizes(data)]
    furthest = 0
    while untried:
        position, size = untried.pop()
        while begun and begun[-1][0] >= position:
            begun.pop()
        begun.append((position, size))
        end = position + size
        if end == len(data):
            return [(data[at], data[at + 1 : at + length - 2]) for at, length in begun]
        furthest = max(furthest, end)
        untried += [(end, following) for following in _rtu_sizes(data[end:])]
    raise DecodeError("not a whole Modbus RTU frame", offset=furthest)


def _rtu_sizes(data: bytes) -> list[int]:
    """Bytes that the first frame can have, the likeliest last: a request, a refusal, or an answer."""
    sizes = (8, 5, 5 + data[2]) if len(data) > 4 else ()
    return [size for size in sizes if size <= len(data) and crc_holds(data[:size])]


def _mbap(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(unit, PDU) of Modbus TCP frames one upon the other."""
    while data:
        split = split_mbap(data)
        if split is None:
            raise DecodeError("a Modbus TCP frame ends too early")
        _, unit, pdu, data = split
        yield unit, pdu


def _frame(unit: int, pdu: bytes) -> ModbusRequest | CapturedAnswer:
    function = pdu[0]
    if function & _EXCEPTION_BIT and len(pdu) == 2:
        raise DecodeError(f"the meter answered with a refusal: {exception_text(pdu[1])}")
    if function in (3, 4) and len(pdu) == 5:  # an answer has an even length
        return ModbusRequest(unit, function, *struct.unpack(">HH", pdu[1:]))
    if function in (3, 4) and len(pdu) >= 4 and len(pdu) == 2 + pdu[1] and not pdu[1] % 2:
        return CapturedAnswer(unit, function, struct.unpack(f">{pdu[1] // 2}H", pdu[2:]))
    raise DecodeError(f"not a reading of registers: {pdu.hex(' ')}")
