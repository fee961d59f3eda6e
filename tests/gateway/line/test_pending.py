"""What the disk does not take is held, tried again, and never forgotten without a trace."""

from collections.abc import Callable

import pytest

from gateway.line import pending
from telemetry.wire import MissReason
from tests.gateway.conftest import HandClock
from tests.gateway.scripted import QUARTER, Bench


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory for five readouts, and ten polls with those that are missed."""
    monkeypatch.setattr(pending, "_HELD_READOUTS", 5)
    monkeypatch.setattr(pending, "_HELD_POLLS", 10)


@pytest.mark.usefixtures("small")
@pytest.mark.expects_log("readouts cannot be kept")
@pytest.mark.expects_log("readouts are lost")
def test_readouts_that_memory_has_no_room_for_either_become_misses(clock: HandClock) -> None:
    clock.advance(1)
    line = Bench(clock, 1)
    line.full = True
    line.run_until(8 * QUARTER + 60)
    line.full = False
    line.run_until(8 * QUARTER + 120)
    assert line.misses_of("1") == [(QUARTER * n, MissReason.NOT_KEPT) for n in (1, 2, 3)]
    assert len(line.kept) == 5


@pytest.mark.usefixtures("small")
@pytest.mark.expects_log("readouts cannot be kept")
@pytest.mark.expects_log("readouts are lost")
def test_memory_is_bounded_also_for_what_is_missed(clock: HandClock) -> None:
    clock.advance(1)
    line = Bench(clock, 1)
    line.full = True
    line.run_until(30 * QUARTER + 60)
    line.full = False
    line.run_until(30 * QUARTER + 120)
    assert line.misses_of("1") == [(QUARTER * n, MissReason.NOT_KEPT) for n in range(21, 26)]
    assert len(line.kept) == 5


@pytest.mark.expects_log("readouts cannot be kept")
def test_a_disk_that_is_full_is_not_tried_at_every_turn(
    clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.advance(1)
    line = Bench(clock, 20, seconds=0.5)
    line.full = True
    tries: list[float] = []
    keep: Callable[..., None] = line.keep

    def counting(*args: object, **options: object) -> None:
        tries.append(clock.monotonic())
        keep(*args, **options)

    line.keep = counting  # type: ignore[method-assign]
    line.new_poller()
    line.run_until(QUARTER + 10)
    assert len(tries) == 2, "of twenty readouts in ten seconds"


def test_slots_are_on_the_disk_up_to_what_is_said(clock: HandClock) -> None:
    clock.advance(1)
    line = Bench(clock, 2, seconds=30.0)
    line.run_until(QUARTER + 30)
    line.poller.poll()
    assert line.poller.accounted_until is not None
    line.run_until(QUARTER + 100)
    line.poller.poll()
    assert (clock.now - line.poller.accounted_until).total_seconds() < 60
