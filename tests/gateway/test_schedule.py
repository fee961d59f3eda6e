"""Slots are aligned to the local clock, also where the clock is changed."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.schedule import (
    Every,
    Midnight,
    Schedule,
    ScheduleError,
    Since,
    is_midnight,
    parse_interval,
    parse_schedule,
)

ZONES = ["Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "America/Havana", "America/Santiago", "UTC",
         "Africa/Cairo", "Pacific/Apia", "Asia/Kathmandu", "America/St_Johns"]  # fmt: skip
INTERVALS = ["10s", "1min", "15min", "30min", "1h"]

naive = datetime(2000, 1, 2), datetime(2040, 1, 1)  # noqa: DTZ001 - hypothesis wants bounds without a zone
instants = st.datetimes(*naive, timezones=st.just(UTC))
zones = st.sampled_from(ZONES).map(ZoneInfo)


@st.composite
def near_clock_changes(draw: st.DrawFn) -> datetime:
    """Instants within three hours of a change of the clock in Berlin, Lord Howe, Havana or Santiago."""
    change = draw(
        st.sampled_from(
            [
                datetime(2026, 3, 29, 1, tzinfo=UTC),
                datetime(2026, 10, 25, 1, tzinfo=UTC),
                datetime(2026, 4, 4, 15, tzinfo=UTC),
                datetime(2026, 10, 3, 15, 30, tzinfo=UTC),
                datetime(2026, 3, 8, 5, tzinfo=UTC),
                datetime(2026, 11, 1, 5, tzinfo=UTC),
                datetime(2026, 9, 6, 4, tzinfo=UTC),
                datetime(2026, 4, 5, 3, tzinfo=UTC),
            ]
        )
    )
    return change + timedelta(seconds=draw(st.floats(-10_800, 10_800)))


def assert_slots_are_consistent(schedule: Schedule, instant: datetime) -> None:
    latest, following = schedule.latest(instant), schedule.next_after(instant)
    assert latest <= instant < following
    assert schedule.latest(latest) == latest, "a slot is its own latest slot"
    assert schedule.next_after(latest) == following, "no slot lies between latest and next"
    assert schedule.latest(following) == following
    assert schedule.latest(following - timedelta(microseconds=1)) == latest


@given(st.one_of(instants, near_clock_changes()), zones, st.sampled_from(INTERVALS))
def test_every_instant_lies_between_two_neighbouring_slots(
    instant: datetime, zone: ZoneInfo, text: str
) -> None:
    assert_slots_are_consistent(parse_schedule(text, zone), instant)


@given(st.one_of(instants, near_clock_changes()), zones)
def test_every_instant_lies_between_two_local_midnights(instant: datetime, zone: ZoneInfo) -> None:
    schedule = Midnight(zone)
    assert_slots_are_consistent(schedule, instant)
    assert schedule.latest(instant).astimezone(zone).date() in (
        instant.astimezone(zone).date(),
        # a day that Apia left out (2011-12-30) begins and ends with the next one
        instant.astimezone(zone).date() - timedelta(days=1),
    )


@given(st.one_of(instants, near_clock_changes()), zones, st.sampled_from(INTERVALS))
def test_slots_show_a_multiple_of_the_interval_on_the_local_clock(
    instant: datetime, zone: ZoneInfo, text: str
) -> None:
    schedule = parse_schedule(text, zone)
    local = schedule.next_after(instant).astimezone(zone)
    in_hour = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    assert in_hour % schedule.period == timedelta(0)


def test_quarter_hours_stand_on_the_quarters() -> None:
    schedule = parse_schedule("15min", ZoneInfo("Europe/Berlin"))
    assert schedule.next_after(datetime(2026, 11, 22, 10, 15, tzinfo=UTC)) == datetime(
        2026, 11, 22, 10, 30, tzinfo=UTC
    )
    assert schedule.latest(datetime(2026, 11, 22, 10, 29, 59, tzinfo=UTC)) == datetime(
        2026, 11, 22, 10, 15, tzinfo=UTC
    )


def test_hours_stand_on_the_local_hour_where_the_zone_is_half_an_hour_off() -> None:
    schedule = parse_schedule("1h", ZoneInfo("Asia/Kolkata"))
    assert schedule.next_after(datetime(2026, 11, 22, 10, 0, tzinfo=UTC)) == datetime(
        2026, 11, 22, 10, 30, tzinfo=UTC
    )


@pytest.mark.parametrize(("day", "hours"), [((2026, 3, 29), 23), ((2026, 10, 25), 25), ((2026, 11, 22), 24)])
def test_days_of_23_and_25_hours_have_one_midnight(day: tuple[int, int, int], hours: int) -> None:
    zone = ZoneInfo("Europe/Berlin")
    schedule = Midnight(zone)
    begin = schedule.latest(datetime(*day, 12, tzinfo=zone))
    assert schedule.next_after(begin) - begin == timedelta(hours=hours)
    slots = list(Every(timedelta(minutes=15), zone).between(begin, schedule.next_after(begin)))
    assert len(slots) == hours * 4
    assert [slot for slot in slots if is_midnight(slot, zone)] == [schedule.next_after(begin)]


@given(
    st.one_of(instants, near_clock_changes()),
    zones,
    st.lists(st.sampled_from([*INTERVALS, "midnight"]), min_size=2, max_size=3, unique=True),
)
def test_combined_schedules_have_the_slots_of_all_their_parts(
    instant: datetime, zone: ZoneInfo, texts: list[str]
) -> None:
    schedule = parse_schedule(texts, zone)
    assert_slots_are_consistent(schedule, instant)
    until = instant + timedelta(hours=3)
    parts = [parse_schedule(text, zone) for text in texts]
    every = {slot for part in parts for slot in part.between(instant, until)}
    assert list(schedule.between(instant, until)) == sorted(every)
    assert str(schedule) == " and ".join(texts)


@given(instants, instants, st.integers(1, 3600))
def test_a_schedule_without_a_clock_counts_from_where_it_began(
    begin: datetime, instant: datetime, seconds: int
) -> None:
    schedule = Since(begin, timedelta(seconds=seconds))
    assert_slots_are_consistent(schedule, instant)
    assert schedule.latest(begin) == begin


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("90s", timedelta(seconds=90)),
        ("15min", timedelta(minutes=15)),
        ("2h", timedelta(hours=2)),
        ("7d", timedelta(days=7)),
    ],
)
def test_a_length_of_time_is_a_number_and_a_unit(text: str, length: timedelta) -> None:
    assert parse_interval(text) == length


@pytest.mark.parametrize("text", ["", "1", "0h", "1w", "-1h", "1.5h"])
def test_what_is_no_length_of_time_is_refused_with_the_remedy(text: str) -> None:
    with pytest.raises(ScheduleError, match="write a number and its unit"):
        parse_interval(text)


def test_a_midnight_that_the_clock_skips_is_the_instant_of_the_change() -> None:
    schedule = Midnight(ZoneInfo("America/Santiago"))  # 2026-09-06 begins at 01:00
    assert schedule.latest(datetime(2026, 9, 6, 12, tzinfo=UTC)) == datetime(2026, 9, 6, 4, tzinfo=UTC)


@pytest.mark.parametrize("text", ["7min", "0s", "2h", "1d", "daily", "", "15", "-1h"])
def test_what_does_not_divide_the_hour_is_refused_with_the_remedy(text: str) -> None:
    with pytest.raises(ScheduleError, match="use an interval that divides the hour"):
        parse_schedule(text, UTC)


@pytest.mark.parametrize("text", ["15min", "1h", "10s", "midnight"])
def test_a_schedule_prints_as_it_is_configured(text: str) -> None:
    assert str(parse_schedule(text, UTC)) == text
