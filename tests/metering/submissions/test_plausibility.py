"""Plausibility of a value that a person read: against what was read before, and the register's own rate."""

from datetime import UTC, datetime, timedelta

from metering.submissions.plausibility import BilledRegister, KnownReading, ReadingHistory, refusal

NOW = datetime(2026, 6, 28, 9, tzinfo=UTC)
WATER = BilledRegister(1, "KAM-06855817", "8-0:1.0.0", "m3", 100_000_000_000)
HOUR, WEEK = timedelta(hours=1), timedelta(days=7)


def readings(count: int, apart: timedelta, step: int) -> tuple[KnownReading, ...]:
    """So many until an hour ago, up to 100 m3."""
    return tuple(KnownReading(NOW - HOUR - n * apart, 100_000_000 - n * step) for n in reversed(range(count)))


def name(used: int, weekly: tuple[KnownReading, ...], latest: tuple[KnownReading, ...]) -> str | None:
    found = refusal(100_000_000 + used, NOW, WATER, ReadingHistory(weekly, latest, None))
    return None if found is None else found.name


def test_five_times_a_usual_week_and_some_units_on_top_are_plausible() -> None:
    """The register is read once a week by a person: nothing is known of its hours."""
    weekly = readings(10, WEEK, 2_000_000)
    assert name(14_900_000, weekly, weekly) is None
    assert name(15_100_000, weekly, weekly) == "reading-too-high"


def test_more_than_the_judge_can_believe_is_not_plausible() -> None:
    """Ten litres an hour, each hour: five cubic metres in one are no consumption."""
    weekly, latest = readings(10, WEEK, 1_680_000), readings(1000, HOUR, 10_000)
    assert name(400_000, weekly, latest) is None
    assert name(600_000, weekly, latest) == "reading-too-high"


def test_of_a_register_that_was_hardly_read_anything_is_plausible_and_of_one_that_rests_a_little() -> None:
    few = readings(2, HOUR, 1_000)
    assert name(5_000_000_000, few, few) is None
    rests = readings(10, WEEK, 0)
    assert name(4_900_000, rests, rests) is None
    assert name(5_100_000, rests, rests) == "reading-too-high"
