"""Events that do not flap."""

import numpy as np

from anomaly.boundary.steps import recent
from anomaly.episodes import Episode, Hysteresis, departures, episodes

NAN = float("nan")


def spans(days: str, by: Hysteresis) -> list[tuple[int, int | None]]:
    """`x` counts towards the event, `.` towards its end, `?` is not known."""
    on, off = (np.array([[day == sign for day in days]]) for sign in "x.")
    return [(each.first, each.end) for each in episodes((on, off), (off, on), by)]


def test_opens_after_some_days_from_the_first_of_them_and_closes_likewise() -> None:
    assert spans("..xxx.....", Hysteresis(3, 2)) == [(2, 5)]


def test_a_day_that_interrupts_begins_the_count_anew() -> None:
    assert spans(".xx.xx.xxx", Hysteresis(3, 2)) == [(7, None)]
    assert spans("xxx.x.x...", Hysteresis(3, 2)) == [(0, 7)]


def test_days_that_nobody_knows_change_nothing() -> None:
    assert spans(".x?x??x.?.", Hysteresis(3, 2)) == [(1, 7)]


def test_one_event_after_another() -> None:
    assert spans("xx..xx..", Hysteresis(2, 2)) == [(0, 2), (4, 6)]


def test_what_lasts_becomes_normal() -> None:
    assert spans("xxxxxxxxxx", Hysteresis(2, 2, settle=5)) == [(0, 5), (5, None)]


def test_what_was_normal_is_kept_from_the_beginning_of_the_event() -> None:
    x = np.array([[1.0] * 5 + [10.0] * 5 + [1.0] * 3])
    reference = np.array([[1.0] * 7 + [10.0] * 6])  # learned from days that were part of it
    (episode,) = departures(x, reference, (2.0, 0.0), (1.5, 0.0), Hysteresis(2, 2))
    assert episode == Episode(0, 5, 9, 10, 1.0)


def test_the_past_is_learned_anew_on_mondays_and_knows_nothing_of_the_present() -> None:
    x = np.arange(30, dtype=np.float64)[None]
    learned = recent(x, 4, np.array([14.0]), 1.0)  # day 4 of 1970 is a Monday
    assert np.isnan(learned[0, :14]).all()
    assert learned[0, 14:21].tolist() == [13.0] * 7
    assert learned[0, 21:28].tolist() == [20.0] * 7


def test_the_past_does_not_depend_on_where_the_series_begins() -> None:
    x = np.random.default_rng(1).random((1, 60))
    whole, part = recent(x, 0, np.array([14.0]), 0.5), recent(x[:, 10:], 10, np.array([14.0]), 0.5)
    assert np.array_equal(whole[:, 30:], part[:, 20:], equal_nan=True)
