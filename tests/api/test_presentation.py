"""Figures, times and names as people read them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.models import decimal_text, offset_text
from api.presentation import (
    age,
    fact,
    in_words,
    local_instants,
    local_midnights,
    neighbour_month,
    number,
    sparkline,
)
from telemetry.micro import LIMIT, to_micro

PRAGUE = ZoneInfo("Europe/Prague")
NOW = datetime(2026, 11, 21, 17, 40, tzinfo=UTC)


@given(st.integers(min_value=-LIMIT + 1, max_value=LIMIT - 1))
def test_a_shown_number_is_the_exact_one(micro: int) -> None:
    assert to_micro(decimal_text(micro)) == micro
    assert to_micro(number(micro).replace("\u202f", "").replace("−", "-")) == micro


def test_thousands_are_apart() -> None:
    assert number(37_319_000_000) == "37\u202f319"
    assert number(1_234_567_890_000) == "1\u202f234\u202f567.89"
    assert number(-500_000) == "−0.5"


@pytest.mark.parametrize(
    ("past", "text"),
    [(5, "5 s ago"), (300, "5 min ago"), (7200, "2 h ago"), (400_000, "4 days ago"), (-5, "in the future")],
)
def test_an_age_has_one_unit(past: int, text: str) -> None:
    assert age(NOW - timedelta(seconds=past), NOW) == text


def test_midnights_are_local_through_a_change_of_the_clocks() -> None:
    found = local_midnights(datetime(2026, 10, 26, 12, tzinfo=UTC), PRAGUE, 2)
    assert [instant.astimezone(UTC).hour for instant in found] == [22, 22, 23]
    assert found[2].timestamp() - found[1].timestamp() == 25 * 3600


def test_a_sparkline_shows_unknown_days_as_such() -> None:
    line = sparkline([1_000_000, None, 3_000_000], "m3")
    assert line is not None
    assert line.bars == "M0 24v-8h5v8zM14 24v-24h5v24z"
    assert line.gaps == "M7 23h5v1h-5z"
    assert line.label == "4 m³ in 2 of the last 3 days"
    assert sparkline([None, None], "m3") is None
    assert sparkline([0, 0], "m3") is not None


def test_words_offsets_and_months() -> None:
    assert in_words("negative_step.swap_suspect") == "Negative step: swap suspect"
    assert offset_text(timedelta(hours=-3, minutes=-30)) == "-03:30"
    assert offset_text(timedelta(hours=5, minutes=30)) == "+05:30"
    assert neighbour_month("2026-12", 1) == "2027-01"
    assert neighbour_month("2026-01", -1) == "2025-12"
    assert fact("2026-11-21T17:00:00Z", PRAGUE) == "21 Nov 2026, 18:00"
    assert fact("9999-99-99T99:99Z", PRAGUE) == "9999-99-99T99:99Z"
    assert fact(12, PRAGUE) == "12"


def test_instants_in_a_sentence_are_told_by_local_clocks() -> None:
    text = "none for 2026-10-31T23:00:00Z; the last is 5.1 at 2026-10-27T22:00:49Z, not 2026-99-31T23:00Z"
    assert local_instants(text, PRAGUE) == (
        "none for 1 Nov 2026, 00:00; the last is 5.1 at 27 Oct 2026, 23:00, not 2026-99-31T23:00Z"
    )
