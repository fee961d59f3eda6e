"""Local times of a file as instants, in the two nights of the year that matter."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hesper.importer.wall_clock import NonexistentTimeError, WallClock

local = datetime.fromisoformat
MADRID = ZoneInfo("Europe/Madrid")  # 2016-10-30 02:00 to 03:00 occurs twice


def instants(*times: str) -> list[str]:
    """UTC times of day of one meter's rows in that night."""
    clock = WallClock(MADRID)
    return [
        clock.instant("m", datetime.fromisoformat(f"2016-10-30T{text}")).strftime("%H:%M:%S")
        for text in times
    ]


def test_ordinary_times_have_the_offset_of_their_day() -> None:
    clock = WallClock(MADRID)
    summer, winter = local("2016-07-01T12:00"), local("2016-12-01T12:00")
    assert clock.instant("m", summer) == datetime(2016, 7, 1, 10, tzinfo=UTC)
    assert clock.instant("m", winter) == datetime(2016, 12, 1, 11, tzinfo=UTC)


def test_the_same_local_time_twice_is_an_hour_apart() -> None:
    assert instants("01:22:34", "02:22:34", "02:22:34", "03:22:34") == [
        "23:22:34",
        "00:22:34",
        "01:22:34",
        "02:22:34",
    ]


def test_the_second_pass_begins_where_the_clock_goes_back() -> None:
    assert instants("02:27:21", "02:27:19", "03:27:19") == ["00:27:21", "01:27:19", "02:27:19"]


def test_the_second_pass_goes_on_when_the_clock_advances_again() -> None:
    assert instants("02:00:00", "02:30:00", "02:00:00", "02:30:00", "02:59:00") == [
        "00:00:00",
        "00:30:00",
        "01:00:00",
        "01:30:00",
        "01:59:00",
    ]


def test_a_first_pass_may_hold_several_rows() -> None:
    assert instants("02:37:30", "02:37:38", "02:37:38") == ["00:37:30", "00:37:38", "01:37:38"]


def test_meters_pass_the_hour_independently() -> None:
    clock = WallClock(MADRID)
    time = local("2016-10-30T02:30")
    first = clock.instant("a", time)
    assert clock.instant("b", time) == first
    assert (clock.instant("a", time) - first).total_seconds() == 3600


def test_the_next_years_hour_begins_anew() -> None:
    clock = WallClock(MADRID)
    clock.instant("m", local("2016-10-30T02:30"))
    clock.instant("m", local("2016-10-30T02:30"))
    assert clock.instant("m", local("2017-10-29T02:10")) == datetime(2017, 10, 29, 0, 10, tzinfo=UTC)


def test_a_time_that_never_was_is_an_error() -> None:
    with pytest.raises(NonexistentTimeError, match="2016-03-27T02:30:00 did not exist in Europe/Madrid"):
        WallClock(MADRID).instant("m", local("2016-03-27T02:30"))


def test_a_time_with_an_offset_is_taken_as_it_is() -> None:
    clock = WallClock(MADRID)
    assert clock.instant("m", local("2016-10-30T02:30:00+01:00")).hour == 1


@given(
    st.datetimes(local("2001-01-01T00:00"), local("2036-01-01T00:00")),
    st.sampled_from(["Europe/Madrid", "Asia/Beirut", "Australia/Lord_Howe", "America/St_Johns", "UTC"]),
)
def test_an_instant_shown_locally_is_read_back(moment: datetime, zone: str) -> None:
    instant = moment.replace(tzinfo=UTC)
    shown = instant.astimezone(ZoneInfo(zone))
    clock = WallClock(ZoneInfo(zone))
    if shown.fold:
        clock.instant("m", shown.replace(tzinfo=None, fold=0))
    assert clock.instant("m", shown.replace(tzinfo=None, fold=0)) == instant
