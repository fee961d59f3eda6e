"""OBIS registers of M-Bus records (EN 13757-1, and the table in telemetry/obis.py).

A is the device's medium, B the subunit, E the tariff. Only an instantaneous value without a note that
changes its meaning has a name; a maximum, a value during error state or a manufacturer's variant never has.
"""

from drivers.mbus.codec import vif
from drivers.mbus.codec.dif import Function
from drivers.mbus.codec.records import Record
from drivers.mbus.codec.vife import NEGATIVE_ONLY, PHASES, POSITIVE_ONLY
from telemetry.obis import Medium, Obis

_MEDIA = {
    0x02: Medium.ELECTRICITY,
    0x03: Medium.GAS,
    0x04: Medium.HEAT,
    0x06: Medium.HOT_WATER,
    0x07: Medium.COLD_WATER,
    0x08: Medium.HEAT_COST,
    0x0A: Medium.COOLING,
    0x0B: Medium.COOLING,
    0x0C: Medium.HEAT,
    0x0D: Medium.HEAT,  # heat and cooling: what it counts negatively is cooling
    0x15: Medium.HOT_WATER,
    0x16: Medium.COLD_WATER,
}
_HEAT_AND_COOLING = 0x0D

_THERMAL = {
    vif.ENERGY: (1, 0),
    vif.VOLUME: (2, 0),
    vif.MASS: (3, 0),
    vif.POWER: (8, 0),
    vif.FLOW: (9, 0),
    vif.FLOW_TEMPERATURE: (10, 0),
    vif.RETURN_TEMPERATURE: (11, 0),
    vif.TEMPERATURE_DIFFERENCE: (12, 0),
}
_WATER = {
    vif.VOLUME: (1, 0),
    vif.FLOW: (2, 0),
    vif.FLOW_TEMPERATURE: (3, 0),
    vif.EXTERNAL_TEMPERATURE: (3, 0),
}
_QUANTITIES = {
    Medium.ELECTRICITY: {
        vif.ENERGY: (1, 8),
        vif.REACTIVE_ENERGY: (3, 8),
        vif.APPARENT_ENERGY: (9, 8),
        vif.POWER: (16, 7),  # signed, so the sum of both directions
        vif.REACTIVE_POWER: (130, 7),
        vif.APPARENT_POWER: (9, 7),
        vif.CURRENT: (11, 7),
        vif.VOLTAGE: (12, 7),
        vif.FREQUENCY: (14, 7),
    },
    Medium.HEAT_COST: {vif.HEAT_COST_UNITS: (1, 0)},
    Medium.COOLING: _THERMAL,
    Medium.HEAT: _THERMAL,
    Medium.GAS: {
        vif.VOLUME: (3, 0),
        vif.FLOW: (43, 0),
        vif.FLOW_TEMPERATURE: (41, 0),
        vif.EXTERNAL_TEMPERATURE: (41, 0),
    },
    Medium.COLD_WATER: _WATER,
    Medium.HOT_WATER: _WATER,
}
_EXPORTED = {(1, 8): (2, 8), (3, 8): (4, 8), (9, 8): (10, 8), (16, 7): (2, 7)}
_IMPORTED = {(16, 7): (1, 7)}
_PHASE_STEP = 20  # C of L1 is C of the sum + 20, of L2 + 40, of L3 + 60


def register(record: Record, medium: int | None) -> Obis | None:
    """The register that a record is a value of, at whatever instant; None where it is none that we know.

    `medium` is the device type of the header.
    """
    if record.function is not Function.INSTANTANEOUS or record.number is None:
        return None
    if max(record.subunit, record.tariff) > 255:
        return None
    if record.quantity == vif.OPERATING_TIME and not record.notes:
        return _known(Obis(Medium.ABSTRACT, record.subunit, 96, 8, record.tariff))
    group = _MEDIA.get(medium) if medium is not None else None
    code = _QUANTITIES[group].get(record.quantity) if group is not None else None
    if group is None or code is None:
        return None
    if group is Medium.ELECTRICITY:
        c_d = _electricity(code, record.notes)
        return _known(Obis(group, record.subunit, *c_d, record.tariff)) if c_d else None
    if record.notes == (NEGATIVE_ONLY,) and medium == _HEAT_AND_COOLING:
        return _known(Obis(Medium.COOLING, record.subunit, *code, record.tariff))
    if record.notes not in ((), (POSITIVE_ONLY,)):
        return None
    return _known(Obis(group, record.subunit, *code, record.tariff))


def _electricity(code: tuple[int, int], notes: tuple[str, ...]) -> tuple[int, int] | None:
    """C and D after direction and phase, None where a note says something else."""
    for note in notes:
        if note == NEGATIVE_ONLY and code in _EXPORTED:
            code = _EXPORTED[code]
        elif note == POSITIVE_ONLY:
            code = _IMPORTED.get(code, code)
        elif note in PHASES and code[0] < _PHASE_STEP:
            code = (code[0] + _PHASE_STEP * (1 + PHASES.index(note)), code[1])
        elif note in PHASES and code[0] == 130:
            code = (150 + _PHASE_STEP * PHASES.index(note), code[1])
        else:
            return None
    return code


def _known(code: Obis) -> Obis | None:
    return code if code.definition else None
