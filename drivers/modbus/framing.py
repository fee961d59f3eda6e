"""Modbus frames: reading registers (functions 3 and 4), RTU and MBAP framing. The only user of pymodbus.

pymodbus encodes and decodes; finding a frame among stray bytes, echoes and late answers is done here,
because it must know the request. Nothing here does I/O.
"""

import struct
from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import StrEnum

from pymodbus.framer import FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU, ExceptionResponse, ModbusPDU
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadHoldingRegistersResponse,
    ReadInputRegistersRequest,
    ReadInputRegistersResponse,
)

from drivers.errors import DecodeError

MAX_REGISTERS = 125  # of one request (6.3, 6.4)
_EXCEPTION_BIT = 0x80
_MBAP_HEADER = 7
_MAX_PDU = 253

_REQUESTS = {3: ReadHoldingRegistersRequest, 4: ReadInputRegistersRequest}
_RESPONSES = {3: ReadHoldingRegistersResponse, 4: ReadInputRegistersResponse}

# Application protocol, 7: the code, what it is called, and whether asking later can help
_EXCEPTIONS = {
    1: ("illegal function", False),
    2: ("illegal data address", False),
    3: ("illegal data value", False),
    4: ("device failure", False),
    5: ("acknowledge, still working", True),
    6: ("device busy", True),
    8: ("memory parity error", False),
    10: ("gateway path unavailable", True),
    11: ("no answer from the device behind the gateway", True),
}
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3
NOBODY_BEHIND_GATEWAY = (10, 11)  # what a gateway to a serial line answers for a unit that is not there


class Transport(StrEnum):
    """Transport of frames: RTU over a serial port or a serial server, or Modbus TCP with its own header."""

    RTU = "rtu"
    TCP = "tcp"


@dataclass(frozen=True, slots=True)
class ModbusRequest:
    """Read `count` registers of `unit` from `address` on, with function 3 (holding) or 4 (input).

    `transaction` ties a Modbus TCP answer to its request; RTU has none.
    """

    unit: int
    function: int
    address: int
    count: int
    transaction: int = 0


@dataclass(frozen=True, slots=True)
class ModbusAnswer:
    """Answer: `registers` as asked for, or the meter's `exception` code; `frame` as received."""

    frame: bytes
    registers: tuple[int, ...] = ()
    exception: int | None = None


class Framing(ABC):
    """One transport's frames, from both ends of the wire."""

    def request(self, request: ModbusRequest) -> bytes:
        pdu = _REQUESTS[request.function](address=request.address, count=request.count)
        return self._frame(pdu, request)

    def registers(self, request: ModbusRequest, registers: list[int]) -> bytes:
        return self._frame(_RESPONSES[request.function](registers=registers), request)

    def refusal(self, request: ModbusRequest, exception: int) -> bytes:
        return self._frame(ExceptionResponse(request.function, exception), request)

    @abstractmethod
    def find_answer(self, received: bytes, request: ModbusRequest) -> ModbusAnswer | None:
        """The answer to `request` in what has been received so far, or None if it is not (all) there.

        Raises DecodeError where the bytes can no longer become an answer.
        """

    @abstractmethod
    def next_request(self, heard: bytes) -> tuple[ModbusRequest, bytes] | None:
        """The first request in `heard`, and what follows it; None if there is none yet.

        Any function code is returned: refusing is the meter's part. Raises DecodeError as `find_answer`.
        """

    @abstractmethod
    def _frame(self, pdu: ModbusPDU, request: ModbusRequest) -> bytes: ...


class RtuFraming(Framing):
    """Unit, PDU, CRC-16 (Serial Line V1.02, 2.5.1). Silence between frames is the master's part."""

    def __init__(self) -> None:
        self._framer = FramerRTU(DecodePDU(is_server=False))

    def find_answer(self, received: bytes, request: ModbusRequest) -> ModbusAnswer | None:
        """See `Framing`. An echo of the request and stray bytes before the answer are passed over."""
        sizes = {
            bytes((request.unit, request.function, 2 * request.count)): 5 + 2 * request.count,
            bytes((request.unit, request.function | _EXCEPTION_BIT)): 5,
        }
        for start in range(len(received)):
            for head, size in sizes.items():
                frame = received[start : start + size]
                if frame.startswith(head) and len(frame) == size and crc_holds(frame):
                    return _answer(frame, frame[1:-2], request)
        return None

    def next_request(self, heard: bytes) -> tuple[ModbusRequest, bytes] | None:
        """See `Framing`. All requests of one register or range have 8 bytes."""
        for start in range(len(heard) - 7):
            frame = heard[start : start + 8]
            if crc_holds(frame):
                return ModbusRequest(*struct.unpack(">BBHH", frame[:6])), heard[start + 8 :]
        return None

    def _frame(self, pdu: ModbusPDU, request: ModbusRequest) -> bytes:
        pdu.dev_id = request.unit
        return self._framer.buildFrame(pdu)


