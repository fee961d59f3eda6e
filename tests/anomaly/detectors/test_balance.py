"""House minus flats: what is left, how much of it is estimated, and whether it drifts."""

from zoneinfo import ZoneInfo

import numpy as np

from anomaly.detectors.balance import balance, drift
from anomaly.input.local_time import midnight

ZONE = ZoneInfo("Europe/Berlin")
FIRST = 19_800
DAYS = 120
M3 = 1_000_000.0


def flats() -> np.ndarray:
    return np.full((10, DAYS), 0.3 * M3)


def house(loss: float = 0.05) -> np.ndarray:
    return flats().sum(axis=0) / (1 - loss)


def test_a_steady_difference_is_no_finding() -> None:
    made = balance(FIRST, house(0.12), flats())
    assert np.allclose(made.difference / made.house, 0.12)
    assert not drift(made, ZONE)


def test_a_leak_before_the_flats_is_one_finding_with_what_was_lost() -> None:
    intake = house()
    intake[80:100] += 0.7 * M3
    (finding,) = drift(balance(FIRST, intake, flats()), ZONE)
    assert finding.kind == "balance.drift"
    assert finding.started_at == midnight(FIRST + 80, ZONE)
    assert finding.ended_at == midnight(FIRST + 100, ZONE)
    assert finding.evidence["usual_share"] == "5.0 %"
    assert finding.evidence["lost"] == "13.3"
    assert finding.evidence["days"] == 20


def test_flats_that_use_more_than_the_house_are_an_alarm() -> None:
    intake = house()
    intake[90:] *= 0.8
    kinds = [finding.kind for finding in drift(balance(FIRST, intake, flats()), ZONE)]
    assert kinds == ["balance.negative"]


def test_a_silent_flat_is_estimated_and_its_share_is_said() -> None:
    some = flats()
    some[3, 60:70] = np.nan
    made = balance(FIRST, house(), some)
    assert np.allclose(made.estimated[60:70], 0.1)
    assert np.allclose(made.difference, balance(FIRST, house(), flats()).difference)
    assert made.estimated[59] == 0


def test_too_many_silent_flats_say_nothing_about_drift() -> None:
    some = flats()
    some[:6, 60:] = np.nan
    intake = house()
    intake[80:] += 0.9 * M3
    assert not drift(balance(FIRST, intake, some), ZONE)


def test_before_anything_is_learned_a_building_with_a_silent_flat_is_not_known() -> None:
    some = flats()
    some[0, :5] = np.nan
    assert np.isnan(balance(FIRST, house(), some).difference[:5]).all()
