"""Reads profiles from TOML: Hesper's own in `drivers/profiles/`, or an operator's by path.

A profile carries its source, its registers, and golden answers: register words with the values expected of
them, which the tests read through the driver. `docs/profiles.md` describes the file.
"""

import tomllib
from collections.abc import Iterator
from difflib import get_close_matches
from fractions import Fraction
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from drivers.errors import DriverError
from drivers.line import SerialSettings
from drivers.modbus.encoding import Encoding, WordOrder
from drivers.modbus.profile import Check, Golden, Probe, Profile, Register
from telemetry.obis import Obis
from telemetry.units import unit as ucum

_Address = Annotated[int, Meta(ge=0, le=0xFFFF)]
_Function = Literal[3, 4]


class ProfileError(DriverError, ValueError):
    """A profile that cannot be used; the text names the file and the register."""

    advice = "see docs/profiles.md for what a profile holds"


class _Defaults(Struct, forbid_unknown_fields=True):
    function: _Function = 4
    encoding: Encoding = Encoding.FLOAT32
    word_order: WordOrder = WordOrder.BIG
    scale: int | str = 1
    sentinels: list[int] | dict[Encoding, list[int]] = []


class _Register(Struct, forbid_unknown_fields=True):
    obis: str
    address: _Address
    unit: str
    comment: str = ""
    function: _Function | None = None
    encoding: Encoding | None = None
    word_order: WordOrder | None = None
    scale: int | str | None = None
    sentinels: list[int] | None = None


class _Block(Struct, forbid_unknown_fields=True):
    function: _Function
    address: _Address
    words: str


class _Golden(Struct, forbid_unknown_fields=True):
    comment: str
    blocks: list[_Block]
    values: dict[str, str]


class _Check(Struct, forbid_unknown_fields=True):
    obis: str
    low: int | str
    high: int | str


class _Probe(Struct, forbid_unknown_fields=True):
    checks: Annotated[list[_Check], Meta(min_length=1)]
    shared: list[str] = []


class _File(Struct, forbid_unknown_fields=True):
    protocol: Literal["modbus"]
    title: str
    source: str
    registers: list[dict[str, int | str | list[int]]]
    serial: str | None = None
    pause_ms: Annotated[int, Meta(ge=0, le=5_000)] = 0
    defaults: _Defaults = msgspec.field(default_factory=_Defaults)
    golden: list[_Golden] = []
    probe: _Probe | None = None


def profile_names() -> list[str]:
    """Names of the Modbus profiles that Hesper brings."""
    return sorted(path.name.removesuffix(".toml") for path in _shipped())


def load_profile(name: str) -> Profile:
    """The profile of that name, or of a path that ends in .toml. Raises ProfileError."""
    if name.endswith(".toml"):
        return _read(Path(name))
    for path in _shipped():
        if path.name == f"{name}.toml":
            return _read(path)
    known = profile_names()
    near = [one for one in known if name.lower() in one] or get_close_matches(name.lower(), known)
    raise ProfileError(
        f"no profile {name!r}", advice=f"take one of {', '.join(near or known)}, or the path of a .toml file"
    )


def parse_profile(text: str, name: str) -> Profile:
    """The profile in a TOML text. Raises ProfileError, naming `name` and the register."""
    try:
        # floats stay text, so that 0.1 is exactly a tenth
        content = msgspec.convert(tomllib.loads(text, parse_float=str), _File)
        settings = None if content.serial is None else SerialSettings.parse(content.serial)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, ValueError) as error:
        raise ProfileError(f"profile {name}: {error}") from None
    registers = tuple(_register(row, content.defaults, name) for row in content.registers)
    _check_overlaps(registers, name)
    return Profile(
        name=name,
        title=content.title,
        source=content.source,
        settings=settings,
        pause=content.pause_ms / 1000,
        registers=registers,
        golden=tuple(_golden(golden, name) for golden in content.golden),
        probe=None if content.probe is None else _probe(content.probe, registers, name),
    )