class MbapFraming(Framing):
    """Transaction, protocol 0, length, unit, PDU (Messaging on TCP/IP V1.0b, 3.1.3)."""

    def __init__(self) -> None:
        self._framer = FramerSocket(DecodePDU(is_server=False))

    def find_answer(self, received: bytes, request: ModbusRequest) -> ModbusAnswer | None:
        """See `Framing`. Answers to earlier transactions, which come late, are passed over."""
        rest = received
        while (split := split_mbap(rest)) is not None:
            answered, unit, pdu, following = split
            frame, rest = rest[: len(rest) - len(following)], following
            if answered == request.transaction and unit == request.unit:
                return _answer(frame, pdu, request)
        return None

    def next_request(self, heard: bytes) -> tuple[ModbusRequest, bytes] | None:
        split = split_mbap(heard)
        if split is None:
            return None
        transaction, unit, pdu, following = split
        if len(pdu) < 5:
            raise DecodeError(f"a request of {len(pdu)} bytes", offset=_MBAP_HEADER)
        function, address, count = struct.unpack(">BHH", pdu[:5])
        return ModbusRequest(unit, function, address, count, transaction), following

    def _frame(self, pdu: ModbusPDU, request: ModbusRequest) -> bytes:
        pdu.dev_id = request.unit
        pdu.transaction_id = request.transaction
        return self._framer.buildFrame(pdu)


def framing(transport: Transport) -> Framing:
    return MbapFraming() if transport is Transport.TCP else RtuFraming()


def exception_text(code: int) -> str:
    """'illegal data address (exception 02)'."""
    name, _ = _EXCEPTIONS.get(code, ("unknown refusal", False))
    return f"{name} (exception {code:02d})"


def may_pass(code: int) -> bool:
    """True where asking again later can help."""
    return _EXCEPTIONS.get(code, ("", False))[1]


def crc_holds(frame: bytes) -> bool:
    """True where an RTU frame's last two bytes are its CRC-16."""
    return FramerRTU.check_CRC(frame[:-2], int.from_bytes(frame[-2:], "big"))


def split_mbap(data: bytes) -> tuple[int, int, bytes, bytes] | None:
    """(transaction, unit, PDU, what follows) of the first frame, or None if it is not all there."""
    if len(data) < _MBAP_HEADER:
        return None
    transaction, protocol, length, unit = struct.unpack(">HHHB", data[:_MBAP_HEADER])
    if protocol != 0:
        raise DecodeError(f"protocol {protocol} is not Modbus; is this an RTU-over-TCP server?", offset=2)
    if not 2 <= length <= _MAX_PDU + 1:
        raise DecodeError(f"a frame cannot be {length} bytes long", offset=4)
    end = _MBAP_HEADER - 1 + length
    return None if len(data) < end else (transaction, unit, data[_MBAP_HEADER:end], data[end:])


def _answer(frame: bytes, pdu: bytes, request: ModbusRequest) -> ModbusAnswer:
    """`pdu` decoded. Raises DecodeError where it does not answer the request."""
    if pdu[0] == request.function | _EXCEPTION_BIT and len(pdu) == 2:
        return ModbusAnswer(frame, exception=pdu[1])
    if pdu[0] != request.function or pdu[1:2] != bytes((2 * request.count,)) or len(pdu) != 2 + pdu[1]:
        raise DecodeError(f"asked for {request.count} registers, answered with {pdu.hex(' ')}")
    response = _RESPONSES[request.function]()
    response.decode(pdu[1:])
    return ModbusAnswer(frame, registers=tuple(response.registers))
