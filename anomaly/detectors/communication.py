"""The health of lines, meters and gateways: counters and gauges that the gateway reports once a minute.

The caller gives one row for each line, meter or gateway and one column for each period (an hour, say), in the
order of time; a period of which nothing was heard is NaN.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from anomaly.episodes import Hysteresis, departures
from anomaly.input.series import Evidence, FloatArray, Int64Array
from anomaly.rule import Rule
from telemetry.findings import MISSED_POLLS, Severity


@dataclass(frozen=True, slots=True)
class Limit:
    """A figure is wrong above `above` (or below it, where `low`), and well again at or within `well`.

    `opens` and `closes`: periods in a row. `per`: the figure is a share of this one (misses of polls).
    """

    kind: str
    says: str
    above: float
    well: float
    opens: int = 3
    closes: int = 6
    per: str = ""
    low: bool = False
    severity: Severity = Severity.WARNING


LIMITS: Mapping[str, Limit] = {
    "missed": Limit(MISSED_POLLS, "a share of polls without an answer", 0.2, 0.05, per="polls"),
    "crc_errors": Limit("communication.crc_errors", "damaged telegrams", 0.05, 0.01, per="exchanges"),
    "retries": Limit("communication.retries", "requests sent again", 0.2, 0.1, per="exchanges"),
    "signal_dbm": Limit("communication.signal", "radio signal too weak", -105.0, -100.0, low=True),
    "battery_volts": Limit("communication.battery", "battery voltage too low", 3.0, 3.2, low=True),
    "cpu_celsius": Limit("communication.temperature", "the gateway is too hot", 80.0, 70.0),
    "disk_used": Limit("communication.disk", "the gateway's disk fills", 0.9, 0.8, severity=Severity.ALARM),
    "clock_drift": Limit("communication.clock", "a clock is off", 60.0, 10.0),
    "returns": Limit(
        "communication.copies", "two gateways run under one name", 1.5, 0.5, 1, 2, severity=Severity.ALARM
    ),
}
KINDS = tuple(limit.kind for limit in LIMITS.values())


@dataclass(frozen=True, slots=True)
class HealthFinding:
    """An event of row `row` from the period `first` to before the period `end` (None: still open)."""

    row: int
    kind: str
    severity: Severity
    first: int
    end: int | None
    evidence: Evidence


def health(figures: Mapping[str, FloatArray], limits: Mapping[str, Limit] = LIMITS) -> list[HealthFinding]:
    """Events of all rows. `figures`: float64, shape (rows, periods), by the names of `limits` and their
    `per`.

    Counters are what was counted in each period (`increments`). A share of nothing is not known. The clock's
    drift counts in both directions.
    """
    found = []
    for name, limit in limits.items():
        if name not in figures:
            continue
        x = np.abs(figures[name]) if name == "clock_drift" else figures[name]
        if limit.per:
            with np.errstate(divide="ignore", invalid="ignore"):
                x = np.where(figures[limit.per] > 0, x / figures[limit.per], np.nan)
        sign = -1.0 if limit.low else 1.0
        rise, fall = (0.0, sign * limit.above), (0.0, sign * limit.well)
        by = Hysteresis(limit.opens, limit.closes)
        for event in departures(sign * x, np.zeros(x.shape), rise, fall, by):
            part = x[event.row, event.days]
            worst = np.nanmax(sign * part) * sign
            evidence: dict[str, str | int] = {
                "worst": f"{worst:.4g}",
                "limit": f"{limit.above:.4g}",
                "well_again_at": f"{limit.well:.4g}",
                "periods": int(np.count_nonzero(~np.isnan(part))),
            }
            span = event.first, event.end
            found.append(HealthFinding(event.row, limit.kind, limit.severity, *span, evidence))
    return sorted(found, key=lambda finding: (finding.row, finding.first, finding.kind))


def increments(counters: Int64Array) -> FloatArray:
    """What was counted in each period from counters at the ends of periods, shape (rows, periods + 1).

    A counter that fell began anew with its process: what it shows now was counted since.
    """
    grown = np.diff(counters, axis=1)
    return np.where(grown >= 0, grown, counters[:, 1:]).astype(np.float64)


RULES = tuple(
    Rule(limit.kind, limit.says, (limit.severity,), "worst limit well_again_at periods", verdict=None)
    for limit in LIMITS.values()
)
