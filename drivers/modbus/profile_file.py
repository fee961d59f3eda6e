"""Profiles in TOML: Hesper's own in `drivers/profiles/`, or an operator's by path.

A profile carries its source, its registers, and golden answers: register words with the values expected of
them, which the tests read through the driver. `docs/profiles.md` describes the file.
"""

import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from fractions import Fraction
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from drivers.errors import DriverError
from drivers.line import SerialSettings
from drivers.modbus.encoding import Encoding, WordOrder
from drivers.modbus.profile import (
    Bits,
    Exponent,
    GoldenAnswers,
    ModbusProfile,
    ProfileCheck,
    ProfileIdentity,
    ProfileProbe,
    ProfileRegister,
)
from telemetry.meter_id import check_meter_id
from telemetry.obis import Obis
from telemetry.units import unit as ucum

_Address = Annotated[int, Meta(ge=0, le=0xFFFF)]
_Function = Literal[3, 4]
_Bit = Annotated[int, Meta(ge=0, le=63)]


class ProfileError(DriverError, ValueError):
    """A profile that cannot be used; the text names the file and the register."""

    advice = "see docs/profiles.md for what a profile holds"


class _Defaults(Struct, forbid_unknown_fields=True):
    function: _Function = 4
    encoding: Encoding = Encoding.FLOAT32
    word_order: WordOrder = WordOrder.BIG
    scale: int | str = 1
    sentinels: list[int] | dict[Encoding, list[int]] = []


class _Register(_Defaults, forbid_unknown_fields=True, kw_only=True):
    obis: str
    address: _Address
    unit: str
    comment: str = ""
    exponent: _Address | None = None
    bits: tuple[_Bit, _Bit] | None = None


class _Identity(Struct, forbid_unknown_fields=True):
    address: _Address
    encoding: Encoding | None = None  # None: text
    function: _Function = 3
    words: Annotated[int, Meta(ge=1, le=32)] | None = None
    word_order: WordOrder = WordOrder.BIG
    maker: str | None = None


class _Block(Struct, forbid_unknown_fields=True):
    function: _Function
    address: _Address
    words: str


class _Golden(Struct, forbid_unknown_fields=True):
    comment: str
    blocks: list[_Block]
    values: dict[str, str]
    serial: str | None = None


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
    identity: _Identity | None = None


def profile_names() -> list[str]:
    """Names of the Modbus profiles that Hesper brings."""
    return sorted(_shipped())


def load_profile(name: str) -> ModbusProfile:
    """The profile of that name, or of a path that ends in .toml. Raises ProfileError."""
    if name.endswith(".toml"):
        return _read(Path(name))
    if name in _shipped():
        return _shipped_profile(name)
    known = profile_names()
    near = [one for one in known if name.lower() in one] or get_close_matches(name.lower(), known)
    raise ProfileError(
        f"no profile {name!r}", advice=f"take one of {', '.join(near or known)}, or the path of a .toml file"
    )


def parse_profile(text: str, name: str) -> ModbusProfile:
    """The profile in a TOML text. Raises ProfileError, naming `name` and the register."""
    try:
        # floats stay text, so that 0.1 is exactly a tenth
        content = msgspec.convert(tomllib.loads(text, parse_float=str), _File)
        settings = None if content.serial is None else SerialSettings.parse(content.serial)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, ValueError) as error:
        raise ProfileError(f"profile {name}: {error}") from None
    registers = tuple(_register(row, content.defaults, name) for row in content.registers)
    _check_overlaps(registers, name)
    return ModbusProfile(
        name=name,
        title=content.title,
        source=content.source,
        settings=settings,
        pause=content.pause_ms / 1000,
        registers=registers,
        golden=tuple(_golden(golden, name) for golden in content.golden),
        probe=None if content.probe is None else _probe(content.probe, registers, name),
        identity=None if content.identity is None else _identity(content.identity, name),
    )


@cache
def _shipped() -> Mapping[str, Traversable]:
    """Files of the profiles that Hesper brings, by name; read once, as what is parsed of them."""
    folder = files("drivers").joinpath("profiles")
    return {
        path.name.removesuffix(".toml"): path
        for path in folder.iterdir()
        if path.name.endswith(".toml") and 'protocol = "modbus"' in path.read_text("utf-8")
    }


