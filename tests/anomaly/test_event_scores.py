"""The bench's scores: an event is found once, and what is neither planted nor known is a false alarm."""

import numpy as np

from anomaly.input.series import DAY, HOUR
from bench.events import AFTER, BEFORE, Event, Score, Trial, first_said, score
from bench.planted import FAULTS

TRIAL = Trial(start=100 * DAY, end=110 * DAY, months=12.0, known=(Event("leak", 10 * DAY, 20 * DAY),))


def said(*spans: tuple[int, int | None]) -> list[Event]:
    return [Event("leak", start * DAY, None if end is None else end * DAY) for start, end in spans]


def test_two_findings_of_one_planted_event_count_once() -> None:
    assert score([TRIAL], [said((101, 103), (105, 108))]) == Score(1, 1, 0, 12.0)


def test_what_is_known_to_be_real_is_no_false_alarm() -> None:
    assert score([TRIAL], [said((12, 14), (50, 51))]) == Score(1, 0, 1, 12.0)


def test_an_open_finding_from_before_counts_as_found() -> None:
    assert score([TRIAL], [said((99, None))]).recall == 1.0


def test_nothing_said_is_missed_and_harms_nobody() -> None:
    scored = score([TRIAL], [[]])
    assert (scored.recall, scored.false_alarms) == (0.0, 0)
    assert np.isnan(scored.precision)


def test_a_finding_just_beside_the_event_is_about_it_and_one_further_away_is_not() -> None:
    late = Event("leak", TRIAL.end + AFTER, TRIAL.end + AFTER + HOUR)
    later = Event("leak", TRIAL.end + AFTER + 1, TRIAL.end + AFTER + HOUR)
    early = Event("leak", 90 * DAY, TRIAL.start - BEFORE - 1)
    assert [each.overlaps(TRIAL.start, TRIAL.end) for each in (late, later, early)] == [True, False, False]


def test_delay_is_when_it_would_first_have_been_said() -> None:
    def judged(which: list[int], until: list[int]) -> list[list[Event]]:
        return [said((101, None)) if instant >= 103 * DAY else [] for instant in until]

    assert first_said([TRIAL], judged) == [72.0]


def test_every_plant_changes_a_series_from_its_beginning_on_only() -> None:
    times = np.arange(400 * 24, dtype=np.int64) * HOUR
    values = np.cumsum(np.random.default_rng(3).integers(0, 20, len(times))) * 1_000 + 10**8
    for fault in FAULTS:
        planted = fault.plant(np.random.default_rng(5), times, values, times, values * 3)
        before = int(np.searchsorted(planted.times, planted.start))
        assert (planted.values[:before] == values[:before]).all(), fault.name
        same = len(planted.values) == len(values) and (planted.values == values).all()
        assert not same, fault.name
