"""Data information block of a record (EN 13757-3, 6.2, 6.3): function, storage, tariff, subunit, coding."""

from dataclasses import dataclass
from enum import Enum

from drivers.errors import DecodeError

EXTENSION = 0x80
MAX_EXTENSIONS = 10

MANUFACTURER_DATA = 0x0F
MORE_FOLLOWS = 0x1F
FILLER = 0x2F


class Function(Enum):
    """What a value is of its quantity."""

    INSTANTANEOUS = "instantaneous"
    MAXIMUM = "maximum"
    MINIMUM = "minimum"
    ERROR_STATE = "during error state"  # measured while the meter was faulty: never a billing value
    MANUFACTURER = "manufacturer specific"  # DIF 0F: the rest of the telegram
    MORE_FOLLOWS = "more records follow"  # DIF 1F: the same, and there is another telegram


_FUNCTIONS = (Function.INSTANTANEOUS, Function.MAXIMUM, Function.MINIMUM, Function.ERROR_STATE)


class Coding(Enum):
    """Data field of the DIF: how the value is coded, and in how many bytes."""

    NONE = 0x0
    INT8 = 0x1
    INT16 = 0x2
    INT24 = 0x3
    INT32 = 0x4
    FLOAT32 = 0x5
    INT48 = 0x6
    INT64 = 0x7
    SELECTION = 0x8
    BCD2 = 0x9
    BCD4 = 0xA
    BCD6 = 0xB
    BCD8 = 0xC
    VARIABLE = 0xD
    BCD12 = 0xE

    @property
    def size(self) -> int:
        """Bytes of the value; 0 for a variable length, which precedes the value itself."""
        return _SIZES[self.value]

    @property
    def is_integer(self) -> bool:
        """Binary integer, which EN 13757-3 calls type B."""
        return self.name.startswith("INT")

    @property
    def is_bcd(self) -> bool:
        """Two decimal digits a byte, type A."""
        return self.name.startswith("BCD")


_SIZES = (0, 1, 2, 3, 4, 4, 6, 8, 0, 1, 2, 3, 4, 0, 6)


@dataclass(frozen=True, slots=True)
class DataInformation:
    """One DIF with its extensions. Storage 0 is now; 1 and above are earlier values."""

    coding: Coding
    function: Function = Function.INSTANTANEOUS
    storage: int = 0
    tariff: int = 0
    subunit: int = 0

    def encode(self) -> bytes:
        """DIF and as few DIFEs as needed. Raises ValueError for what ten extensions do not hold."""
        dif = self.coding.value | _FUNCTIONS.index(self.function) << 4 | (self.storage & 1) << 6
        storage, tariff, subunit = self.storage >> 1, self.tariff, self.subunit
        block = [dif]
        while storage or tariff or subunit:
            block[-1] |= EXTENSION
            block.append(storage & 0x0F | (tariff & 0x03) << 4 | (subunit & 1) << 6)
            storage, tariff, subunit = storage >> 4, tariff >> 2, subunit >> 1
        if len(block) > 1 + MAX_EXTENSIONS:
            raise ValueError("storage, tariff or subunit need more than ten DIFEs")
        return bytes(block)


def read_data_information(data: bytes, at: int) -> tuple[DataInformation, int]:
    """The block that begins at `at`, and where it ends. Raises DecodeError."""
    dif = data[at]
    if dif & 0x0F == 0x0F:
        raise DecodeError(f"DIF {dif:02X} is reserved", offset=at)
    storage, tariff, subunit = dif >> 6 & 1, 0, 0
    extensions = 0
    more = dif & EXTENSION
    while more:
        at += 1
        if extensions == MAX_EXTENSIONS:
            raise DecodeError(f"more than {MAX_EXTENSIONS} DIFEs", offset=at)
        if at >= len(data):
            raise DecodeError("the telegram ends within a DIF chain", offset=at)
        dife = data[at]
        storage |= (dife & 0x0F) << (1 + 4 * extensions)
        tariff |= (dife >> 4 & 0x03) << (2 * extensions)
        subunit |= (dife >> 6 & 0x01) << extensions
        extensions += 1
        more = dife & EXTENSION
    return DataInformation(Coding(dif & 0x0F), _FUNCTIONS[dif >> 4 & 0x03], storage, tariff, subunit), at + 1
