"""Use that is not as it was: the finding says what a normal value would have been."""

import numpy as np

from tests.support.blocks import NIGHT_REST, at, findings, register, used

POWER = "1-0:1.8.0"


def test_another_level_ends_when_it_has_become_the_normal_one() -> None:
    hours = [*map(float, NIGHT_REST), *(10.0 * each for each in NIGHT_REST * 2)]
    (finding,) = findings(used(register(), hours), "level_shift")
    assert (finding.started_at, finding.ended_at) == (at(70 * 24), at(160 * 24))
    assert finding.evidence["usual_day"] == "0.144"
    assert finding.evidence["day_since"] == "1.44"


def test_three_weeks_away_are_a_level_that_comes_back() -> None:
    hours = [*(3 * each for each in NIGHT_REST), *[0] * 24 * 21, *(3 * each for each in NIGHT_REST)]
    (finding,) = findings(used(register(), hours), "level_shift")
    assert (finding.started_at, finding.ended_at) == (at(70 * 24), at(91 * 24))
    assert finding.evidence["difference_a_day"] == "-0.432"


def test_ten_days_away_are_no_other_level() -> None:
    hours = [*(3 * each for each in NIGHT_REST), *[0] * 24 * 10, *(3 * each for each in NIGHT_REST)]
    assert not findings(used(register(), hours), "level_shift")


def evenings(weeks: int) -> np.ndarray:
    """Watt-hours: 200 an hour, on Saturday evenings 1,000; a little different every week."""
    hours = np.tile(np.full(168, 200.0), weeks).reshape(weeks, 168)
    hours[:, 5 * 24 + 18 : 5 * 24 + 23] = 1000.0
    return (hours + np.arange(weeks)[:, None] % 3 * 20).ravel()


def test_odd_hours_are_measured_against_the_same_hours_of_past_weeks() -> None:
    hours = evenings(12)
    tuesday = 10 * 168 + 24
    hours[tuesday + 18 : tuesday + 22] = 1500.0
    (finding,) = findings(used(register(POWER), hours), "seasonal_outlier")
    assert (finding.started_at, finding.ended_at) == (at(tuesday + 18), at(tuesday + 22))
    assert finding.evidence["used"] == "6"
    assert finding.evidence["normal"] == "0.88"
    assert finding.evidence["learned_from_weeks"] == 8


def test_what_happens_every_saturday_is_not_odd() -> None:
    assert not findings(used(register(POWER), evenings(12)), "seasonal_outlier")


def test_hours_are_not_odd_before_enough_weeks_say_how_they_vary() -> None:
    for weeks, told in ((4, 0), (5, 0), (6, 1)):
        hours = evenings(12)
        hours[weeks * 168 + 42 : weeks * 168 + 46] = 1500.0
        assert len(findings(used(register(POWER), hours), "seasonal_outlier")) == told


def test_an_odd_hour_alone_is_not_told() -> None:
    hours = evenings(12)
    hours[10 * 168 + 40 : 10 * 168 + 42] = 3000.0
    assert not findings(used(register(POWER), hours), "seasonal_outlier")
