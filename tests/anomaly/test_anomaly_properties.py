"""Whatever the series: every step is explained once, and the order of arrival does not matter."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from anomaly.boundary.consistent_chain import Link, trace
from anomaly.input.series import HOUR, Judgement, Series
from tests.support.counters import judge, learn

CAPACITY = 10_000_000


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Distinct instants in any order, and values: a counter with faults."""
    n = draw(st.integers(0, 60))
    steps = draw(st.lists(st.integers(0, 200_000), min_size=n, max_size=n))
    values = np.cumsum(np.array(steps, dtype=np.int64)) + draw(st.integers(0, CAPACITY))
    values = values % CAPACITY
    for _ in range(draw(st.integers(0, 4)) if n else 0):
        at, length = draw(st.integers(0, n - 1)), draw(st.integers(1, 12))
        values[at : at + length] = draw(st.integers(-1_000, CAPACITY))
    gaps = np.array(draw(st.lists(st.integers(1, 50), min_size=n, max_size=n)), dtype=np.int64)
    return np.cumsum(gaps) * HOUR, values


@given(arrivals(), st.randoms(use_true_random=False))
def test_order_of_arrival_does_not_matter(
    arrived: tuple[np.ndarray, np.ndarray], random: np.random.Generator
) -> None:
    times, values = arrived
    order = list(range(len(times)))
    random.shuffle(order)
    shuffled = judge(Series.of(times[order], values[order], CAPACITY))
    assert_same(shuffled, judge(Series.of(times, values, CAPACITY)))


@given(arrivals())
def test_usable_readings_go_back_by_jitter_or_across_a_mark_only(
    arrived: tuple[np.ndarray, np.ndarray],
) -> None:
    series = Series.of(*arrived, CAPACITY)
    judged = judge(series)
    jitter = learn(series).jitter
    marked = {mark.index for mark in judged.marks if mark.usable}
    usable = np.flatnonzero(judged.usable)
    hidden = {f.last for f in judged.findings if f.kind == "negative_step.swap_suspect"}
    for before, after in pairwise(usable):
        if series.values[after] < series.values[before] - jitter[after]:
            between = set(range(before + 1, after + 1))
            assert between & (marked | hidden), "a step back that nothing explains"


@given(arrivals())
def test_every_backward_step_has_exactly_one_explanation(arrived: tuple[np.ndarray, np.ndarray]) -> None:
    series = Series.of(*arrived, CAPACITY)
    life = trace(series, learn(series))
    linked = {(before, after) for before, after, link in life.links if link is not Link.PLAUSIBLE}
    for i in np.flatnonzero(np.diff(series.values) < 0):
        left_out = not (life.chain[i] and life.chain[i + 1])
        assert left_out != ((i, i + 1) in linked)


@given(arrivals())
def test_findings_and_marks_have_identities_of_their_own(arrived: tuple[np.ndarray, np.ndarray]) -> None:
    judged = judge(Series.of(*arrived, CAPACITY))
    findings = [(finding.kind, finding.started_at) for finding in judged.findings]
    marks = [(mark.index, mark.rule) for mark in judged.marks]
    assert len(set(findings)) == len(findings)
    assert len(set(marks)) == len(marks)
    assert {mark.index for mark in judged.marks if not mark.usable} == set(np.flatnonzero(~judged.usable))


def assert_same(one: Judgement, other: Judgement) -> None:
    assert one.findings == other.findings
    assert one.marks == other.marks
    assert (one.usable == other.usable).all()
