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
    """Function field: the kind of value that a record has of its quantity."""

    INSTANTANEOUS = "instantaneous"
    MAXIMUM = "maximum"
    MINIMUM = "minimum"
    ERROR_STATE = "during error state"  # measured while the meter was faulty: never a billing value
    MANUFACTURER = "manufacturer specific"  # DIF 0F: the rest of the telegram
    MORE_FOLLOWS = "more records follow"  # DIF 1F: the same, and there is another telegram


_FUNCTIONS = (Function.INSTANTANEOUS, Function.MAXIMUM, Function.MINIMUM, Function.ERROR_STATE)


class Coding(Enum):
    """Data field of the DIF: how the value is coded, and in how many bytes.

    `size` is 0 for a variable length, which precedes the value itself. `is_integer`: a binary integer, which
    EN 13757-3 calls type B. `is_bcd`: two decimal digits a byte, type A.
    """

    NONE = 0x0, 0
    INT8 = 0x1, 1
    INT16 = 0x2, 2
    INT24 = 0x3, 3
    INT32 = 0x4, 4
    FLOAT32 = 0x5, 4
    INT48 = 0x6, 6
    INT64 = 0x7, 8
    SELECTION = 0x8, 0
    BCD2 = 0x9, 1
    BCD4 = 0xA, 2
    BCD6 = 0xB, 3
    BCD8 = 0xC, 4
    VARIABLE = 0xD, 0
    BCD12 = 0xE, 6

    _value_: int
    size: int
    is_integer: bool
    is_bcd: bool

    def __new__(cls, code: int, size: int) -> "Coding":
        """What is asked of every record is an attribute: a property would take a tenth of the decoding."""
        coding = object.__new__(cls)
        coding._value_ = code
        coding.size = size
        coding.is_integer = code in (0x1, 0x2, 0x3, 0x4, 0x6, 0x7)
        coding.is_bcd = code in (0x9, 0xA, 0xB, 0xC, 0xE)
        return coding


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
    if dif in _WITHOUT_EXTENSION:
        return _WITHOUT_EXTENSION[dif], at + 1
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
    return DataInformation(
        _CODINGS[dif & 0x0F], _FUNCTIONS[dif >> 4 & 0x03], storage, tariff, subunit
    ), at + 1


_CODINGS = tuple(Coding)
_WITHOUT_EXTENSION = {
    dif: DataInformation(_CODINGS[dif & 0x0F], _FUNCTIONS[dif >> 4 & 0x03], dif >> 6 & 1)
    for dif in range(EXTENSION)
    if dif & 0x0F != 0x0F
}
