"""Heat meters: temperatures, sensors, and energy and volume that do not belong together."""

import numpy as np
import pytest

from anomaly.input.block import Block
from anomaly.judge import examine
from telemetry.findings import Severity
from tests.support.blocks import UNIT, at, block, findings, register, shown, used

HOURS = 24 * 30
ENERGY, VOLUME, FLOW, RETURN = "6-0:1.0.0", "6-0:2.0.0", "6-0:10.0.0", "6-0:11.0.0"
WRONG = slice(240, 480)  # the hours of ten days
ALL = (
    "heat.return_temperature",
    "heat.small_difference",
    "heat.swapped_sensors",
    "heat.energy_without_volume",
    "heat.volume_without_energy",
    "heat.off_season",
)


def meter(
    *, energy: float = 1, volume: float = 1, flow: int = 60, back: int = 35, of_all: float = 2.0
) -> Block:
    """A meter in January: 2 kWh and 69 litres an hour (25 K), in `WRONG` times these, and these
    temperatures."""
    kilowatt_hours, litres = np.full(HOURS, of_all), np.full(HOURS, of_all * 34.4)
    kilowatt_hours[WRONG] *= energy
    litres[WRONG] *= volume
    flows, backs = np.full(HOURS, 60 * UNIT), np.full(HOURS, 35 * UNIT)
    flows[WRONG], backs[WRONG] = flow * UNIT, back * UNIT
    return block(
        used(register(ENERGY), kilowatt_hours * 1000),
        used(register(VOLUME), litres),
        shown(register(FLOW), flows),
        shown(register(RETURN), backs),
    )


def kinds(of: Block) -> set[str]:
    return {finding.kind for each in examine(of).judged for finding in each.findings if finding.kind in ALL}


def test_a_good_meter_says_nothing() -> None:
    assert kinds(meter()) == set()


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        ({"back": 58}, "heat.return_temperature"),
        ({"volume": 8, "back": 57 - 4, "flow": 57}, "heat.small_difference"),
        ({"flow": 35, "back": 50, "energy": 0}, "heat.swapped_sensors"),
        ({"volume": 0}, "heat.energy_without_volume"),
        ({"energy": 0}, "heat.volume_without_energy"),
    ],
)
def test_one_fault_is_one_finding_from_its_first_day_to_its_last(wrong: dict[str, int], kind: str) -> None:
    made = meter(**wrong)
    assert kinds(made) == {kind}
    (finding,) = findings(made, kind)
    assert (finding.started_at, finding.ended_at) == (at(240), at(480))
    assert finding.evidence["days"] == 10


def test_volume_without_energy_says_what_was_not_counted() -> None:
    (finding,) = findings(meter(energy=0), "heat.volume_without_energy")
    assert finding.severity is Severity.ALARM
    assert float(str(finding.evidence["lost"])) == pytest.approx(480, rel=0.01)


def test_two_hot_days_are_no_finding() -> None:
    backs = np.full(HOURS, 35 * UNIT)
    backs[240:288] = 70 * UNIT
    litres = used(register(VOLUME), np.full(HOURS, 70.0))
    made = block(used(register(ENERGY), np.full(HOURS, 2000.0)), litres, shown(register(RETURN), backs))
    assert kinds(made) == set()


def test_heat_in_summer_is_off_season() -> None:
    winter, summer = np.full(24 * 130, 2000.0), np.zeros(24 * 60)
    summer[24 * 30 : 24 * 40] = 400.0
    (finding,) = findings(used(register(ENERGY), [*winter, *np.zeros(24 * 22), *summer]), "heat.off_season")
    assert finding.evidence["energy"] == "96"
    assert finding.evidence["days"] == 10


def test_meter_without_volume_and_temperatures_is_judged_by_its_energy() -> None:
    assert kinds(block(used(register(ENERGY), np.full(HOURS, 2000.0)))) == set()
