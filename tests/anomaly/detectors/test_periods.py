"""Rules about periods and people."""

from datetime import date

import pytest

from anomaly.detectors.periods import InWindow, SubmissionWindow, prolonged_estimation
from telemetry.quality import Quality

E, V = Quality.ESTIMATED, Quality.VALID


@pytest.mark.parametrize(
    ("qualities", "running"),
    [([], None), ([E, E, E], None), ([V, E, E, E, E], 4), ([E, E, E, E, V], None), ([E, V, E, E, E], None)],
)
def test_the_fourth_estimated_period_running_is_one_too_many(
    qualities: list[Quality], running: int | None
) -> None:
    assert prolonged_estimation(qualities) == running


@pytest.mark.parametrize(
    ("day", "answer"),
    [
        (14, (InWindow.EARLY, 15)),
        (15, (InWindow.OPEN, 25)),
        (25, (InWindow.OPEN, 25)),
        (26, (InWindow.LATE, 25)),
    ],
)
def test_window_in_the_middle_of_a_month(day: int, answer: tuple[InWindow, int]) -> None:
    assert SubmissionWindow(15, 25).judge(date(2026, 5, day)) == answer


@pytest.mark.parametrize(
    ("day", "answer"),
    [
        (24, (InWindow.EARLY, 25)),
        (25, (InWindow.OPEN, 1)),
        (31, (InWindow.OPEN, 1)),
        (1, (InWindow.OPEN, 1)),
        (2, (InWindow.EARLY, 25)),
    ],
)
def test_window_across_the_end_of_a_month(day: int, answer: tuple[InWindow, int]) -> None:
    assert SubmissionWindow(25, 1).judge(date(2026, 5, day)) == answer
