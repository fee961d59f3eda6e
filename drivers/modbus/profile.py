"""Profile of a Modbus meter: what its registers mean. `profile_file.py` reads `drivers/profiles/*.toml`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from drivers.line import SerialSettings
from drivers.modbus.encoding import Encoding, WordOrder, decode, encode, pattern, text, text_words, unsigned
from telemetry.micro import LIMIT, MICRO
from telemetry.readout import Quantity

Memory = Mapping[tuple[int, int], int]  # (function, address) -> a word, 0 to 65535

_NAN = {Encoding.FLOAT32: 0x7FC00000, Encoding.FLOAT64: 0x7FF8000000000000}
_NO_EXPONENT = 0x8000  # SunSpec Information Model, 4.2: sunssf "not implemented"


class WordSpan(Protocol):
    """A run of words that is read whole: from `address` to the one before `end`, with one function."""

    @property
    def function(self) -> int: ...
    @property
    def address(self) -> int: ...
    @property
    def end(self) -> int: ...


def words_of(span: WordSpan, memory: Memory) -> list[int] | None:
    """The words of a span, None where the memory does not have them all."""
    words = [memory.get((span.function, address)) for address in range(span.address, span.end)]
    return [word for word in words if word is not None] if None not in words else None


def placed(span: WordSpan, words: list[int]) -> dict[tuple[int, int], int]:
    """The memory in which a span has these words."""
    return {(span.function, span.address + position): word for position, word in enumerate(words)}


@dataclass(frozen=True, slots=True)
class Exponent:
    """A register (int16) with the power of ten that other registers' raw numbers are to be multiplied by."""

    function: int
    address: int

    @property
    def end(self) -> int:
        return self.address + 1

    def value(self, memory: Memory) -> int | None:
        """None where it is not there, or says that it is none."""
        words = words_of(self, memory)
        if words is None or words == [_NO_EXPONENT]:
            return None
        number = decode(words, Encoding.INT16, WordOrder.BIG)
        return None if number is None or abs(number) > 18 else int(number)


@dataclass(frozen=True, slots=True)
class Bits:
    """A bit field of an integer: bits `low` to `high`, counted from the least significant, both included."""

    low: int
    high: int

    @property
    def mask(self) -> int:
        return (1 << self.high - self.low + 1) - 1

    def of(self, pattern: int) -> int:
        return pattern >> self.low & self.mask


@dataclass(frozen=True, slots=True)
class ProfileRegister:
    """Value of the meter. A raw number times `scale` (and ten to the `exponent`) is in `unit` (UCUM).

    `sentinels` are bit patterns of all its words that mean "not available", besides NaN.
    """

    obis: str
    function: int
    address: int
    encoding: Encoding
    word_order: WordOrder
    scale: Fraction
    unit: str
    sentinels: frozenset[int]
    comment: str
    exponent: Exponent | None = None
    bits: Bits | None = None

    @property
    def end(self) -> int:
        return self.address + self.encoding.words

    @property
    def spans(self) -> tuple[WordSpan, ...]:
        """The spans that must be read to know the value."""
        return (self,) if self.exponent is None else (self, self.exponent)

    def reading(self, memory: Memory) -> Quantity | None:
        """The value in the words that were read; None where they are not all there, and as `quantity`."""
        words = words_of(self, memory)
        exponent = 0 if self.exponent is None else self.exponent.value(memory)
        return None if words is None or exponent is None else self.quantity(words, exponent)

    def quantity(self, words: list[int], exponent: int = 0) -> Quantity | None:
        """The value in its words; None where the meter says "not available", or no reading could hold it."""
        shown = unsigned(words, self.word_order)
        number = decode(words, self.encoding, self.word_order)
        if number is None or shown in self.sentinels:
            return None
        raw = Fraction(number) if self.bits is None else Fraction(self.bits.of(shown))
        micro = round(raw * self.scale * Fraction(10) ** exponent * MICRO)  # half-even
        return Quantity(micro, self.unit) if abs(micro) < LIMIT else None

    def words(self, value: Fraction | None, exponent: int = 0) -> list[int]:
        """The words of a value in `unit`, at the meter's resolution. None: "not available", or else 0.

        Raises ValueError for a value beyond the encoding's range.
        """
        if value is None:
            nothing = _NAN.get(self.encoding, min(self.sentinels, default=0))
            return pattern(nothing, self.encoding.words, self.word_order)
        raw = value / self.scale / Fraction(10) ** exponent
        if self.bits is None:
            return encode(raw, self.encoding, self.word_order)
        if not 0 <= round(raw) <= self.bits.mask:
            raise ValueError(f"{raw} does not fit bits {self.bits.low} to {self.bits.high}")
        return pattern(round(raw) << self.bits.low, self.encoding.words, self.word_order)


