"""The buffer keeps what it has confirmed, and gives each batch the same content for ever."""

import logging
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gateway.buffer.buffer import Backlog, Buffer, BufferFailedError, BufferFullError
from gateway.buffer.source import MAX_BATCH_BYTES, MAX_BATCH_READOUTS, BufferLimits, Monotonic
from telemetry.readout import Quantity, Readout
from telemetry.status import Status
from telemetry.wire import (
    MAX_MESSAGE_BYTES,
    Batch,
    Miss,
    MissReason,
    encode,
    to_milliseconds,
)
from tests.gateway.conftest import BEGIN, HandClock, OpenBuffer
from tests.telemetry.read_back import read_back

MakeReadout = Callable[..., Readout]


def test_a_readout_waits_for_company_until_its_age_makes_a_batch(
    tmp_path: Path, open_buffer: OpenBuffer, clock: HandClock, readout: MakeReadout
) -> None:
    buffer = open_buffer(tmp_path / "buffer.sqlite")
    buffer.append([readout(1)])
    assert buffer.next_batches(10) == []
    clock.advance(2)
    (batch,) = buffer.next_batches(10)
    assert batch.batch == 1
    assert [read_back(wire) for wire in batch.readouts] == [readout(1)]


def test_no_other_user_of_the_machine_can_read_it_and_what_an_older_one_left_open_is_closed(
    tmp_path: Path, open_buffer: OpenBuffer, readout: MakeReadout
) -> None:
    path = tmp_path / "new" / "buffer.sqlite"
    files = [path, *(path.with_name(f"{path.name}-{kind}") for kind in ("wal", "shm"))]
    for _ in range(2):
        buffer = open_buffer(path)
        buffer.append([readout(1)])
        assert [file.stat().st_mode & 0o777 for file in (path.parent, *files)] == [0o700, 0o600, 0o600, 0o600]
        buffer.close()
        path.chmod(0o644)


def test_five_hundred_readouts_make_a_batch_at_once(
    tmp_path: Path, open_buffer: OpenBuffer, clock: HandClock, readout: MakeReadout
) -> None:
    buffer = open_buffer(tmp_path / "buffer.sqlite")
    buffer.append([at_second(readout(n)) for n in range(MAX_BATCH_READOUTS * 2 + 1)])
    assert [len(batch.readouts) for batch in buffer.next_batches(10)] == [MAX_BATCH_READOUTS] * 2 + [1]


def test_batches_stay_below_the_size_that_a_broker_takes(
    tmp_path: Path, open_buffer: OpenBuffer, clock: HandClock, readout: MakeReadout
) -> None:
    buffer = open_buffer(tmp_path / "buffer.sqlite")
    buffer.append([readout(n, raw=bytes(9_000)) for n in range(200)])
    clock.advance(2)
    batches = buffer.next_batches(10)
    assert sum(len(batch.readouts) for batch in batches) == 200
    sizes = [len(encode(batch)) for batch in batches]
    assert max(sizes) <= MAX_BATCH_BYTES < MAX_MESSAGE_BYTES
    assert sizes[0] > MAX_BATCH_BYTES - 20_000, "a batch is filled"


def test_a_batch_is_handed_out_once_and_the_same_again_after_a_restart(
    tmp_path: Path, open_buffer: OpenBuffer, clock: HandClock, readout: MakeReadout
) -> None:
    path = tmp_path / "buffer.sqlite"
    buffer = open_buffer(path)
    buffer.append([readout(1), readout(2)])
    clock.advance(2)
    before = buffer.next_batches(10)
    assert buffer.next_batches(10) == []
    buffer.append([readout(3)])
    buffer.close()
    reopened = open_buffer(path)
    first, second = reopened.next_batches(10)
    assert [first] == before
    assert (second.epoch, second.batch) == (first.epoch, 2)
    assert [read_back(wire) for wire in second.readouts] == [readout(3)]


def test_only_the_limit_is_handed_out(
    tmp_path: Path, open_buffer: OpenBuffer, clock: HandClock, readout: MakeReadout
) -> None:
    buffer = open_buffer(tmp_path / "buffer.sqlite")
    buffer.append([readout(n) for n in range(MAX_BATCH_READOUTS * 3)])
    assert [batch.batch for batch in buffer.next_batches(2)] == [1, 2]
    assert [batch.batch for batch in buffer.next_batches(2)] == [3]


def test_acknowledged_batches_wait_no_more_and_their_numbers_never_used_again(
    tmp_path: Path, open_buffer: OpenBuffer, clock: HandClock, readout: MakeReadout
) -> None:
    path = tmp_path / "buffer.sqlite"
    buffer = open_buffer(path)
    buffer.append([readout(1)])
    clock.advance(2)
    buffer.next_batches(1)
    buffer.append([readout(2)])
    assert buffer.backlog() == Backlog(2, readout(1).at)
    buffer.acknowledge(buffer.epoch, {1: None})
    buffer.acknowledge(buffer.epoch, {1: None, 77: None})  # a second time, and one that never was
    assert buffer.backlog() == Backlog(1, readout(2).at)
    buffer.close()
    reopened = open_buffer(path)
    assert [batch.batch for batch in reopened.next_batches(10)] == [2]


