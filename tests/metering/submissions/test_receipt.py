"""Receipts of readings: for every window, ladder and instant what they promise is where the close looks."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from metering.billing.method import BUILT_IN, Method
from metering.billing.rule_set import RuleSet
from metering.periods.calendar import neighbour
from metering.periods.submission_window import LateReading, SubmissionWindow
from metering.submissions.plausibility import SubmissionRefusal
from metering.submissions.receipt import OLDEST, Reception

MADRID = ZoneInfo("Europe/Madrid")

days = st.integers(-28, 28).filter(bool)
windows = st.lists(
    st.builds(
        SubmissionWindow,
        days,
        days,
        media=st.sampled_from([(), (8,), (1,)]),
        counts_in=st.sampled_from([None, -1, 0, 1]),
        late=st.sampled_from(LateReading),
        since=st.dates(date(2026, 1, 1), date(2026, 12, 31)),
    ),
    max_size=3,
)
measured = st.permutations([*BUILT_IN, Method.HANDED_IN])
ladders = st.one_of(measured, measured.map(lambda ladder: [*ladder, Method.AVERAGE]), st.just([*BUILT_IN]))
rule_sets = st.builds(RuleSet, name=st.just("test"), ladder=ladders.map(tuple), submission=windows.map(tuple))
instants = st.datetimes(datetime(2025, 11, 1), datetime(2027, 2, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(
    st.lists(rule_sets, min_size=1, max_size=2),
    st.integers(1, 28),
    instants,
    st.timedeltas(timedelta(), OLDEST),
    st.sets(st.integers(-4, 4)),
)
def test_an_accepted_reading_counts_where_its_receipt_says(
    rules: list[RuleSet], reading_day: int, now: datetime, ago: timedelta, billed: set[int]
) -> None:
    reception = Reception(MADRID, reading_day, 8, lambda day: rules[day.month % len(rules)])
    calendar, today = reception.calendar, now.astimezone(MADRID).date()
    opening = calendar.place(today)
    refused = reception.untimely(now - ago, now)
    assert (refused is not None) == opening.refuses(today)
    assert refused is None or (
        isinstance(refused, SubmissionRefusal) and str(opening.first) in refused.detail
    )
    if refused is not None:
        return
    known = {neighbour(opening.period, months) for months in billed}
    receipt = reception.receipt(now - ago, now, billed=known)
    if receipt.detail.startswith("Taken as a reading of the meter"):
        assert receipt.counts_in == calendar.period_of_day((now - ago).astimezone(MADRID).date())
        return
    begins, _ = calendar.days(receipt.counts_in)
    assert Method.HANDED_IN in reception.rules_on(begins).ladder
    assert receipt.counts_in not in known
    assert receipt.counts_in in receipt.detail
    if "is billed already" not in receipt.detail:
        since, until = calendar.span(receipt.counts_in)
        assert since <= (now if opening.window else now - ago) < until