@dataclass(frozen=True, slots=True)
class ProfileIdentity:
    """Place of the meter's serial number: an integer or digits, or text (`encoding` None).

    `maker` is the FLAG code of all meters of the family, None where it is not known.
    """

    function: int
    address: int
    count: int
    encoding: Encoding | None
    word_order: WordOrder
    maker: str | None = None

    @property
    def end(self) -> int:
        return self.address + self.count

    def serial(self, words: list[int]) -> str | None:
        """The serial number as printed, without leading zeros; None where the meter shows none."""
        if self.encoding is None:
            shown = text(words, self.word_order)
            return (shown.upper().lstrip("0") or None) if shown else None
        bits = unsigned(words, self.word_order)
        number = decode(words, self.encoding, self.word_order)
        return None if not number or bits == (1 << self.encoding.bits) - 1 else f"{number:f}"

    def words(self, serial: str) -> list[int]:
        """The words that show a serial number. Raises ValueError for one that does not fit."""
        if self.encoding is None:
            return text_words(serial, self.count, self.word_order)
        return encode(int(serial), self.encoding, self.word_order)


@dataclass(frozen=True, slots=True)
class GoldenAnswers:
    """Register words, by (function, address), and the values (decimal text by OBIS) that they mean.

    `serial` is the serial number that they show, None where the profile knows no register of it.
    """

    comment: str
    words: Memory
    values: Mapping[str, str]
    serial: str | None = None


@dataclass(frozen=True, slots=True)
class ProfileCheck:
    """Check of a register: this family's meters show a value from `low` to `high`, in its unit."""

    register: ProfileRegister
    low: Fraction
    high: Fraction

    def holds(self, memory: Memory) -> bool:
        """True where these words can be this family's; "not available" is not a value."""
        quantity = self.register.reading(memory)
        return quantity is not None and self.low <= Fraction(quantity.micro, MICRO) <= self.high


@dataclass(frozen=True, slots=True)
class ProfileProbe:
    """Probe by which a meter of this family is recognised: all checks hold.

    `shared` names the profiles whose meters pass as well, because their maps are the same or hold this one.
    """

    checks: tuple[ProfileCheck, ...]
    shared: frozenset[str]


@dataclass(frozen=True, slots=True)
class ModbusProfile:
    """Family of meters. `pause` is the silence in seconds that the meter needs before each request.

    `settings` are those that the meter leaves the factory with; None where its document names none, or
    where it has no serial port.
    """

    name: str
    title: str
    source: str
    settings: SerialSettings | None
    pause: float
    registers: tuple[ProfileRegister, ...]
    golden: tuple[GoldenAnswers, ...]
    probe: ProfileProbe | None
    identity: ProfileIdentity | None = None

    def spans(self) -> Iterator[WordSpan]:
        """All that a readout reads, each run of words once (bit fields share theirs)."""
        seen: set[tuple[int, int, int]] = set()
        for register in self.registers:
            for span in register.spans:
                key = (span.function, span.address, span.end)
                if key not in seen:
                    seen.add(key)
                    yield span
