"""Profiles of optical meters, which differ in block check, access, pauses and names of registers.

`Target.profile` names one of `PROFILES`; none is "iec".
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from drivers.driver import Target
from drivers.errors import DriverError
from drivers.optical.codec.dataset import DataSet, Value
from drivers.optical.codec.telegram import BlockCheck


class ReadoutMethod(StrEnum):
    """Method by which a meter's present values are read."""

    READOUT = "readout"  # modes A, B, C: all at once, after the sign-on
    REGISTERS = "registers"  # programming mode: one register after the other
    PUSH = "push"  # mode D: the meter speaks by itself


@dataclass(frozen=True, slots=True)
class NamedRegister:
    """A register with a name of the maker's own: what its values are, one after the other, and their unit."""

    name: str
    addresses: tuple[str, ...]
    unit: str = ""


@dataclass(frozen=True, slots=True)
class OpticalProfile:
    """Profile of a kind of meter (or head). Addresses are those that the meter knows.

    `switch_pause` in seconds, from the last bit of the acknowledgement to the new speed; None for what the
    meter's reaction time asks for. `registers` are read where `access` is REGISTERS, `identity` before a
    load profile. `opening` carries `Target.password`. What was kept at the end of a month is read from
    `month` with the argument mm.yy, or where there is none from `months` with `*F`; `kept_months` of them are
    read once a day beside the present. `clock_write` is "" where nobody documents how the clock is set.
    """

    name: str
    description: str
    check: BlockCheck = BlockCheck.XOR
    access: ReadoutMethod = ReadoutMethod.READOUT
    switch_pause: float | None = None
    registers: tuple[str, ...] = ()
    named: tuple[NamedRegister, ...] = ()
    identity: tuple[str, ...] = ("C.1.0", "0.0.0")
    opening: str = "P1"
    date: str = "0.9.2"
    time: str = "0.9.1"
    clock_write: str = "W1"
    kept_months: int = 0
    months: tuple[str, ...] = ("1.8.0", "1.8.1", "1.8.2", "2.8.0")
    month: NamedRegister | None = None
    load_profile: str = "P.01"
    load_profile_command: str = "R5"

    def translate(self, sets: Iterable[DataSet]) -> list[DataSet]:
        """Registers of the maker's own as OBIS data sets; what has no entry is left as it is."""
        return _translated(sets, self.named)

    def translate_month(self, sets: Iterable[DataSet]) -> list[DataSet]:
        """The same of what was kept for a month: its name is none of the present."""
        return _translated(sets, (self.month,) if self.month else ())


def _translated(sets: Iterable[DataSet], named: Iterable[NamedRegister]) -> list[DataSet]:
    """Several values stand in one data set, in lines of parentheses only, or in lines of the same name."""
    names = {one.name: one for one in named}
    translated: list[DataSet] = []
    counts: dict[str, int] = {}
    last = ""
    for one in sets:
        last = one.address or last
        if (known := names.get(last)) is None:
            translated.append(one)
            continue
        for value in one.values:
            position = counts.get(last, 0)
            counts[last] = position + 1
            if position < len(known.addresses):
                measured = Value(value.text, value.unit or known.unit)
                translated.append(DataSet(known.addresses[position], (measured,)))
    return translated


# Names, units and order of values: the traffic of a real CE301 v12 in the tests of energomera-hass-mqtt, and
# the README of esphome-energomera-iec (CE102M, CE301 and CE303 v11), both after Energomera's "Руководство
# пользователя CE301 и CE303". Power is kW, energy kWh with the total first, then tariffs 1 to 5.
_TARIFFS = ("1.8.0", "1.8.1", "1.8.2", "1.8.3", "1.8.4", "1.8.5")
_ENERGOMERA = (
    NamedRegister("SNUMB", ("C.1.0",)),
    NamedRegister("DATE_", ("0.9.2",)),
    NamedRegister("TIME_", ("0.9.1",)),
    NamedRegister("ET0PE", _TARIFFS, "kWh"),
    NamedRegister("POWEP", ("16.7.0",), "kW"),
    NamedRegister("POWPP", ("36.7.0", "56.7.0", "76.7.0"), "kW"),
    NamedRegister("VOLTA", ("32.7.0", "52.7.0", "72.7.0"), "V"),
    NamedRegister("CURRE", ("31.7.0", "51.7.0", "71.7.0"), "A"),
    NamedRegister("FREQU", ("14.7.0",), "Hz"),
)
# The counter at the end of a month: in that traffic ENMPE of the last month + ECMPE = ET0PE to the last digit
_ENERGOMERA_MONTH = NamedRegister("ENMPE", _TARIFFS, "kWh")


def _energomera(name: str, description: str, access: ReadoutMethod) -> OpticalProfile:
    return OpticalProfile(
        name,
        description,
        check=BlockCheck.SUM,
        access=access,
        named=_ENERGOMERA,
        registers=("DATE_", "TIME_", "SNUMB", "ET0PE", "POWEP", "POWPP", "VOLTA", "CURRE", "FREQU"),
        identity=("SNUMB",),
        date="DATE_",
        time="TIME_",
        clock_write="",
        kept_months=2,
        month=_ENERGOMERA_MONTH,
        load_profile="",
    )


_REGISTERS = (
    # the clock first, for it is compared with ours
    *("0.9.2", "0.9.1", "C.1.0", "F.F", "1.8.0", "1.8.1", "1.8.2", "2.8.0", "2.8.1", "2.8.2"),
    *("3.8.0", "4.8.0", "1.7.0", "32.7.0", "52.7.0", "72.7.0", "31.7.0", "51.7.0", "71.7.0"),
)

PROFILES = {
    profile.name: profile
    for profile in (
        OpticalProfile("iec", "readout of modes A, B and C"),
        OpticalProfile(
            "iec-slow-head", "the same, behind a head that changes speed slowly", switch_pause=0.35
        ),
        OpticalProfile(
            "iec-registers",
            "meters whose readout leaves registers out: one by one in programming mode",
            access=ReadoutMethod.REGISTERS,
            registers=_REGISTERS,
            kept_months=2,
        ),
        OpticalProfile(
            "iec-blocks",
            "readout; load profiles by R6, in partial blocks",
            load_profile_command="R6",
        ),
        OpticalProfile("iec-push", "mode D: the meter speaks by itself", access=ReadoutMethod.PUSH),
        _energomera("energomera", "CE102M, CE301, CE303: readout, block check by sum", ReadoutMethod.READOUT),
        _energomera(
            "energomera-registers",
            "CE102M, CE301, CE303: registers one by one in programming mode",
            ReadoutMethod.REGISTERS,
        ),
    )
}


def profile_of(target: Target) -> OpticalProfile:
    """The profile that a target names. Raises DriverError."""
    try:
        return PROFILES[target.profile or "iec"]
    except KeyError:
        raise DriverError(
            f"no optical profile {target.profile!r}", advice=f"take one of {', '.join(PROFILES)}"
        ) from None
