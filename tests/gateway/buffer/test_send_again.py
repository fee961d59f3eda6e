"""What was acknowledged is kept for a while, and is sent again from an instant on when it is asked for."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from gateway.buffer.buffer import Buffer
from telemetry.readout import Readout
from telemetry.wire import Batch, Outcome, to_milliseconds
from tests.gateway.conftest import BEGIN, HandClock, OpenBuffer

MakeReadout = Callable[..., Readout]


def minutes(batches: list[Batch]) -> set[int]:
    """Minutes after BEGIN of all readouts."""
    return {(wire.at - to_milliseconds(BEGIN)) // 60_000 for batch in batches for wire in batch.readouts}


def store(buffer: Buffer, readouts: list[Readout], stored_at: int = 0) -> None:
    """Read, sent and acknowledged."""
    buffer.append(readouts)
    for batch in buffer.next_batches(99):
        outcome = Outcome(batch.batch, stored=1, digest=batch.digest, stored_at=stored_at)
        buffer.acknowledge(batch.epoch, {batch.batch: outcome})


def test_what_was_read_since_then_waits_again_and_what_was_before_does_not(
    tmp_path: Path, open_buffer: OpenBuffer, clock: HandClock, readout: MakeReadout
) -> None:
    buffer = open_buffer(tmp_path / "buffer.sqlite", max_age=0)
    for number in range(10):
        store(buffer, [readout(number)])
    assert buffer.send_again(BEGIN + timedelta(minutes=6)) == 4
    assert buffer.backlog().readouts == 4
    again = list(buffer.next_batches(99))
    assert minutes(again) == {6, 7, 8, 9}
    assert min(batch.batch for batch in again) > 10, "with numbers of their own"
    for batch in again:
        buffer.acknowledge(batch.epoch, {batch.batch: Outcome(batch.batch, digest=batch.digest)})
    assert buffer.backlog().readouts == 0


def test_what_was_read_long_before_it_was_stored_comes_with_what_was_stored_then(
    tmp_path: Path, open_buffer: OpenBuffer, clock: HandClock, readout: MakeReadout
) -> None:
    """A backlog of yesterday, taken over after the backup was made."""
    path = tmp_path / "buffer.sqlite"
    buffer = open_buffer(path, max_age=0)
    late = to_milliseconds(BEGIN + timedelta(days=2))
    store(buffer, [readout(1)], late - 60_000)
    store(buffer, [readout(2)], late + 60_000)
    buffer.close()
    buffer = open_buffer(path, max_age=0)
    assert buffer.send_again(BEGIN + timedelta(days=2)) == 1
    assert minutes(list(buffer.next_batches(99))) == {2}


def test_what_waits_already_is_not_sent_twice(
    tmp_path: Path, open_buffer: OpenBuffer, clock: HandClock, readout: MakeReadout
) -> None:
    buffer = open_buffer(tmp_path / "buffer.sqlite", max_age=0)
    store(buffer, [readout(1)])
    buffer.append([readout(2)])
    waiting = list(buffer.next_batches(99))
    assert buffer.send_again(BEGIN) == 1
    assert minutes(list(buffer.next_batches(99))) == {1}
    assert minutes(waiting) == {2}
    assert buffer.send_again(BEGIN) == 0


def test_batches_say_what_their_gateway_was_told_last_also_after_a_restart(
    tmp_path: Path, open_buffer: OpenBuffer, clock: HandClock, readout: MakeReadout
) -> None:
    path = tmp_path / "buffer.sqlite"
    buffer = open_buffer(path, max_age=0)
    store(buffer, [readout(1)], 1_000)
    store(buffer, [readout(2)], 500)
    buffer.close()
    buffer = open_buffer(path, max_age=0)
    buffer.append([readout(3)])
    (batch,) = buffer.next_batches(9)
    assert batch.last_stored_at == 1_000


def test_a_history_is_as_old_as_what_became_of_it_and_not_only_as_its_readouts(
    tmp_path: Path, open_buffer: OpenBuffer, clock: HandClock, readout: MakeReadout
) -> None:
    """A backlog of months ago was stored today, into a database that may be put back from yesterday."""
    buffer = open_buffer(tmp_path / "buffer.sqlite", max_age=0)
    today = BEGIN + timedelta(days=100)
    clock.advance(100 * 86_400)
    store(buffer, [readout(1)], to_milliseconds(today))
    store(buffer, [readout(2)], to_milliseconds(BEGIN + timedelta(days=1)))
    clock.advance(120)
    buffer.append([readout(3)])  # what is too old goes along with it
    buffer.next_batches(9)
    assert buffer.send_again(BEGIN) == 1
    assert minutes(list(buffer.next_batches(99))) == {1}
