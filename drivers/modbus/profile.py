"""What a Modbus meter's registers mean. `profile_file.py` reads it from `drivers/profiles/*.toml`."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from drivers.line import SerialSettings
from drivers.modbus.encoding import Encoding, WordOrder, decode, encode, pattern, unsigned
from telemetry.micro import LIMIT, MICRO
from telemetry.readout import Quantity

_NAN = {Encoding.FLOAT32: 0x7FC00000, Encoding.FLOAT64: 0x7FF8000000000000}


@dataclass(frozen=True, slots=True)
class Register:
    """One value of the meter. A raw number times `scale` is in `unit` (UCUM).

    `sentinels` are bit patterns that mean "not available", besides NaN.
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

    @property
    def end(self) -> int:
        """The address after the last word."""
        return self.address + self.encoding.words

    def quantity(self, words: list[int]) -> Quantity | None:
        """The value in its words; None where the meter says "not available", or no reading could hold it."""
        number = decode(words, self.encoding, self.word_order)
        if number is None or unsigned(words, self.word_order) in self.sentinels:
            return None
        micro = round(Fraction(number) * self.scale * MICRO)  # half-even
        return Quantity(micro, self.unit) if abs(micro) < LIMIT else None

    def words(self, value: Fraction | None) -> list[int]:
        """The words of a value in `unit`, at the meter's resolution. None: "not available", or else 0.

        Raises ValueError for a value beyond the encoding's range.
        """
        if value is not None:
            return encode(value / self.scale, self.encoding, self.word_order)
        nothing = _NAN.get(self.encoding, min(self.sentinels, default=0))
        return pattern(nothing, self.encoding, self.word_order)


@dataclass(frozen=True, slots=True)
class Golden:
    """Register words, by (function, address), and the values (decimal text by OBIS) that they mean."""

    comment: str
    words: Mapping[tuple[int, int], int]
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Check:
    """What a register of this family shows: a value from `low` to `high`, in the register's unit."""

    register: Register
    low: Fraction
    high: Fraction

    def holds(self, words: list[int]) -> bool:
        """Whether these words can be this family's; "not available" is not a value."""
        quantity = self.register.quantity(words)
        return quantity is not None and self.low <= Fraction(quantity.micro, MICRO) <= self.high


@dataclass(frozen=True, slots=True)
class Probe:
    """How a meter of this family is recognised: all checks hold.

    `shared` names the profiles whose meters pass as well, because their maps are the same or hold this one.
    """

    checks: tuple[Check, ...]
    shared: frozenset[str]


@dataclass(frozen=True, slots=True)
class Profile:
    """One meter family. `pause` is the silence in seconds that the meter needs before each request.

    `settings` are those that the meter leaves the factory with; None where its document names none, or
    where it has no serial port.
    """

    name: str
    title: str
    source: str
    settings: SerialSettings | None
    pause: float
    registers: tuple[Register, ...]
    golden: tuple[Golden, ...]
    probe: Probe | None
