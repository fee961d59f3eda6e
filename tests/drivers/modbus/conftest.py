"""What whole numbers an encoding can hold: said once, apart from the code."""

from collections.abc import Callable

import pytest
from hypothesis import strategies as st

from drivers.modbus.encoding import Encoding


@pytest.fixture(scope="session")
def whole_numbers() -> Callable[[Encoding], st.SearchStrategy[int]]:
    """From an encoding that is no float to all its numbers."""

    def numbers(encoding: Encoding) -> st.SearchStrategy[int]:
        match encoding.layout:
            case "uint":
                return st.integers(0, 2**encoding.bits - 1)
            case "int":
                return st.integers(-(2 ** (encoding.bits - 1)), 2 ** (encoding.bits - 1) - 1)
            case "bcd":
                return st.integers(0, 10 ** (4 * encoding.words) - 1)
            case "sign":
                largest = 2 ** (encoding.bits - 1) - 1
            case layout:
                largest = {"mod1k": 1000, "mod10k": 10_000}[layout] ** encoding.words - 1
        return st.integers(-largest, largest)

    return numbers
