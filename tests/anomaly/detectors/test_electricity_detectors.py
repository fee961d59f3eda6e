"""Electricity: use that goes past the meter, phases, base load, and export where nothing is generated."""

from dataclasses import replace

import numpy as np

from anomaly.catalogue import parameters_of
from anomaly.detectors.electricity import ElectricityParameters
from telemetry.findings import Severity
from telemetry.obis import Obis
from telemetry.status import Status
from tests.support.blocks import UNIT, at, block, findings, register, shown, used

IMPORT = "1-0:1.8.0"
DAY = [100.0] * 6 + [400.0] * 18  # watt-hours an hour
DAYS = 80


def flat(part: float = 1.0, more: float = 0.0, first: int = 50, last: int = DAYS) -> np.ndarray:
    """Watt-hours of each hour; from day `first` to day `last` a part of them, and some more."""
    hours = np.tile(DAY, DAYS)
    hours[first * 24 : last * 24] = hours[first * 24 : last * 24] * part + more
    return hours


def test_nights_and_days_at_a_third_are_like_a_bypass() -> None:
    (finding,) = findings(used(register(IMPORT), flat(1 / 3)), "theft_like_drop")
    assert (finding.started_at, finding.ended_at, finding.severity) == (at(50 * 24), None, Severity.ALARM)
    assert finding.evidence["usual_day"] == "7.8"
    assert finding.evidence["day_since"] == "2.6"
    assert finding.evidence["missing"] == "156"


def test_an_empty_flat_keeps_its_nights_and_is_no_theft() -> None:
    hours = flat()
    hours[50 * 24 :] = 100.0
    assert not findings(used(register(IMPORT), hours), "theft_like_drop")


def test_a_drop_that_comes_back_ends() -> None:
    (finding,) = findings(used(register(IMPORT), flat(0.3, last=65)), "theft_like_drop")
    assert (finding.started_at, finding.ended_at) == (at(50 * 24), at(65 * 24))


def test_base_load_that_jumps() -> None:
    (finding,) = findings(used(register(IMPORT), flat(more=200.0)), "base_load_jump")
    assert finding.evidence["usual_night_per_hour"] == "0.1"
    assert finding.evidence["night_since_per_hour"] == "0.3"
    assert finding.evidence["more"] == "144"


def test_a_night_out_of_five_is_no_jump() -> None:
    assert not findings(used(register(IMPORT), flat(more=200.0, last=53)), "base_load_jump")


def test_one_phase_that_carries_nearly_all() -> None:
    parts = np.full((3, 24 * 20), 100.0)
    parts[0, 240:] = 280.0
    parts[1:, 240:] = 10.0
    phases = [used(register(f"1-0:{20 * n + 21}.8.0"), part) for n, part in enumerate(parts)]
    (finding,) = findings(block(used(register(IMPORT), parts.sum(axis=0)), *phases), "phase_imbalance")
    assert (finding.started_at, finding.ended_at) == (at(240), None)
    assert finding.evidence == {
        "share_l1": "93.3 %",
        "share_l2": "3.3 %",
        "share_l3": "3.3 %",
        "limit": "66.7 %",
    }


def test_energy_fed_in_where_nothing_is_generated() -> None:
    fed = np.zeros(24 * 20)
    fed[120:168] = 50.0
    made = [used(register(IMPORT), np.full(24 * 20, 300.0)), used(register("1-0:2.8.0"), fed)]
    (finding,) = findings(block(*made), "negative_load")
    assert finding.evidence == {"fed_in": "2.4", "days": 2}
    generates = parameters_of(Obis.parse(IMPORT)).having(ElectricityParameters(generates=True))
    made[0] = replace(made[0], register=register(IMPORT, parameters=generates))
    assert not findings(block(*made), "negative_load")


def test_power_below_zero_twice() -> None:
    watts = np.full(24 * 20, 300 * UNIT)
    watts[100] = watts[200] = watts[201] = -50 * UNIT
    made = block(used(register(IMPORT), np.full(24 * 20, 300.0)), shown(register("1-0:16.7.0"), watts))
    (finding,) = findings(made, "negative_load")
    assert (finding.started_at, finding.ended_at) == (at(200), at(202))
    assert finding.evidence["lowest"] == "-50"


def test_tamper_is_an_alarm() -> None:
    status = np.zeros(100, dtype=np.int64)
    status[90:] = int(Status.TAMPER)
    (finding,) = findings(shown(register(IMPORT), np.arange(100) * 300_000, status=status), "tamper")
    assert (finding.severity, finding.ended_at) == (Severity.ALARM, None)