@cache
def _shipped_profile(name: str) -> ModbusProfile:
    return _read(_shipped()[name])


def _read(path: Traversable) -> ModbusProfile:
    try:
        return parse_profile(path.read_text("utf-8"), path.name.removesuffix(".toml"))
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(f"profile {path.name}: {error}") from None


def _register(row: dict[str, int | str | list[int]], defaults: _Defaults, profile: str) -> ProfileRegister:
    try:
        given = msgspec.convert({**msgspec.to_builtins(defaults), **row}, _Register)
        sentinels = given.sentinels
        if isinstance(sentinels, dict):
            sentinels = sentinels.get(given.encoding, [])
        register = ProfileRegister(
            obis=str(Obis.parse(given.obis)),
            function=given.function,
            address=given.address,
            encoding=given.encoding,
            word_order=given.word_order,
            scale=Fraction(given.scale),
            unit=given.unit,
            sentinels=frozenset(sentinels),
            comment=given.comment,
            exponent=None if given.exponent is None else Exponent(given.function, given.exponent),
            bits=None if given.bits is None else Bits(*given.bits),
        )
        _check_meaning(register)
    except (msgspec.ValidationError, ValueError, ZeroDivisionError) as error:
        raise ProfileError(f"profile {profile}, register {row.get('obis', row)}: {error}") from None
    return register


def _check_meaning(register: ProfileRegister) -> None:
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
    bits = register.bits
    if bits is not None and not (
        register.encoding.is_integer and bits.low <= bits.high < register.encoding.bits
    ):
        raise ValueError(
            f"bits are the first and the last of a field within {register.encoding}, such as [0, 3]"
        )


def _check_overlaps(registers: tuple[ProfileRegister, ...], profile: str) -> None:
    named: set[str] = set()
    taken: dict[tuple[int, int], ProfileRegister] = {}
    for register in registers:
        if register.obis in named:
            raise ProfileError(f"profile {profile}, register {register.obis}: named twice")
        named.add(register.obis)
        for address in range(register.address, register.end):
            other = taken.setdefault((register.function, address), register)
            if other is not register and not _share(register, other):
                where = f"profile {profile}, register {register.obis}"
                raise ProfileError(f"{where}: address 0x{address:04X} belongs to {other.obis}")


def _share(one: ProfileRegister, other: ProfileRegister) -> bool:
    """Whether both are bit fields of the same integer."""
    same = (one.address, one.encoding, one.word_order) == (other.address, other.encoding, other.word_order)
    return same and one.bits is not None and other.bits is not None


def _identity(given: _Identity, profile: str) -> ProfileIdentity:
    encoding = given.encoding
    try:
        if encoding is not None and (encoding.is_float or given.words not in (None, encoding.words)):
            raise ValueError(f"a serial number of {given.words} registers cannot be {encoding}")
        if encoding is None and given.words is None:
            raise ValueError("write its encoding, or for text how many registers it takes: words = 8")
        if given.maker is not None:
            check_meter_id(f"{given.maker}-1")
    except ValueError as error:
        raise ProfileError(f"profile {profile}, identity: {error}") from None
    return ProfileIdentity(
        function=given.function,
        address=given.address,
        count=given.words or (encoding.words if encoding else 0),
        encoding=encoding,
        word_order=given.word_order,
        maker=given.maker,
    )


def _golden(golden: _Golden, profile: str) -> GoldenAnswers:
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
    return GoldenAnswers(golden.comment, words, golden.values, golden.serial)


def _probe(probe: _Probe, registers: tuple[ProfileRegister, ...], profile: str) -> ProfileProbe:
    named = {register.obis: register for register in registers}
    checks: list[ProfileCheck] = []
    for check in probe.checks:
        try:
            if check.obis not in named:
                raise ValueError("the profile has no such register")
            low, high = Fraction(check.low), Fraction(check.high)
            if low > high:
                raise ValueError(f"no value lies between {check.low} and {check.high}")
        except (ValueError, ZeroDivisionError) as error:
            raise ProfileError(f"profile {profile}, probe of {check.obis}: {error}") from None
        checks.append(ProfileCheck(named[check.obis], low, high))
    return ProfileProbe(tuple(checks), frozenset(probe.shared))