def test_an_acknowledgement_of_another_epoch_forgets_nothing(
    tmp_path: Path, open_buffer: OpenBuffer, clock: HandClock, readout: MakeReadout
) -> None:
    buffer = open_buffer(tmp_path / "buffer.sqlite")
    buffer.append([readout(1)])
    clock.advance(2)
    buffer.next_batches(1)
    buffer.acknowledge("another", {1: None})
    assert buffer.backlog().readouts == 1


def test_a_new_file_is_a_new_epoch(tmp_path: Path, open_buffer: OpenBuffer, clock: HandClock) -> None:
    one, other = open_buffer(tmp_path / "a"), open_buffer(tmp_path / "b")
    assert one.epoch != other.epoch
    one.close()
    assert open_buffer(tmp_path / "a").epoch == one.epoch


def test_a_buffer_of_a_later_version_is_left_alone(
    tmp_path: Path, open_buffer: OpenBuffer, clock: HandClock
) -> None:
    path = tmp_path / "buffer.sqlite"
    open_buffer(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("pragma user_version = 99")
    connection.close()
    with pytest.raises(BufferFailedError, match="another version of Hesper"):
        open_buffer(path)


def test_a_folder_that_cannot_be_written_is_named_with_the_remedy(
    tmp_path: Path, open_buffer: OpenBuffer, clock: HandClock
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BufferFailedError, match="check that this user may write there"):
        open_buffer(tmp_path / "file" / "buffer.sqlite")


@pytest.mark.expects_log("readout cannot be sent")
def test_a_readout_that_could_not_be_read_back_does_not_block_those_behind_it(
    open_buffer: OpenBuffer, tmp_path: Path, clock: HandClock, readout: MakeReadout
) -> None:
    buffer = open_buffer(tmp_path / "buffer.sqlite")
    buffer.append([replace(readout(1), at=datetime(1960, 1, 1, tzinfo=UTC)), readout(2)])
    clock.advance(2.0)
    (batch,) = buffer.next_batches(1)
    assert [read_back(wire) for wire in batch.readouts] == [readout(2)]


def at_second(readout: Readout) -> Readout:
    """So many seconds after BEGIN instead of minutes: within one day."""
    return replace(readout, at=BEGIN + (readout.at - BEGIN) / 60)


def volumes(buffer: Buffer, limit: int = 10_000) -> list[list[int]]:
    """The cubic metres in each batch that is ready."""
    return [
        [read_back(wire).values["8-0:1.0.0"].micro // 1_000_000 for wire in batch.readouts]
        for batch in buffer.next_batches(limit)
    ]


def test_after_an_outage_the_newest_goes_first_and_what_bills_are_made_from_before_the_rest(
    tmp_path: Path, open_buffer: OpenBuffer, clock: HandClock, readout: MakeReadout
) -> None:
    buffer = open_buffer(tmp_path / "buffer.sqlite", zone=ZoneInfo("Europe/Berlin"))
    midnight = datetime(2026, 11, 22, 23, 4, tzinfo=UTC)  # four minutes past, in Berlin
    for n in range(0, 3 * MAX_BATCH_READOUTS, 250):
        buffer.append([at_second(readout(n + step)) for step in range(250)])
        if n % 500 == 250:
            buffer.append([replace(readout(10_000 + n), at=midnight)])
            buffer.append([replace(readout(20_000 + n), status=Status.HISTORICAL)])
    clock.advance(2)
    first, *others = volumes(buffer)
    assert first == [10_250, 20_250, 10_750, 20_750, 11_250, 21_250]
    assert others == [[*range(1000, 1500)], [*range(500, 1000)], [*range(500)]]


def test_live_readouts_and_the_backlog_take_turns(
    tmp_path: Path, open_buffer: OpenBuffer, clock: HandClock, readout: MakeReadout
) -> None:
    buffer = open_buffer(tmp_path / "buffer.sqlite")
    buffer.append([at_second(readout(n)) for n in range(3 * MAX_BATCH_READOUTS)])
    assert volumes(buffer, 1) == [[*range(1000, 1500)]], "the newest of what has come"
    sent: list[int] = []
    for live in range(10_000, 10_004):
        buffer.append([at_second(readout(live))])
        clock.advance(2)
        sent += [batch[0] for batch in volumes(buffer, 1)]
    assert sent == [500, 10_000, 0, 10_002]


def test_misses_travel_with_the_readouts_and_are_acknowledged_like_them(
    tmp_path: Path, open_buffer: OpenBuffer, clock: HandClock, readout: MakeReadout
) -> None:
    buffer = open_buffer(tmp_path / "buffer.sqlite")
    miss = Miss("KAM-06855817", to_milliseconds(BEGIN), MissReason.NO_ANSWER)
    buffer.append([readout(1)], [miss])
    clock.advance(2)
    (batch,) = buffer.next_batches(10)
    assert ([read_back(wire) for wire in batch.readouts], batch.missed) == ([readout(1)], [miss])
    assert buffer.backlog().readouts == 2
    buffer.acknowledge(buffer.epoch, {batch.batch: None})
    assert buffer.backlog().readouts == 0


def test_what_was_read_before_the_clock_was_set_waits_and_gets_its_true_instant(
    tmp_path: Path, open_buffer: OpenBuffer, clock: HandClock, readout: MakeReadout
) -> None:
    path = tmp_path / "buffer.sqlite"
    buffer = open_buffer(path)
    wrong = datetime(2020, 1, 1, 0, 0, tzinfo=UTC)
    present = replace(readout(1), at=wrong, status=Status.UNSYNCHRONISED | Status.ABNORMAL)
    set_day = replace(readout(2), status=Status.HISTORICAL)
    miss = Miss("KAM-1", to_milliseconds(wrong - timedelta(seconds=4)), MissReason.NO_ANSWER)
    buffer.append([present, set_day], [miss], unsynchronised=Monotonic("this boot", 90.5))
    buffer.append([replace(present, at=wrong)], unsynchronised=Monotonic("another boot", 7.0))
    clock.advance(2)
    (batch,) = buffer.next_batches(10)
    assert [read_back(wire) for wire in batch.readouts] == [set_day], "the meter's own instant is its own"
    assert buffer.backlog().held == 3
    buffer.close()

    buffer = open_buffer(path)
    buffer.next_batches(10)
    buffer.synchronise("this boot", BEGIN)
    clock.advance(2)
    (batch,) = buffer.next_batches(10)
    (corrected,) = map(read_back, batch.readouts)
    assert corrected.at == BEGIN + timedelta(seconds=90.5)
    assert corrected.status == Status.ABNORMAL | Status.CLOCK_CORRECTED
    assert [missed.at for missed in batch.missed] == [to_milliseconds(BEGIN) + 86_500]

    buffer.release_unsynchronised()
    clock.advance(2)
    (batch,) = buffer.next_batches(10)
    assert [read_back(wire) for wire in batch.readouts] == [present], "nobody knows how wrong it was"
    assert buffer.backlog().held == 0


def test_when_the_gateway_was_last_alive_survives_and_costs_a_write_a_minute(
    tmp_path: Path, open_buffer: OpenBuffer, clock: HandClock
) -> None:
    path = tmp_path / "buffer.sqlite"
    buffer = open_buffer(path)
    assert buffer.last_alive() is None
    for _ in range(300):
        clock.advance(1)
        buffer.note_alive(clock())
    log = path.with_name("buffer.sqlite-wal").stat().st_size
    other = open_buffer(path)  # as after a power cut
    told = other.last_alive()
    assert told is not None
    assert timedelta(0) <= clock() - told <= timedelta(seconds=60)
    assert log <= 20_000, "the schema and a page a minute"


def test_acknowledged_readouts_stay_for_some_days(
    tmp_path: Path, open_buffer: OpenBuffer, clock: HandClock, readout: MakeReadout
) -> None:
    path = tmp_path / "buffer.sqlite"
    buffer = open_buffer(path, limits=BufferLimits(days=3), max_age=0.0)
    for _ in range(10):
        buffer.append([replace(readout(1), at=clock())])
        (batch,) = buffer.next_batches(1)
        buffer.acknowledge(buffer.epoch, {batch.batch: None})
        clock.advance(86_400)
    buffer.append([replace(readout(1), at=clock())])
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("select count(*) from entries").fetchone() == (4,)
    assert buffer.backlog().readouts == 1


@pytest.mark.expects_log("buffer is full")
def test_at_its_limit_the_oldest_acknowledged_go_and_what_nobody_acknowledged_never(
    tmp_path: Path, open_buffer: OpenBuffer, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    path = tmp_path / "buffer.sqlite"
    buffer = open_buffer(path, limits=BufferLimits(bytes=200_000), max_age=0.0)
    noise = random.Random(1)

    def append(number: int) -> None:
        values = {"8-0:1.0.0": Quantity(number * 1_000_000, "m3")}
        buffer.append([Readout("KAM-06855817", BEGIN, values, raw=noise.randbytes(1_000))])

    for n in range(300):  # more than there is room for, but all are acknowledged
        append(n)
        (batch,) = buffer.next_batches(1)
        buffer.acknowledge(buffer.epoch, {batch.batch: None})
    kept = 0
    with pytest.raises(BufferFullError, match="200000 bytes; it keeps"):  # noqa: PT012 - whichever does not fit
        for kept in range(10_000):
            append(1000 + kept)
    assert kept > 100
    assert buffer.backlog().full
    with pytest.raises(BufferFullError):
        append(0)
    sent = buffer.next_batches(10_000)
    assert sorted(n for batch in sent for n in numbers(batch)) == [*range(1000, 1000 + kept)]
    buffer.acknowledge(buffer.epoch, {sent[0].batch: None})
    append(0)
    assert not buffer.backlog().full
    assert path.stat().st_size < 250_000
    told = [record.message for record in caplog.records if "buffer" in record.message]
    assert told == ["buffer is full", "buffer has room again"], "once each"


def numbers(batch: Batch) -> list[int]:
    return [read_back(wire).values["8-0:1.0.0"].micro // 1_000_000 for wire in batch.readouts]
