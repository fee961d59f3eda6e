"""Reconciliation: every difference between what was issued and what billing holds has a reason."""

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from store.delivery.statements import ExclusionRow, VersionRow, reconcile, totals

ISSUED = datetime(2026, 11, 1, 5, tzinfo=UTC)
SENT = datetime(2026, 11, 1, 6, tzinfo=UTC)
TAKEN = datetime(2026, 11, 1, 7, tzinfo=UTC)
FIRST = VersionRow("2026-10", "flat-1", "8-0:1.0.0", "m3", 1, 31_000_000, 0, ISSUED, SENT, TAKEN, 1)


def test_what_was_acknowledged_as_issued_needs_no_words() -> None:
    (line,) = reconcile([FIRST], [])
    assert (line.difference, line.remarks) == (0, ())
    assert line.ours == line.theirs


def test_a_correction_that_billing_does_not_hold_is_the_difference() -> None:
    second = replace(FIRST, version=2, consumption=31_500_000, delivered_at=None, acknowledged_at=None)
    (line,) = reconcile([second, FIRST], [])
    assert line.difference == 500_000
    assert line.remarks == (
        "version 2 of 2026-11-01T05:00:00Z changes version 1 by 0.5 m3, not acknowledged (not delivered)",
    )


def test_what_was_only_delivered_is_not_acknowledged() -> None:
    (line,) = reconcile([replace(FIRST, acknowledged_at=None)], [])
    assert (line.difference, line.theirs) == (31_000_000, None)
    assert line.remarks == (
        "version 1 of 2026-11-01T05:00:00Z is not acknowledged (delivered 2026-11-01T06:00:00Z)",
    )


def test_estimates_and_exclusions_are_told_even_where_nothing_differs() -> None:
    left_out = ExclusionRow("2026-10", "flat-1", "8-0:2.0.0", "no_reading_after", "read it by hand")
    doubt = ExclusionRow("2026-10", "flat-1", "8-0:1.0.0", "reset", "look at it")
    first, second = reconcile([replace(FIRST, quality=9)], [left_out, doubt])
    assert first.remarks == (
        "left out of accounting (reset): look at it; what was issued before stands until then",
        "version 1 is interpolated, not measured",
    )
    assert second.remarks == ("left out of accounting (no_reading_after): read it by hand",)
    assert (second.ours, second.theirs, second.unit) == (None, None, "")


rows = st.builds(
    VersionRow,
    period=st.sampled_from(["2026-09", "2026-10"]),
    service_point=st.sampled_from(["flat-1", "flat-2"]),
    obis=st.sampled_from(["8-0:1.0.0", "6-0:1.0.0"]),
    unit=st.just("m3"),
    version=st.integers(1, 5),
    consumption=st.integers(-(10**9), 10**12),
    quality=st.sampled_from([0, 8, 9, 10, 13]),
    created_at=st.just(ISSUED),
    delivered_at=st.none() | st.just(SENT),
    acknowledged_at=st.none() | st.just(TAKEN),
)


@given(
    st.lists(rows, max_size=12, unique_by=lambda row: (row.period, row.service_point, row.obis, row.version))
)
def test_every_difference_has_a_reason_and_the_sums_are_those_of_the_lines(issued: list[VersionRow]) -> None:
    lines = reconcile(issued, [])
    assert all(line.remarks for line in lines if line.difference)
    assert reconcile(issued[::-1], []) == lines
    assert sum(total.ours - total.theirs for total in totals(lines)) == sum(line.difference for line in lines)


def test_what_settles_earlier_estimates_counts_on_both_sides() -> None:
    one = replace(FIRST, true_up=-2_000_000)
    two = replace(FIRST, version=2, true_up=-3_000_000, acknowledged_at=None)
    (line,) = reconcile([one, two], [])
    assert line.difference == -1_000_000
    assert "and -3 m3 to settle earlier estimates" in line.remarks
    (total,) = totals([line])
    assert (total.ours, total.theirs) == (28_000_000, 29_000_000)
