"""Reconciliation: every difference between what was issued and what billing holds has a reason."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.delivery.statement import (
    Exclusion,
    Statement,
    StatementLine,
    StatementTotal,
    StatementVersion,
    reconcile,
    statement_months,
)
from metering.periods.calendar import PeriodError


def totals(lines: list[StatementLine]) -> list[StatementTotal]:
    return Statement("40001", "2026-10", "2026-10", lines).totals


ISSUED = datetime(2026, 11, 1, 5, tzinfo=UTC)
SENT = datetime(2026, 11, 1, 6, tzinfo=UTC)
TAKEN = datetime(2026, 11, 1, 7, tzinfo=UTC)
FIRST = StatementVersion("2026-10", "flat-1", "8-0:1.0.0", "m3", 1, 31_000_000, 0, ISSUED, SENT, TAKEN, 1)


def test_what_was_acknowledged_as_issued_needs_no_words() -> None:
    (line,) = reconcile([FIRST], [])
    assert (line.difference, line.remarks) == (0, ())
    assert line.issued == line.acknowledged


def test_a_correction_that_billing_does_not_hold_is_the_difference() -> None:
    second = replace(FIRST, version=2, consumption=31_500_000, delivered_at=None, acknowledged_at=None)
    (line,) = reconcile([second, FIRST], [])
    assert line.difference == 500_000
    assert line.remarks == (
        "version 2 of 2026-11-01T05:00:00Z changes version 1 by 0.5 m3, not acknowledged (not delivered)",
    )


def test_what_was_only_delivered_is_not_acknowledged() -> None:
    (line,) = reconcile([replace(FIRST, acknowledged_at=None)], [])
    assert (line.difference, line.acknowledged) == (31_000_000, None)
    assert line.remarks == (
        "version 1 of 2026-11-01T05:00:00Z is not acknowledged (delivered 2026-11-01T06:00:00Z)",
    )


def test_estimates_and_exclusions_are_told_even_where_nothing_differs() -> None:
    left_out = Exclusion("2026-10", "flat-1", "8-0:2.0.0", "no_reading_after", "read it by hand")
    doubt = Exclusion("2026-10", "flat-1", "8-0:1.0.0", "reset", "look at it")
    first, second = reconcile([replace(FIRST, quality=9)], [left_out, doubt])
    assert first.remarks == (
        "left out of accounting (reset): look at it; what was issued before stands until then",
        "version 1 is interpolated, not measured",
    )
    assert second.remarks == ("left out of accounting (no_reading_after): read it by hand",)
    assert (second.issued, second.acknowledged, second.unit) == (None, None, "")


rows = st.builds(
    StatementVersion,
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
def test_every_difference_has_a_reason_and_the_sums_are_those_of_the_lines(
    issued: list[StatementVersion],
) -> None:
    lines = reconcile(issued, [])
    assert all(line.remarks for line in lines if line.difference)
    assert reconcile(issued[::-1], []) == lines
    assert sum(total.difference for total in totals(lines)) == sum(line.difference for line in lines)


def test_what_settles_earlier_estimates_counts_on_both_sides() -> None:
    one = replace(FIRST, true_up=-2_000_000)
    two = replace(FIRST, version=2, true_up=-3_000_000, acknowledged_at=None)
    (line,) = reconcile([one, two], [])
    assert line.difference == -1_000_000
    assert "and -3 m3 to settle earlier estimates" in line.remarks
    (total,) = totals([line])
    assert (total.issued, total.acknowledged) == (28_000_000, 29_000_000)


def test_the_months_are_the_last_twelve_unless_named_and_at_most_ten_years() -> None:
    assert statement_months(None, None, "2026-03") == ("2025-04", "2026-03")
    assert statement_months("", "2025-12", "2026-03") == ("2025-01", "2025-12")
    assert statement_months("2016-01", None, "2026-12") == ("2016-01", "2026-12")
    for first, last, told in (("2015-12", None, "ten years"), ("2026-04", "2026-03", "earlier month")):
        with pytest.raises(PeriodError, match=told):
            statement_months(first, last, "2026-03")


def test_the_months_come_latest_first_each_with_its_own_lines_and_sums() -> None:
    earlier = replace(FIRST, period="2026-09")
    other = replace(FIRST, service_point="flat-2")
    months = Statement("40001", "2026-09", "2026-10", reconcile([earlier, FIRST, other], [])).months
    assert [(period, [line.service_point for line in lines]) for period, lines, _ in months] == [
        ("2026-10", ["flat-1", "flat-2"]),
        ("2026-09", ["flat-1"]),
    ]
    assert [total.issued for _, _, (total,) in months] == [62_000_000, 31_000_000]
