"""What goes wrong with heat: temperatures, sensors, and energy and volume that do not belong together.

Water carries 1.163 kWh a cubic metre and kelvin (EN 1434 uses exact heat coefficients; for a plausibility
this will do), so energy and volume of a day give the mean cooling that the meter must have seen.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from anomaly.episodes import Hysteresis
from anomaly.input.series import DAY, BoolArray, FloatArray, Int64Array
from anomaly.parameters import LITRE, WATT_HOUR, Counted, CountedRegister, RuleParameters
from anomaly.rule import Duration, Rule
from anomaly.workspace import Hit, Study, mean, said, scale
from telemetry.findings import Severity
from telemetry.obis import Medium
from telemetry.units import ratio

RETURN_TEMPERATURE = "heat.return_temperature"
SMALL_DIFFERENCE = "heat.small_difference"
SWAPPED_SENSORS = "heat.swapped_sensors"
NO_VOLUME = "heat.energy_without_volume"
NO_ENERGY = "heat.volume_without_energy"
OFF_SEASON = "heat.off_season"
_KWH_PER_M3_KELVIN = 1.163
_BEFORE = 56  # days
_NO_COOLING = 0.5  # kelvin: less than this is no energy at all


@dataclass(frozen=True, slots=True)
class HeatParameters(RuleParameters):
    """Limits of heat. Temperatures in millionths of a degree or kelvin. `return_high`: return temperature of
    a day with flow; `difference`: smallest sensible cooling; `energy`, `volume`: a day's amounts that are
    more than nothing; `summer`: local months without heating; `days`: in a row."""

    name = "heat"
    return_high: int = 55_000_000
    difference: int = 5_000_000
    energy: int = 2_000 * WATT_HOUR
    volume: int = 100 * LITRE
    summer: tuple[int, ...] = (6, 7, 8)
    days: int = 3

    @classmethod
    def usual(cls, of: CountedRegister) -> Self | None:
        """Heat energy."""
        return cls() if of.counts is Counted.HEAT else None

    @property
    def days_learned(self) -> int:
        """Days before each week from which the usual cooling is taken."""
        return _BEFORE


@dataclass(frozen=True, slots=True)
class _Meter:
    """Day by day, shape (days,): `energy` micro-kWh, `volume` micro-m3, temperatures micro-degrees, NaN where
    there is none. `row` is the energy register's."""

    row: int
    rule: HeatParameters
    energy: FloatArray
    volume: FloatArray
    flow: FloatArray
    back: FloatArray
    month: Int64Array

    @property
    def cooling(self) -> FloatArray:
        """Mean cooling in micro-kelvin that energy and volume amount to; NaN without both."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.volume > 0, self.energy / self.volume / _KWH_PER_M3_KELVIN * 1e6, np.nan)


def detect(study: Study) -> list[Hit]:
    """All heat detectors, on every meter with a heat energy register."""
    hits = []
    for meter in _meters(study):
        rule = meter.rule
        with np.errstate(invalid="ignore"):
            running = meter.volume >= rule.volume
            heating = meter.energy >= rule.energy
            reversed_ = meter.back > meter.flow
            nothing = meter.cooling < _NO_COOLING * 1e6
            hot = running & (meter.back > rule.return_high)
            small = running & ~nothing & (meter.cooling < rule.difference) & ~reversed_
            summer = np.isin(meter.month, rule.summer)
        known = ~np.isnan(meter.volume)
        conditions = (
            (RETURN_TEMPERATURE, Severity.WARNING, hot, known & ~np.isnan(meter.back)),
            (SMALL_DIFFERENCE, Severity.WARNING, small, known & ~np.isnan(meter.energy)),
            (
                SWAPPED_SENSORS,
                Severity.ALARM,
                running & reversed_,
                running & ~np.isnan(meter.back + meter.flow),
            ),
            (NO_VOLUME, Severity.ALARM, heating & (meter.volume < rule.volume / 10), known),
            (NO_ENERGY, Severity.ALARM, running & nothing & ~reversed_, known & ~np.isnan(meter.energy)),
            (OFF_SEASON, Severity.INFO, heating & summer, ~np.isnan(meter.energy)),
        )
        for kind, severity, on, judged in conditions:
            hits += _events(study, meter, kind, severity, (on, judged & ~on))
    return hits


def _events(
    study: Study, meter: _Meter, kind: str, severity: Severity, days: tuple[BoolArray, BoolArray]
) -> list[Hit]:
    """Episodes of days that are wrong, until as many are not. `days`: those, and these."""
    on, off = days
    by = Hysteresis(meter.rule.days, meter.rule.days)
    hits = []
    for episode in study.spells(meter.row, on, off, by):
        part = episode.days
        evidence: dict[str, str | int] = {
            "energy": said(np.nansum(meter.energy[part])),
            "volume": said(np.nansum(meter.volume[part])),
            "cooling": said(mean(meter.cooling[part])),
            "flow_temperature": _temperature(meter.flow[part]),
            "return_temperature": _temperature(meter.back[part]),
            "days": int(np.count_nonzero(on[part])),
        }
        if kind == RETURN_TEMPERATURE:
            evidence["limit"] = said(meter.rule.return_high)
        elif kind == SMALL_DIFFERENCE:
            evidence["limit"] = said(meter.rule.difference)
        elif kind == NO_ENERGY:
            evidence["lost"] = _unbilled(meter, part)
        hits.append(study.by_days(kind, severity, episode, evidence, row=meter.row))
    return hits


def _unbilled(meter: _Meter, part: slice) -> str:
    """Energy that the volume would have carried at the cooling of the days and weeks before with energy."""
    cooling = meter.cooling[max(0, part.start - _BEFORE) : part.stop]
    usual = cooling[cooling >= _NO_COOLING * 1e6]
    if not len(usual):
        return "unknown"
    return said(np.nansum(meter.volume[part]) * float(np.median(usual)) / 1e6 * _KWH_PER_M3_KELVIN)


def _temperature(x: FloatArray) -> str:
    return "unknown" if np.isnan(x).all() else said(mean(x))


def _meters(study: Study) -> list[_Meter]:
    rows = {(each.meter, each.obis.b, each.obis.c): row for row, each in enumerate(study.block.registers)
            if each.obis.medium is Medium.HEAT and each.obis.d == 0 and each.obis.e == 0}  # fmt: skip
    meters = []
    count = study.days.total.shape[1]
    noon = (study.days.first + np.arange(count)) * DAY + DAY // 2
    month = np.asarray(noon.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64) % 12 + 1)
    for (meter, channel, quantity), row in rows.items():
        register = study.block.registers[row]
        given = register.parameters.get(HeatParameters)
        if quantity != 1 or given is None or not study.heard(row):
            continue
        volume = rows.get((meter, channel, 2))
        meters.append(
            _Meter(
                row,
                given,
                study.days.total[row] / scale(register),
                _cubic_metres(study, volume, count),
                _levels(study, rows.get((meter, channel, 10)), count),
                _levels(study, rows.get((meter, channel, 11)), count),
                month,
            )
        )
    return meters


def _cubic_metres(study: Study, row: int | None, count: int) -> FloatArray:
    if row is None:
        return np.full(count, np.nan)
    unit = study.block.registers[row].unit or "m3"
    return np.asarray(study.days.total[row] * float(ratio(unit, "m3")))


def _levels(study: Study, row: int | None, count: int) -> FloatArray:
    return np.full(count, np.nan) if row is None else study.days.level[row]


def _rule(kind: str, says: str, severity: Severity, uses: str, *more: str) -> Rule:
    evidence = ("energy volume cooling flow_temperature return_temperature days", *more)
    return Rule(
        kind, says, (severity,), " ".join(evidence), lasts=Duration.DAYS, parameters=HeatParameters, uses=uses
    )


_HOT = "the return is too hot while water flows"
_LOST = "water without energy; what it would have carried"
RULES = (
    _rule(RETURN_TEMPERATURE, _HOT, Severity.WARNING, "return_high volume days", "limit"),
    _rule(SMALL_DIFFERENCE, "water flows and hardly cools", Severity.WARNING, "difference", "limit"),
    _rule(SWAPPED_SENSORS, "the return is hotter than the flow", Severity.ALARM, "volume"),
    _rule(NO_VOLUME, "energy without the water that carries it", Severity.ALARM, "energy"),
    _rule(NO_ENERGY, _LOST, Severity.ALARM, "volume", "lost"),
    _rule(OFF_SEASON, "heating in summer", Severity.INFO, "energy summer"),
)
DETECTORS = (detect,)
