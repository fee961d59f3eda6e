"""Virtual Modbus meters: they answer as the real ones do, for tests and the demo."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from fractions import Fraction

from drivers.errors import DecodeError
from drivers.line import SerialSettings, Transmission
from drivers.modbus.framing import (
    ILLEGAL_ADDRESS,
    ILLEGAL_FUNCTION,
    ILLEGAL_VALUE,
    MAX_REGISTERS,
    ModbusRequest,
    Transport,
    framing,
)
from drivers.modbus.profile import Exponent, Memory, ModbusProfile, ProfileRegister, placed
from drivers.modbus.timing import silence

Values = Mapping[str, Decimal]  # OBIS -> in the unit of the profile's register

_BROADCAST = 0
_MOST_HEARD = 512
_POWERS = range(-3, 10)  # of ten, that a meter with exponent registers chooses from, finest first


class RegisterMeter:
    """A unit whose memory is given word by word. What is not in `words` is refused with exception 2.

    `turnaround` is its reaction time in seconds, after the t3.5 that ends a request on a serial line.
    """

    def __init__(
        self,
        unit: int,
        words: Callable[[], Memory],
        *,
        transport: Transport = Transport.RTU,
        turnaround: float = 0.02,
    ) -> None:
        self.unit = unit
        self.transport = transport
        self.turnaround = turnaround
        self.requests: list[ModbusRequest] = []  # those meant for this unit
        self._words = words
        self._framing = framing(transport)
        self._heard = b""

    def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
        self._heard = (self._heard + data)[-_MOST_HEARD:]
        delay = self.turnaround + (silence(settings) if self.transport is Transport.RTU else 0.0)
        said: list[Transmission] = []
        try:
            while (found := self._framing.next_request(self._heard)) is not None:
                request, self._heard = found
                if request.unit == self.unit and request.unit != _BROADCAST:
                    self.requests.append(request)
                    said.append(Transmission(self._answer(request), delay))
        except DecodeError:
            self._heard = b""
        return said

    def _answer(self, request: ModbusRequest) -> bytes:
        if request.function not in (3, 4):
            return self._framing.refusal(request, ILLEGAL_FUNCTION)
        if not 1 <= request.count <= MAX_REGISTERS:
            return self._framing.refusal(request, ILLEGAL_VALUE)
        words = self._words()
        wanted = [(request.function, request.address + position) for position in range(request.count)]
        if any(key not in words for key in wanted):
            return self._framing.refusal(request, ILLEGAL_ADDRESS)
        return self._framing.registers(request, [words[key] for key in wanted])


class VirtualModbusMeter(RegisterMeter):
    """A meter of a profile, showing `values` (OBIS -> value, or a function that gives them when asked).

    A register without a value shows "not available". Unused addresses between the first and the last
    register read as 0, unless `spans` names the only (function, addresses) that the meter has. `serial` is
    the serial number that it shows where the profile knows a register of it.
    """

    def __init__(
        self,
        unit: int,
        profile: ModbusProfile,
        values: Values | Callable[[], Values],
        *,
        transport: Transport = Transport.RTU,
        turnaround: float = 0.02,
        spans: Iterable[tuple[int, range]] | None = None,
        serial: str | None = None,
    ) -> None:
        self.profile = profile
        identity = profile.identity
        shown = placed(identity, identity.words(serial)) if identity and serial else {}
        empty = {
            (function, address): 0
            for function, span in (_hull(profile) if spans is None else spans)
            for address in span
        }

        def words() -> Memory:
            now = values() if callable(values) else values
            known = {key: word for key, word in profile_words(profile, now).items() if key in empty}
            return empty | known | shown

        super().__init__(unit, words, transport=transport, turnaround=turnaround)


def profile_words(profile: ModbusProfile, values: Values) -> dict[tuple[int, int], int]:
    """The register words that show `values`: what the driver reads back, to the meter's resolution.

    Raises ValueError for a value that its register cannot hold.
    """
    words: dict[tuple[int, int], int] = {}
    for exponent, registers in _by_exponent(profile):
        power, shown = _shown(registers, values, _POWERS if exponent else (0,))
        for register in registers:
            for key, word in placed(register, shown[register.obis]).items():
                words[key] = words.get(key, 0) | word if register.bits else word
        if exponent:
            words |= placed(exponent, [power & 0xFFFF])
    return words


def _by_exponent(profile: ModbusProfile) -> Iterator[tuple[Exponent | None, list[ProfileRegister]]]:
    groups: dict[Exponent | None, list[ProfileRegister]] = {}
    for register in profile.registers:
        groups.setdefault(register.exponent, []).append(register)
    yield from groups.items()


def _shown(
    registers: Iterable[ProfileRegister], values: Values, powers: Iterable[int]
) -> tuple[int, dict[str, list[int]]]:
    """The first of these powers of ten at which all values fit their registers, and the words at it."""
    failure: ValueError | None = None
    for power in powers:
        try:
            return power, {
                register.obis: register.words(
                    None if (value := values.get(register.obis)) is None else Fraction(value), power
                )
                for register in registers
            }
        except ValueError as error:
            failure = error
    assert failure is not None
    raise failure


def _hull(profile: ModbusProfile) -> list[tuple[int, range]]:
    spans: dict[int, range] = {}
    for one in profile.spans():
        span = spans.get(one.function, range(one.address, one.end))
        spans[one.function] = range(min(span.start, one.address), max(span.stop, one.end))
    return list(spans.items())
