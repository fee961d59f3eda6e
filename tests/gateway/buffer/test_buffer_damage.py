"""Power cuts, full disks and worn cards: what was confirmed stays, and what can be read is saved."""

import errno
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import gateway.buffer.buffer as buffer_module
from gateway.buffer.buffer import Buffer, BufferFailedError, BufferFullError
from gateway.buffer.entry import unpack
from gateway.buffer.source import Monotonic
from telemetry.readout import Quantity, Readout
from telemetry.status import Status
from telemetry.wire import WireReadout
from tests.gateway.conftest import BEGIN, HandClock, OpenBuffer
from tests.telemetry.read_back import read_back

MakeReadout = Callable[..., Readout]
ROOT = Path(__file__).resolve().parents[3]
LIVES = 50


def volume(wire: WireReadout) -> int:
    return read_back(wire).values["8-0:1.0.0"].micro // 1_000_000


def sent(buffer: Buffer) -> list[int]:
    """Every cubic metre that the buffer would send, ascending."""
    return sorted(volume(wire) for batch in buffer.next_batches(100_000) for wire in batch.readouts)


def test_nothing_confirmed_is_lost_and_no_batch_changes_by_fifty_power_cuts(tmp_path: Path) -> None:
    path = tmp_path / "buffer.sqlite"
    command = [sys.executable, "-m", "tests.gateway.mortal", str(path), str(LIVES), "7"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    told = json.loads(done.stdout)
    with closing(sqlite3.connect(path)) as connection:
        entries = [unpack(body) for (body,) in connection.execute("select body from entries")]
    kept = [volume(entry) for entry in entries if isinstance(entry, WireReadout)]
    assert len(kept) == len(set(kept)), "none twice"
    assert set(told["confirmed"]) <= set(kept)
    assert len(kept) <= len(told["confirmed"]) + LIVES, "each life had at most one that was not confirmed"
    assert len(told["confirmed"]) > 2 * LIVES
    assert [contents for contents in told["contents"].values() if len(contents) > 1] == []


def filled(open_buffer: OpenBuffer, path: Path, readout: MakeReadout, count: int = 400) -> Buffer:
    """A buffer, closed, with `count` readouts of different sizes; the first hundred acknowledged."""
    buffer = open_buffer(path, max_age=0.0)
    noise = random.Random(3)
    for numbers in (range(100), range(100, count)):
        readouts = [readout(n, raw=noise.randbytes(n % 300)) for n in numbers]
        buffer.append(readouts)
        if numbers.start == 0:
            buffer.acknowledge(buffer.epoch, {batch.batch: None for batch in buffer.next_batches(10)})
    buffer.close()
    return buffer


@pytest.mark.expects_log("buffer damaged")
@pytest.mark.parametrize("page", [0, 20, 40, 60])
def test_of_a_damaged_file_all_that_is_readable_goes_on_in_a_new_epoch(
    tmp_path: Path,
    open_buffer: OpenBuffer,
    readout: MakeReadout,
    page: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = tmp_path / "buffer.sqlite"
    before = filled(open_buffer, path, readout)
    content = bytearray(path.read_bytes())
    content[page * 1024 : page * 1024 + 2048] = random.Random(5).randbytes(2048)
    path.write_bytes(content)

    buffer = open_buffer(path, max_age=0.0)
    assert buffer.epoch != before.epoch
    (told,) = [record for record in caplog.records if "damaged" in record.message]
    saved = sent(buffer)
    assert told.__dict__["saved"] == len(saved) == len(set(saved))
    unacknowledged = set(saved) & set(range(100, 400))
    assert len(unacknowledged) > 270, "two pages hold a dozen readouts"
    aside = list(tmp_path.glob("buffer.sqlite.damaged-20261122T100000-*"))
    assert [file.read_bytes() for file in aside if not file.name.endswith(("-wal", "-shm"))] == [
        bytes(content)
    ]
    buffer.append([readout(1)])


@pytest.mark.expects_log("buffer damaged")
def test_what_is_no_database_at_all_is_moved_aside(
    tmp_path: Path, open_buffer: OpenBuffer, readout: MakeReadout
) -> None:
    path = tmp_path / "buffer.sqlite"
    path.write_bytes(b"meter readings of Tuesday\n" * 300)
    buffer = open_buffer(path)
    assert sent(buffer) == []
    buffer.append([readout(1)])


@pytest.mark.expects_log("buffer damaged")
@pytest.mark.expects_log("readout lost")
@example(cut=None, flips=[(18, 1)])  # the head then says that the file can only be read
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cut=st.none() | st.integers(0, 2**32),
    flips=st.lists(  # in the file's head more often: it has the most ways to be wrong
        st.tuples(st.integers(0, 2**32) | st.integers(0, 1500), st.integers(1, 255)), max_size=40
    ),
)
def test_whatever_bytes_a_worn_card_gives_back_no_readout_is_another_and_the_gateway_starts(
    tmp_path: Path, clock: HandClock, whole: Path, cut: int | None, flips: list[tuple[int, int]]
) -> None:
    folder = tmp_path / "run"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    path = folder / "buffer.sqlite"
    content = bytearray(whole.read_bytes())
    if cut is not None:
        del content[cut % len(content) :]
    for position, change in flips if content else []:
        content[position % len(content)] ^= change
    path.write_bytes(content)
    buffer = Buffer(path, clock, max_age=0.0, monotonic=clock.monotonic)
    with closing(buffer):
        try:
            batches = buffer.next_batches(10_000)
        except BufferFailedError:  # the damage was met just now, and is mended
            batches = buffer.next_batches(10_000)
        for batch in batches:
            for wire in batch.readouts:
                n = volume(wire)
                assert wire.raw == bytes([n % 256]) * (n % 300)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound file of readouts whose telegram tells what they should be."""
    path = tmp_path_factory.mktemp("whole") / "buffer.sqlite"
    clock = HandClock()
    with closing(Buffer(path, clock, max_age=0.0, monotonic=clock.monotonic)) as buffer:
        for group in range(20):
            buffer.append([told_by_its_telegram(n) for n in range(group * 10, group * 10 + 10)])
            buffer.next_batches(1)
    return path


def told_by_its_telegram(n: int) -> Readout:
    values = {"8-0:1.0.0": Quantity(n * 1_000_000, "m3")}
    return Readout("KAM-06855817", BEGIN, values, raw=bytes([n % 256]) * (n % 300))


def test_a_log_cut_short_anywhere_keeps_all_that_was_confirmed_before(
    tmp_path: Path, clock: HandClock, readout: MakeReadout
) -> None:
    path, log = tmp_path / "buffer.sqlite", tmp_path / "buffer.sqlite-wal"
    buffer = Buffer(path, clock, max_age=0.0, monotonic=clock.monotonic)
    lengths = []
    for n in range(12):
        buffer.append([readout(n, raw=bytes(n * 100))])
        lengths.append(log.stat().st_size)
    cut = tmp_path / "cut"
    for length in range(lengths[0], lengths[-1] + 1, 331):
        shutil.rmtree(cut, ignore_errors=True)
        cut.mkdir()
        shutil.copy(path, cut)
        (cut / log.name).write_bytes(log.read_bytes()[:length])
        with closing(Buffer(cut / path.name, clock, max_age=0.0, monotonic=clock.monotonic)) as after:
            confirmed = sum(1 for end in lengths if end <= length)
            assert sent(after) == list(range(confirmed))
    buffer.close()


@pytest.mark.expects_log("buffer damaged")
def test_damage_that_appears_while_it_runs_is_mended_without_a_restart(
    tmp_path: Path, open_buffer: OpenBuffer, readout: MakeReadout
) -> None:
    path = tmp_path / "buffer.sqlite"
    buffer = open_buffer(path, max_age=0.0)
    buffer.append([readout(n, raw=bytes(range(200))) for n in range(300)])
    epoch = buffer.epoch
    with closing(sqlite3.connect(path)) as connection:  # all of it into the file, nothing in the log
        connection.execute("pragma wal_checkpoint(truncate)")
    with path.open("r+b") as file:
        file.seek(20 * 1024)
        file.write(os.urandom(4096))
    shrink = "pragma shrink_memory"  # what SQLite remembers is of before
    buffer._disk.connection.execute(shrink)
    failures = 0
    batches = []
    for _ in range(3):
        try:
            batches = list(buffer.next_batches(1000)) or batches
        except BufferFailedError:
            failures += 1
    assert failures == 1
    assert buffer.epoch != epoch
    assert {batch.epoch for batch in batches} == {buffer.epoch}
    assert sum(len(batch.readouts) for batch in batches) > 250


def test_an_acknowledgement_that_the_card_made_up_is_not_believed(
    tmp_path: Path, open_buffer: OpenBuffer, readout: MakeReadout
) -> None:
    path = tmp_path / "buffer.sqlite"
    buffer = open_buffer(path, max_age=0.0)
    buffer.append([readout(1)])
    (batch,) = buffer.next_batches(1)
    buffer.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("update batches set acknowledged = 1")
        connection.commit()
    after = open_buffer(path, max_age=0.0)
    assert after.next_batches(1) == [batch]


@pytest.mark.expects_log("buffer damaged")
@pytest.mark.parametrize("broken", [False, True])
def test_held_readouts_survive_damage_and_a_changed_offset_corrects_nothing(
    tmp_path: Path, open_buffer: OpenBuffer, readout: MakeReadout, broken: bool
) -> None:
    path = tmp_path / "buffer.sqlite"
    buffer = open_buffer(path, max_age=0.0)
    for n in range(2):
        held = replace(readout(n), status=Status.UNSYNCHRONISED)
        buffer.append([held], unsynchronised=Monotonic("boot", 60.0 * n))
    buffer.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("update held set monotonic = monotonic + 4096 where id = 1")
        connection.execute("delete from life" if broken else "select 1")
        connection.commit()
    after = open_buffer(path, max_age=0.0)
    assert after.backlog().held == 2
    after.synchronise("boot", BEGIN)
    (batch,) = after.next_batches(1)
    statuses = {volume(wire): Status(wire.status) for wire in batch.readouts}
    assert statuses == {0: Status.UNSYNCHRONISED, 1: Status.CLOCK_CORRECTED}


@pytest.mark.expects_log("buffer damaged")
@pytest.mark.parametrize(
    "damage",
    [
        "update batches set last = last + 1",
        "update batches set number = 1 << 60",
        "update life set next_batch = -3",
        "delete from life",
        "pragma user_version = 1",
        "pragma user_version = 70000",
    ],
)
def test_what_makes_no_sense_is_damage_and_the_readouts_go_on(
    tmp_path: Path, open_buffer: OpenBuffer, readout: MakeReadout, damage: str
) -> None:
    path = tmp_path / "buffer.sqlite"
    buffer = open_buffer(path, max_age=0.0)
    for n in range(2):
        buffer.append([readout(n)])
        buffer.next_batches(1)
    buffer.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(damage + (" where number = 1" if "batches" in damage else ""))
        connection.commit()
    assert sent(open_buffer(path, max_age=0.0)) == [0, 1]


@pytest.mark.expects_log("buffer damaged")
def test_damage_that_cannot_be_mended_yet_is_mended_when_it_can(
    tmp_path: Path, open_buffer: OpenBuffer, readout: MakeReadout, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "buffer.sqlite"
    buffer = open_buffer(path, max_age=0.0)
    buffer.append([readout(n, raw=bytes(range(200))) for n in range(300)])
    buffer._disk.connection.execute("pragma wal_checkpoint(truncate)")
    with path.open("r+b") as file:
        file.seek(20 * 1024)
        file.write(os.urandom(4096))
    buffer._disk.connection.execute("pragma shrink_memory")
    with monkeypatch.context() as patch:
        patch.setattr(buffer_module, "replace_file", full)
        for _ in range(3):
            with pytest.raises(BufferFailedError, match="No space left"):
                buffer.next_batches(1000)
    assert len(set(sent(buffer))) > 250


def full(path: Path, *_: object) -> sqlite3.Connection:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.expects_log("buffer damaged")
@pytest.mark.parametrize("step", ["new file not complete", "old file moved", "new file complete"])
def test_a_power_cut_while_a_damaged_file_is_replaced_loses_nothing_that_was_saved(
    tmp_path: Path, open_buffer: OpenBuffer, readout: MakeReadout, step: str
) -> None:
    path, fresh = tmp_path / "buffer.sqlite", tmp_path / "buffer.sqlite.replacement"
    filled(open_buffer, path, readout)
    saved = path.read_bytes()
    content = bytearray(saved)
    content[40 * 1024 : 40 * 1024 + 100] = bytes(100)
    if step == "new file not complete":
        path.write_bytes(content)
        fresh.write_bytes(saved[:5000])
    elif step == "old file moved":
        fresh.write_bytes(saved)
        path.unlink()
        path.with_name(path.name + "-wal").write_bytes(b"of the damaged file")
    else:
        fresh.write_bytes(saved)
        path.unlink()
    assert len(set(sent(open_buffer(path, max_age=0.0))) & set(range(100, 400))) > 280
    assert not fresh.exists()


@pytest.mark.expects_log("buffer is full")
def test_on_a_full_disk_it_keeps_what_it_has_and_goes_on_when_there_is_room(
    tmp_path: Path, open_buffer: OpenBuffer, readout: MakeReadout
) -> None:
    buffer = open_buffer(tmp_path / "buffer.sqlite", max_age=0.0)
    noise = random.Random(1)
    connection = buffer._disk.connection
    connection.execute("pragma max_page_count = 60")  # what SQLite says is what it says on a full disk
    kept = 0
    with pytest.raises(BufferFullError, match="full"):  # noqa: PT012 - which append fails is not the question
        for kept in range(1000):
            buffer.append([readout(kept, raw=noise.randbytes(500))])
    assert kept > 20
    assert sent(buffer) == list(range(kept)), "what it has can still be numbered and sent"
    connection.execute("pragma max_page_count = 100000")
    buffer.append([readout(kept)])
    assert sent(buffer) == [kept]


@pytest.mark.expects_log("buffer is full")
def test_room_for_numbering_and_forgetting_is_left_on_the_disk(
    tmp_path: Path, open_buffer: OpenBuffer, readout: MakeReadout, monkeypatch: pytest.MonkeyPatch
) -> None:
    buffer = open_buffer(tmp_path / "buffer.sqlite", max_age=0.0)
    buffer.append([readout(n, raw=bytes(range(200)) * 2) for n in range(400)])
    whole = os.statvfs(tmp_path)
    crowded = os.statvfs_result((whole[0], 4096, whole[2], 100, 100, *whole[5:]))
    monkeypatch.setattr(os, "statvfs", lambda _: crowded)
    with pytest.raises(BufferFullError, match="its disk has 409600 bytes left"):
        buffer.append([readout(401)])
    batches = buffer.next_batches(100)
    buffer.acknowledge(buffer.epoch, {batch.batch: None for batch in batches})
    buffer.append([readout(401)])  # the history makes room for it within the file
    assert sent(buffer) == [401]


_LIMITED = """
import resource, signal, sys
from pathlib import Path
import gateway.buffer.buffer as buffer_module
from gateway.buffer.buffer import Buffer, BufferFailedError
from tests.gateway.conftest import HandClock
from tests.gateway.buffer.test_buffer_damage import sent, told_by_its_telegram
from tests.telemetry.read_back import read_back

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
clock = HandClock()
buffer = Buffer(Path(sys.argv[1]), clock, max_age=0.0, monotonic=clock.monotonic)
resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, resource.RLIM_INFINITY))
kept = []
refused = 0
for n in range(0, 1500, 10):
    group = [told_by_its_telegram(number) for number in range(n, n + 10)]
    try:
        buffer.append(group)
    except BufferFailedError:
        refused += 1
        if refused == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    else:
        kept += range(n, n + 10)
assert refused == 3, refused
assert sent(buffer) == kept
"""


def test_a_write_that_the_system_refuses_is_told_and_the_next_one_works_when_it_is_allowed(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-c", _LIMITED, str(tmp_path / "buffer.sqlite")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