def _shipped() -> Iterator[Traversable]:
    for path in files("drivers").joinpath("profiles").iterdir():
        if path.name.endswith(".toml") and 'protocol = "modbus"' in path.read_text("utf-8"):
            yield path


def _read(path: Traversable) -> Profile:
    try:
        return parse_profile(path.read_text("utf-8"), path.name.removesuffix(".toml"))
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(f"profile {path.name}: {error}") from None


def _register(row: dict[str, int | str | list[int]], defaults: _Defaults, profile: str) -> Register:
    try:
        given = msgspec.convert(row, _Register)
        encoding = given.encoding or defaults.encoding
        register = Register(
            obis=str(Obis.parse(given.obis)),
            function=given.function or defaults.function,
            address=given.address,
            encoding=encoding,
            word_order=given.word_order or defaults.word_order,
            scale=Fraction(defaults.scale if given.scale is None else given.scale),
            unit=given.unit,
            sentinels=frozenset(_sentinels(given, defaults, encoding)),
            comment=given.comment,
        )
        _check_meaning(register)
    except (msgspec.ValidationError, ValueError, ZeroDivisionError) as error:
        raise ProfileError(f"profile {profile}, register {row.get('obis', row)}: {error}") from None
    return register


def _sentinels(given: _Register, defaults: _Defaults, encoding: Encoding) -> list[int]:
    if given.sentinels is not None:
        return given.sentinels
    usual = defaults.sentinels
    return usual.get(encoding, []) if isinstance(usual, dict) else usual


def _check_meaning(register: Register) -> None:
    """Raises ValueError for a scale of 0, a unit of another dimension, or what does not fit."""
    if register.scale == 0:
        raise ValueError("a scale of 0 makes every value 0")
    usual = Obis.parse(register.obis).unit
    if usual is not None and ucum(register.unit).dimension != ucum(usual).dimension:
        raise ValueError(f"{register.unit} cannot be the unit of a register that is read in {usual}")
    ucum(register.unit)
    if any(not 0 <= bits < 1 << (16 * register.encoding.words) for bits in register.sentinels):
        raise ValueError(f"a sentinel does not fit {register.encoding}")
    if register.end > 0x10000:
        raise ValueError("the value runs beyond address 0xFFFF")


def _check_overlaps(registers: tuple[Register, ...], profile: str) -> None:
    named: set[str] = set()
    taken: dict[tuple[int, int], str] = {}
    for register in registers:
        if register.obis in named:
            raise ProfileError(f"profile {profile}, register {register.obis}: named twice")
        named.add(register.obis)
        for address in range(register.address, register.end):
            other = taken.setdefault((register.function, address), register.obis)
            if other != register.obis:
                raise ProfileError(
                    f"profile {profile}, register {register.obis}: address 0x{address:04X} belongs to {other}"
                )


def _golden(golden: _Golden, profile: str) -> Golden:
    words: dict[tuple[int, int], int] = {}
    for block in golden.blocks:
        try:
            numbers = [int(word, 16) for word in block.words.split()]
            if any(not 0 <= number <= 0xFFFF for number in numbers):
                raise ValueError("a register has four hexadecimal digits")
        except ValueError as error:
            raise ProfileError(f"profile {profile}, golden block 0x{block.address:04X}: {error}") from None
        words |= {
            (block.function, block.address + position): number for position, number in enumerate(numbers)
        }
    return Golden(golden.comment, words, golden.values)


def _probe(probe: _Probe, registers: tuple[Register, ...], profile: str) -> Probe:
    named = {register.obis: register for register in registers}
    checks: list[Check] = []
    for check in probe.checks:
        try:
            if check.obis not in named:
                raise ValueError("the profile has no such register")
            low, high = Fraction(check.low), Fraction(check.high)
            if low > high:
                raise ValueError(f"no value lies between {check.low} and {check.high}")
        except (ValueError, ZeroDivisionError) as error:
            raise ProfileError(f"profile {profile}, probe of {check.obis}: {error}") from None
        checks.append(Check(named[check.obis], low, high))
    return Probe(tuple(checks), frozenset(probe.shared))
