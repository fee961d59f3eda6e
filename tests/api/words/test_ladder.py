"""Why a figure is what it is: the steps that were tried, what an estimate rests on, the telegram's value."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from api.pages.billing.billing_reading import records_of
from api.web.telegrams import Undecoded
from api.words.ladder import found_by, passed_over, rests_on
from api.words.language import english, languages
from api.words.written import translated
from metering.billing.boundary import Limits, Missing, ReadingAt, Surroundings, boundary
from metering.billing.evidence import BoundaryEvidence, EstimateBasis, MeasuredValue
from metering.billing.method import Method
from telemetry.explanation import ExplainedRecord, Explanation

AT = datetime(2026, 10, 31, 23, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LIMITS = Limits(2 * HOUR, 3 * DAY, (Method.SET_DAY, Method.READING, Method.INTERPOLATION, Method.HANDED_IN))
ZONE = ZoneInfo("Europe/Prague")
EN, RU, UK = english(), languages()["ru"], languages()["uk"]
BEFORE, AFTER = ReadingAt(AT - 50 * HOUR, 1_000_000), ReadingAt(AT + 60 * HOUR, 2_000_000)


@pytest.mark.parametrize(("before", "after"), [(None, None), (BEFORE, None), (None, AFTER), (BEFORE, AFTER)])
def test_every_reason_of_a_close_is_said_in_the_readers_language(
    before: ReadingAt | None, after: ReadingAt | None
) -> None:
    found = boundary(Surroundings(AT, before, after), LIMITS)
    assert isinstance(found, Missing)
    assert len(found.passed_over) == 4
    for text in found.passed_over:
        why = text.partition(": ")[2]
        for language in (RU, UK):
            assert translated(why, language, ZONE) != translated(why, EN, ZONE), why


@pytest.mark.parametrize(
    ("why", "said"),
    [
        ("the gap of 4 days exceeds the limit of 3 days", "между соседними показаниями 4 дня, предел 3 дня"),
        ("it stood in for 3 periods running already", "уже применялось, месяцев подряд: 3"),
        (
            "of the 6 months before, 0 were measured, and 1 are needed",
            "месяцев перед этим: 6, из них измерено: 0, нужно: 1",
        ),
        ("reset between the readings", "между соседними показаниями: Показания обнулились"),
        ("nobody foresaw this", "nobody foresaw this"),
    ],
)
def test_a_reason_keeps_its_figures(why: str, said: str) -> None:
    assert translated(why, RU, ZONE) == said


def test_an_estimate_says_what_it_rests_on() -> None:
    since = datetime(2026, 9, 30, 22, tzinfo=UTC)
    basis = EstimateBasis(
        since,
        MeasuredValue(since, Decimal("412.5")),
        periods=("2026-08", "2026-09"),
        consumption=Decimal("12.2"),
        hours="1464",
    )
    end = BoundaryEvidence(AT, ("set_day: none",), Decimal("418.8"), Method.AVERAGE, basis=basis)
    assert found_by(end, EN) == "Estimated by what was used in the months before that were measured."
    assert list(passed_over(end, ZONE, EN)) == [("set day", "none")]
    months, daily, settled = rests_on(basis, "m3", ZoneInfo("Europe/Berlin"), EN)
    assert months.startswith("In the measured months August 2026, September 2026 together 12.2\u202fm³")
    assert "0.2\u202fm³ a day" in daily
    assert "412.5\u202fm³ of 1 Oct 2026, 00:00" in settled


def test_the_records_of_a_telegram_that_a_figure_rests_on_are_found() -> None:
    def record(value: str | None, obis: str | None, storage: int = 0) -> ExplainedRecord:
        return ExplainedRecord("volume", "m3", value, obis, storage=storage)

    said = Explanation(
        "M-Bus",
        None,
        None,
        None,
        [],
        [record("413.5", "8-0:1.0.0"), record("412.5", None, 1), record("text", None), record(None, None)],
    )
    assert records_of(said, "8-0:1.0.0", Decimal("412.50")) == {1}, "the set-day value, by what it is"
    assert records_of(said, "8-0:1.0.0", Decimal("413.5")) == {0}
    assert records_of(said, "8-0:1.0.0", Decimal(7)) == {0}, "its register, where no value is the same"
    assert records_of(said, "9-0:1.0.0", Decimal(7)) == frozenset()
    assert records_of(Undecoded("encrypted"), "8-0:1.0.0", Decimal(7)) == frozenset()
