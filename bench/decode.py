"""Mean microseconds from telegram bytes to records, over the real telegrams, beside two other libraries.

    python -m bench.decode [folder of .hex and .norm.xml files]

All three decode the same telegrams in the same run, down to the numbers of the records. "Right" is a telegram
whose every number is the one that libmbus read (its .norm.xml), whatever the unit; the numbers in which
libmbus itself is wrong are left out (tests/drivers/mbus/test_mbus_golden.py says what is right there). A
telegram at which a library gives up counts with the time until then, which is in its favour.
"""

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from math import isclose
from pathlib import Path
from xml.etree import ElementTree

import meterbus
import pymbusparser

from bench.measurement import Measurement, show
from drivers.mbus.codec.telegram import Telegram, decode
from telemetry.units import UNITS as ALL
from telemetry.units import convert

TELEGRAMS = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "mbus-frames"
ROUNDS = 15

Numbers = Sequence[Decimal | None]  # of the records in their order, None for one without a number

UNITS = {
    "Wh": "W.h",
    "kWh": "kW.h",
    "W": "W",
    "m^3": "m3",
    "m^3/h": "m3/h",
    "l": "L",
    "°C": "Cel",
    "K": "K",
    "V": "V",
    "A": "A",
    "s": "s",
}
LIBMBUS_IS_WRONG = {
    ("ELS_Elster-F96-Plus", 4),
    ("ELS_Elster-F96-Plus", 5),
    ("abb_f95", 2),
    ("abb_f95", 3),
    ("SEN_Pollustat", 12),
    ("SEN_Pollustat", 13),
}


@dataclass(frozen=True, slots=True)
class Library:
    """`decode` does the whole work; `numbers` makes its result comparable, outside of the measured time."""

    name: str
    decode: Callable[[bytes], object]
    numbers: Callable[[object, Sequence[str]], Numbers]


def _ours(telegram: object, units: Sequence[str]) -> Numbers:
    assert isinstance(telegram, Telegram)
    return [
        _converted(record.number, record.unit, unit)
        for record, unit in zip(telegram.records, units, strict=True)
    ]


def _py_meter_bus(data: bytes) -> list[dict[str, object]]:
    return [record.interpreted for record in meterbus.load(data).records]


def _of_py_meter_bus(records: object, units: Sequence[str]) -> Numbers:  # noqa: ARG001 - has libmbus's units
    assert isinstance(records, list)
    return [_number(record["value"]) for record in records]


def _of_pymbusparser(parsed: object, units: Sequence[str]) -> Numbers:
    assert isinstance(parsed, dict)
    return [
        _converted(_number(record.get("value", {}).get("value")), record.get("unit"), unit)
        for record, unit in zip(parsed["records"], units, strict=True)
    ]


def _converted(number: Decimal | None, own: str | None, asked: str) -> Decimal | None:
    """The number in libmbus's unit, itself where one of the units is not known."""
    if number is None or own is None or own not in ALL or not asked:
        return number
    return convert(number, own, UNITS[asked])


def _number(value: object) -> Decimal | None:
    try:
        return Decimal(str(value))
    except ArithmeticError:
        return None


LIBRARIES = (
    Library("Hesper", decode, _ours),
    Library("pyMeterBus", _py_meter_bus, _of_py_meter_bus),
    Library("pymbusparser", pymbusparser.parse, _of_pymbusparser),
)


@dataclass(frozen=True, slots=True)
class Sample:
    """A real telegram and what libmbus read: unit ("" for none) and number by record, None where unknown."""

    data: bytes
    units: Sequence[str]
    numbers: Numbers


def samples(folder: Path) -> list[Sample]:
    """All telegrams of a folder. Raises SystemExit where there are none."""
    found = [_sample(path) for path in sorted(folder.glob("*.hex"))]
    if not found:
        raise SystemExit(f"{folder} holds no telegrams")
    return found


def _sample(path: Path) -> Sample:
    units, numbers = [], []
    for n, record in enumerate(ElementTree.parse(path.with_suffix(".norm.xml")).findall("DataRecord")):
        unit = record.findtext("Unit") or ""
        known = unit in UNITS and (path.stem, n) not in LIBMBUS_IS_WRONG
        units.append(unit if known else "")
        numbers.append(_number(record.findtext("Value")) if known else None)
    return Sample(bytes.fromhex(path.read_text()), units, numbers)


def is_right(library: Library, sample: Sample) -> bool:
    """True where a library reads every number that libmbus read; in float32 to six digits."""
    try:
        numbers = library.numbers(library.decode(sample.data), sample.units)
    except Exception:  # whatever a library does with a telegram that it cannot read
        return False
    return len(numbers) == len(sample.numbers) and all(
        right is None or (number is not None and isclose(number, right, rel_tol=1e-6, abs_tol=1e-6))
        for number, right in zip(numbers, sample.numbers, strict=True)
    )


def microseconds(library: Library, telegrams: Iterable[bytes]) -> float:
    """Mean over the telegrams of the quickest of several decodings each."""
    times = [min(_seconds(library.decode, data) for _ in range(ROUNDS)) for data in telegrams]
    return 1e6 * sum(times) / len(times)


def _seconds(decoder: Callable[[bytes], object], data: bytes) -> float:
    begun = time.perf_counter()
    with suppress(Exception):  # it gives up; the time until then counts
        decoder(data)
    return time.perf_counter() - begun


def measure(folder: Path) -> Iterator[Measurement]:
    """Our time beside that of each other library, then how many telegrams each of them reads right."""
    known = samples(folder)
    telegrams = [sample.data for sample in known]
    ours, *others = ((library, microseconds(library, telegrams)) for library in LIBRARIES)
    for library, taken in others:
        wanted = "<= 0.333" if library.name == "pyMeterBus" else ""
        name = f"decode {len(known)} real telegrams, mean, beside {library.name}"
        yield Measurement(name, ours[1], "us/telegram", taken, wanted)
    for library in LIBRARIES:
        right = sum(is_right(library, sample) for sample in known)
        wanted = ">= 1" if library is ours[0] else ""
        yield Measurement(f"telegrams with every number right: {library.name}", right, "", len(known), wanted)


if __name__ == "__main__":
    logging.disable()  # pyMeterBus sets up logging when imported
    show(measure(Path(sys.argv[1]) if len(sys.argv) > 1 else TELEGRAMS))
