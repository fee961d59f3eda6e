"""The rules of a registry document that need no database. Each error names the entry and the remedy."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from metering.registry.entries import (
    ContractEntry,
    FuseEntry,
    InstallationEntry,
    MeterEntry,
    RegisterEntry,
    Registry,
    UtilityEntry,
    VerificationEntry,
)
from telemetry.meter_id import MeterIdError, check_meter_id
from telemetry.micro import ValueOutOfRangeError, to_micro
from telemetry.obis import Medium, Obis, ObisError
from telemetry.topics import TopicError, check_segment
from telemetry.units import UnitError, unit

MAX_DIGITS = 9  # a stored value stays below 9e9 units
_MEDIA = {medium.label: medium for medium in Medium}


class RegistryError(ValueError):
    """An entry that cannot be used: `entry` says which, the message why, `advice` what to write instead."""

    def __init__(self, entry: str, message: str, advice: str) -> None:
        super().__init__(f"{entry}: {message}")
        self.entry = entry
        self.advice = advice


def medium_of(medium: Medium | str) -> Medium:
    """The medium of a number or label. Raises KeyError."""
    return medium if isinstance(medium, Medium) else _MEDIA[medium]


def check(registry: Registry) -> None:
    """Raises RegistryError for the first entry that breaks a rule."""
    for problem in problems(registry):
        raise problem


def problems(registry: Registry) -> Iterator[RegistryError]:
    """Each entry that breaks a rule, by the first that it breaks."""
    yield from _unique("the document", "utilities", (utility.code for utility in registry.utilities))
    for utility in registry.utilities:
        yield from _problems_of_utility(utility)


def _problems_of_utility(utility: UtilityEntry) -> Iterator[RegistryError]:
    name = f"utility {utility.code}"
    yield from _caught(_check_utility, name, utility)
    for kind in ("sites", "gateways", "meters", "service_points"):
        yield from _unique(name, kind, (entry.code for entry in getattr(utility, kind)))
    for gateway in utility.gateways:
        place = f"{name}, gateway {gateway.code}"
        yield from _caught(_segment, place, gateway.code)
        yield from _unique(place, "lines", (line.code for line in gateway.lines))
    for meter in utility.meters:
        place = f"{name}, meter {meter.code}"
        yield from _caught(_check_meter, place, meter)
        yield from _unique(place, "registers", (register.obis for register in meter.registers))
        for register in meter.registers:
            yield from _caught(_check_register, f"{place}, register {register.obis}", register)
        for verification in meter.verifications:
            where = f"{place}, verification of {verification.on}"
            yield from _caught(_check_verification, where, verification)
    for point in utility.service_points:
        place = f"{name}, service point {point.code}"
        yield from _caught(_medium, place, point.medium)
        for installation in point.installations:
            where = f"{place}, installation of {installation.meter}"
            yield from _caught(check_installation, where, installation)
        for fuse in point.fuses:
            yield from _caught(_check_fuse, f"{place}, fuse of {fuse.since}", fuse)
        for contract in point.contracts:
            where = f"{place}, contract from {contract.valid_from}"
            yield from _caught(_check_span, where, contract)


def _caught(rule: Callable[[str, Any], None], name: str, entry: Any) -> Iterator[RegistryError]:
    try:
        rule(name, entry)
    except RegistryError as error:
        yield error


def _check_utility(name: str, utility: UtilityEntry) -> None:
    _segment(name, utility.code)
    try:
        ZoneInfo(utility.time_zone)
    except (ValueError, OSError, KeyError) as error:  # ZoneInfoNotFoundError is a KeyError
        raise RegistryError(
            name, f"unknown time zone {utility.time_zone!r}", "use an IANA name such as Europe/Madrid"
        ) from error
    if utility.reading_day is not None and not 1 <= utility.reading_day <= 28:
        raise RegistryError(name, f"reading_day is {utility.reading_day}", "choose a day from 1 to 28")
    for limit in (utility.boundary_tolerance, utility.interpolation_limit):
        _positive(name, limit)


def _check_meter(name: str, meter: MeterEntry) -> None:
    try:
        check_meter_id(meter.code)
    except MeterIdError as error:
        raise RegistryError(name, str(error), "use the meter id that the driver reports") from error
    _medium(name, meter.medium)
    if meter.line is not None and meter.gateway is None:
        raise RegistryError(name, f"is on line {meter.line} of no gateway", "name the gateway too")
    if meter.qmax is not None and not _is_positive(meter.qmax):
        raise RegistryError(name, f"qmax is {meter.qmax!r}", 'write the flow in m3/h as text, such as "2.5"')
    if meter.imax is not None:
        _check_current(name, "imax", meter.imax)
        if meter.phases is None:
            raise RegistryError(name, "has an imax and no phases", "say whether phases is 1 or 3")
    if meter.phases is not None:
        _check_phases(name, meter.phases)


def _is_positive(amount: str) -> bool:
    try:
        return to_micro(amount) > 0
    except ValueOutOfRangeError:
        return False


def _check_current(name: str, what: str, amperes: str) -> None:
    if not _is_positive(amperes):
        raise RegistryError(name, f"{what} is {amperes!r}", 'write the current in A as text, such as "63"')


def _check_phases(name: str, phases: int) -> None:
    if phases not in (1, 3):
        raise RegistryError(name, f"phases is {phases}", "write 1 or 3")


def _check_fuse(name: str, fuse: FuseEntry) -> None:
    _check_current(name, "amperes", fuse.amperes)
    _check_phases(name, fuse.phases)


def _check_verification(name: str, verification: VerificationEntry) -> None:
    if verification.until <= verification.on:
        raise RegistryError(name, "ends before it begins", "let `until` lie after `on`")


def _check_register(name: str, register: RegisterEntry) -> None:
    try:
        obis = Obis.parse(register.obis)
        if register.unit is not None:
            unit(register.unit)
        elif obis.unit is None:
            raise RegistryError(name, "no unit is usual for this code", 'add its unit, such as unit = "m3"')
    except ObisError as error:
        raise RegistryError(name, str(error), "write the code as the driver reports it") from error
    except UnitError as error:
        raise RegistryError(name, str(error), "use one of the known codes") from error
    if register.digits is not None and not 1 <= register.digits <= MAX_DIGITS:
        raise RegistryError(
            name,
            f"digits is {register.digits}",
            f"count the integer digits of the display, 1 to {MAX_DIGITS}",
        )
    _positive(name, register.interval)
    _positive(name, register.boundary_tolerance)


def _check_span(name: str, entry: ContractEntry | InstallationEntry) -> None:
    start, end = entry.valid_from, entry.valid_to
    if end is not None and (start.tzinfo is None) != (end.tzinfo is None):
        raise RegistryError(name, "one instant has an offset, the other none", "write both the same way")
    if end is not None and end <= start:
        raise RegistryError(name, "ends before it begins", "let valid_to lie after valid_from")


def check_installation(name: str, installation: InstallationEntry) -> None:
    _check_span(name, installation)
    try:
        multiplier = Decimal(installation.multiplier)
    except InvalidOperation:
        multiplier = Decimal(0)
    if not multiplier.is_finite() or multiplier <= 0:
        raise RegistryError(
            name,
            f"multiplier is {installation.multiplier!r}",
            'write a positive number as text, such as "40"',
        )
    for obis, value in (*installation.start_values.items(), *installation.end_values.items()):
        try:
            Obis.parse(obis)
            to_micro(value)
        except (ObisError, ValueOutOfRangeError) as error:
            raise RegistryError(name, str(error), 'write values as {"8-0:1.0.0" = "123.456"}') from error


def _medium(name: str, medium: Medium | str) -> None:
    try:
        medium_of(medium)
    except KeyError as error:
        raise RegistryError(name, f"unknown medium {medium!r}", f"use one of: {', '.join(_MEDIA)}") from error


def _segment(name: str, code: str) -> None:
    try:
        check_segment(code)
    except TopicError as error:
        raise RegistryError(name, str(error), "choose another code") from error


def _positive(name: str, duration: timedelta | None) -> None:
    if duration is not None and duration <= timedelta(0):
        raise RegistryError(
            name, f"the duration {duration} is not positive", "write one such as PT15M or P3D"
        )


def _unique(name: str, kind: str, codes: Iterable[str]) -> Iterator[RegistryError]:
    for code, times in Counter(codes).items():
        if times > 1:
            yield RegistryError(name, f"{kind} lists {code} twice", "keep one of them")
