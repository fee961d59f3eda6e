"""Figures, times and names as people read them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from api.v1.models import offset_text
from api.words.language import english
from api.words.presentation import (
    in_words,
    local_midnights,
    sparkline,
)

PRAGUE = ZoneInfo("Europe/Prague")
NOW = datetime(2026, 11, 21, 17, 40, tzinfo=UTC)


def test_midnights_are_local_through_a_change_of_the_clocks() -> None:
    found = local_midnights(datetime(2026, 10, 26, 12, tzinfo=UTC), PRAGUE, 2)
    assert [instant.astimezone(UTC).hour for instant in found] == [22, 22, 23]
    assert found[2].timestamp() - found[1].timestamp() == 25 * 3600


def test_a_sparkline_shows_unknown_days_as_such() -> None:
    line = sparkline([1_000_000, None, 3_000_000], "m3", english())
    assert line is not None
    assert line.bars == "M0 24v-8h5v8zM14 24v-24h5v24z"
    assert line.gaps == "M7 23h5v1h-5z"
    assert line.label == "4\u202fm³ in 2 of the last 3 days"
    assert sparkline([None, None], "m3", english()) is None
    assert sparkline([0, 0], "m3", english()) is not None


def test_words_and_offsets() -> None:
    assert in_words("negative_step.swap_suspect") == "Negative step: swap suspect"
    assert offset_text(timedelta(hours=-3, minutes=-30)) == "-03:30"
    assert offset_text(timedelta(hours=5, minutes=30)) == "+05:30"
