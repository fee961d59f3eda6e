"""The plan of a line says what will happen on it: who is in time, and how much of the wire is used."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.line.plan import LinePlan, PlannedMeter, plan_line
from gateway.schedule import parse_schedule

BERLIN = ZoneInfo("Europe/Berlin")
MIDNIGHT = datetime(2026, 11, 22, tzinfo=BERLIN).astimezone(UTC)


def meters(count: int, seconds: float | None, schedule: str, prefix: str = "m") -> list[PlannedMeter]:
    return [
        PlannedMeter(f"{prefix}{number}", seconds, parse_schedule(schedule, BERLIN))
        for number in range(count)
    ]


def plan(*groups: Sequence[PlannedMeter]) -> LinePlan:
    return plan_line("line", [one for group in groups for one in group], MIDNIGHT)


def test_utilisation_is_wire_time_over_period() -> None:
    shown = plan(meters(60, 0.5, "15min"), meters(1, 36.0, "1h", "slow"), meters(1, 86.4, "midnight", "day"))
    assert shown.utilisation == pytest.approx(30 / 900 + 36 / 3600 + 86.4 / 86400)
    assert shown.fits


def test_the_rush_is_over_when_the_last_meter_due_at_midnight_has_been_read() -> None:
    shown = plan(meters(60, 0.5, "15min"), meters(10, 2.0, "midnight", "day"))
    assert shown.rush == pytest.approx(60 * 0.5 + 10 * 2.0)


def test_a_line_that_is_too_slow_names_the_slots_it_would_lose() -> None:
    shown = plan(meters(4, 20.0, "1min"))
    assert shown.utilisation == pytest.approx(80 / 60)
    assert not shown.fits
    assert {one.label for one in shown.skipped} == {"m0", "m1", "m2", "m3"}, (
        "longest ago first: nobody starves"
    )


def test_a_schedule_can_be_missed_although_the_line_is_mostly_idle() -> None:
    """Ten minutes of billing readings at midnight stand in the way of one that is due every ten seconds."""
    shown = plan(meters(1, 0.2, "10s"), meters(300, 2.0, "midnight", "day"))
    assert shown.utilisation < 0.05
    assert not shown.fits
    assert {one.label for one in shown.skipped} == {"m0"}
    assert shown.skipped[0].slot == MIDNIGHT + timedelta(seconds=10)
    assert shown.rush == pytest.approx(600.2, abs=10)


def test_what_is_due_at_midnight_comes_before_what_is_due_since() -> None:
    shown = plan(meters(2, 40.0, "1min"), meters(1, 40.0, "midnight", "day"))
    assert shown.rush == pytest.approx(120.0)


def test_a_rush_of_more_than_a_day_never_ends() -> None:
    shown = plan(meters(2, 50_000.0, "midnight"))
    assert (shown.rush, shown.fits) == (None, False)


def test_meters_of_unknown_wire_time_are_named_and_count_nothing() -> None:
    shown = plan(meters(1, None, "15min", "who"), meters(1, 9.0, "15min"))
    assert [one.label for one in shown.unknown] == ["who0"]
    assert shown.utilisation == pytest.approx(0.01)
    assert shown.fits


def test_a_line_without_meters_fits() -> None:
    assert plan([]).fits


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])
def test_days_of_23_and_25_hours_are_ordinary(day: str) -> None:
    midnight = datetime.fromisoformat(day).replace(tzinfo=BERLIN).astimezone(UTC)
    shown = plan_line("line", [*meters(3, 5.0, "15min"), *meters(2, 5.0, "midnight", "day")], midnight)
    assert (shown.fits, shown.rush) == (True, 25.0)


@given(
    st.lists(
        st.tuples(st.floats(0.1, 40.0), st.sampled_from(["1min", "5min", "15min", "1h", "midnight"])),
        min_size=1,
        max_size=12,
    )
)
def test_a_plan_that_fits_uses_no_more_than_the_line_has(rows: list[tuple[float, str]]) -> None:
    planned = [
        PlannedMeter(str(number), seconds, parse_schedule(schedule, BERLIN))
        for number, (seconds, schedule) in enumerate(rows)
    ]
    shown = plan(planned)
    if shown.fits:
        assert shown.utilisation <= 1
        assert shown.rush == pytest.approx(sum(seconds for seconds, _ in rows), abs=1e-3), "all, one by one"
    if shown.utilisation > 1:
        assert not shown.fits
