"""Every row is numbered once, whatever the order of appending and numbering."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.buffer.priority import Priority, PriorityQueues, Run

steps = st.lists(
    st.tuples(st.just("append"), st.sampled_from(Priority), st.integers(1, 7))
    | st.tuples(st.just("number"), st.integers(1, 5), st.floats(0, 3))
)


@given(steps)
def test_every_row_is_numbered_exactly_once_and_none_waits_for_ever(
    script: list[tuple[str, int, float]],
) -> None:
    lanes = PriorityQueues(rows=5, size=10_000, max_age=2.0)
    appended: list[int] = []
    numbered: list[int] = []
    now = 0.0
    for what, one, two in [*script, ("number", 10_000, 3.0)]:
        if what == "append":
            lane = lanes.by_name[Priority(one)]
            lane.appended(int(two), 10, now)
            appended += range(lane.last - int(two) + 1, lane.last + 1)
            continue
        now += two
        for _ in range(one):
            run = lanes.choose(now)
            if run is None:
                break
            taken = Run(max(run.first, run.last - 4), run.last)
            lanes.take(taken)
            numbered += range(taken.first, taken.last + 1)
    assert sorted(numbered) == sorted(appended)
    assert not [run for lane in lanes.by_name.values() for run in lane.runs]


def test_fresh_rows_wait_for_their_age_and_a_backlog_does_not() -> None:
    lanes = PriorityQueues(rows=5, size=10_000, max_age=2.0)
    lanes.found([Run(1, 3)], [Run(4, 20)])
    ordinary = lanes.by_name[Priority.ORDINARY]
    ordinary.appended(2, 10, 100.0)
    assert lanes.choose(100.0) == Run(4, 20)
    assert lanes.choose(102.0) == Run(21, 22)


def test_many_bytes_are_enough_for_a_batch() -> None:
    lanes = PriorityQueues(rows=5, size=10_000, max_age=2.0)
    lanes.by_name[Priority.ORDINARY].appended(1, 10_001, 0.0)
    assert lanes.choose(0.0) == Run(1, 1)
