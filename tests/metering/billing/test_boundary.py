"""The ladder of boundary values: the first that exists, and why the better ones were not taken."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from metering.billing.boundary import (
    Boundary,
    Limits,
    Method,
    Missing,
    ReadingAt,
    RegisterEvent,
    Surroundings,
    boundary,
)
from telemetry.quality import Quality
from telemetry.status import Status

AT = datetime(2026, 10, 31, 23, tzinfo=UTC)
LIMITS = Limits(timedelta(hours=2), timedelta(days=3))


def reading(hours: float, value: int, status: Status = Status(0)) -> ReadingAt:
    return ReadingAt(AT + timedelta(hours=hours), value, status)


def found(around: Surroundings) -> Boundary:
    result = boundary(around, LIMITS)
    assert isinstance(result, Boundary)
    return result


def missing(around: Surroundings) -> Missing:
    result = boundary(around, LIMITS)
    assert isinstance(result, Missing)
    return result


def test_value_that_the_meter_kept_for_the_instant_comes_first() -> None:
    kept = reading(0, 500, Status.HISTORICAL)
    result = found(Surroundings(AT, kept, kept))
    assert (result.method, result.value, result.passed_over) == (Method.SET_DAY, 500, ())
    assert result.method.quality is Quality.VALID


def test_value_kept_for_another_instant_is_an_ordinary_reading() -> None:
    assert found(Surroundings(AT, reading(-1, 500, Status.HISTORICAL), None)).method is Method.READING


def test_nearest_reading_within_the_tolerance_is_taken() -> None:
    result = found(Surroundings(AT, reading(-1, 500), reading(0.5, 510)))
    assert (result.method, result.value) == (Method.READING, 510)
    assert result.settled_at == AT + timedelta(hours=0.5)
    assert result.passed_over == ("set_day: the meter's own value for this instant is not there",)


def test_of_two_equally_near_the_earlier_is_taken() -> None:
    assert found(Surroundings(AT, reading(-1, 500), reading(1, 510))).value == 500


def test_tolerance_itself_is_near_enough() -> None:
    assert found(Surroundings(AT, None, reading(2, 510))).method is Method.READING


def test_interpolates_between_readings_that_are_too_far() -> None:
    result = found(Surroundings(AT, reading(-10, 1000), reading(30, 2000)))
    assert (result.method, result.value) == (Method.INTERPOLATION, 1250)
    assert result.method.quality is Quality.INTERPOLATED
    assert "the nearest is 10 h away, the tolerance 2 h" in result.passed_over[1]


def test_interpolation_rounds_half_to_even() -> None:
    assert found(Surroundings(AT, reading(-3, 0), reading(3, 5))).value == 2
    assert found(Surroundings(AT, reading(-3, 0), reading(3, 7))).value == 4


def test_gap_longer_than_the_limit_is_not_bridged() -> None:
    result = missing(Surroundings(AT, reading(-40, 0), reading(40, 5)))
    assert result.reason == "gap_too_long"
    assert "the gap of 80 h exceeds the limit of 3 days" in result.passed_over[-1]


def test_one_side_alone_cannot_be_interpolated() -> None:
    assert missing(Surroundings(AT, reading(-5, 0), None)).reason == "no_reading_after"
    assert missing(Surroundings(AT, None, reading(5, 0))).reason == "no_reading_before"
    assert missing(Surroundings(AT, None, None)).reason == "no_reading_before"


def test_nothing_is_interpolated_across_a_reset() -> None:
    event = RegisterEvent(AT + timedelta(hours=1), "reset")
    assert missing(Surroundings(AT, reading(-5, 90), reading(5, 3), events=(event,))).reason == "reset"


def test_interpolation_across_a_rollover_knows_on_which_side_it_is() -> None:
    rollover = (RegisterEvent(AT + timedelta(hours=8), "rollover"),)
    before = found(Surroundings(AT, reading(-4, 980), reading(8, 10), capacity=1000, events=rollover))
    assert (before.value, before.settled_at) == (990, AT - timedelta(hours=4))
    after = found(Surroundings(AT, reading(-8, 980), reading(4, 10), capacity=1000, events=rollover[:0]))
    assert after.method is Method.INTERPOLATION
    rolled = (RegisterEvent(AT + timedelta(hours=4), "rollover"),)
    after = found(Surroundings(AT, reading(-8, 980), reading(4, 10), capacity=1000, events=rolled))
    assert (after.value, after.settled_at) == (0, AT + timedelta(hours=4))


def test_what_was_written_down_at_the_installation_comes_before_all() -> None:
    result = found(Surroundings(AT, reading(0, 500, Status.HISTORICAL), None, noted=7))
    assert (result.method, result.value) == (Method.INSTALLATION, 7)


@given(st.integers(1, 71), st.integers(1, 71), st.integers(0, 10**15), st.integers(0, 10**12))
def test_interpolation_never_leaves_its_readings(back: int, ahead: int, low: int, rise: int) -> None:
    limits = Limits(timedelta(0), timedelta(days=6))
    result = boundary(Surroundings(AT, reading(-back, low), reading(ahead, low + rise)), limits)
    assert isinstance(result, Boundary)
    assert low <= result.value <= low + rise
    exact = low * (back + ahead) + rise * back
    assert abs(result.value * (back + ahead) - exact) * 2 <= back + ahead
