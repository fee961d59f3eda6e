"""A copy of a buffer never passes for the buffer: images put back, clones, other machines, later runs."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from gateway.buffer import epoch
from telemetry.readout import Readout
from telemetry.wire import Outcome
from tests.gateway.conftest import HandClock, OpenBuffer

MakeReadout = Callable[..., Readout]


def numbers(batches: object) -> list[int]:
    return [batch.batch for batch in batches]  # type: ignore[attr-defined]


def test_a_process_that_follows_on_the_same_machine_goes_on(
    tmp_path: Path, open_buffer: OpenBuffer, clock: HandClock, readout: MakeReadout
) -> None:
    path = tmp_path / "buffer.sqlite"
    first = open_buffer(path, max_age=0)
    first.append([readout(1)])
    (sent,) = first.next_batches(9)
    first.close()
    second = open_buffer(path, max_age=0)
    assert second.next_batches(9) == [sent]


@pytest.mark.parametrize("other", ["machine", "boot", "mark", "nothing to write a mark in"])
def test_elsewhere_or_later_what_waits_is_numbered_anew_and_what_was_stored_is_not_sent_again(  # noqa: PLR0917 - fixtures
    other: str,
    tmp_path: Path,
    open_buffer: OpenBuffer,
    clock: HandClock,
    readout: MakeReadout,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "buffer.sqlite"
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "run"))
    if other.startswith("nothing"):
        monkeypatch.setenv("RUNTIME_DIRECTORY", "/proc/none")
    first = open_buffer(path, max_age=0)
    first.append([readout(1)])
    (stored,) = first.next_batches(9)
    first.acknowledge(first.epoch, {stored.batch: Outcome(stored.batch, stored=1, digest=stored.digest)})
    first.append([readout(2)])
    (waiting,) = first.next_batches(9)
    first.close()
    if other == "machine":
        monkeypatch.setattr(epoch, "machine_id", lambda: "another")
    elif other == "boot":
        monkeypatch.setattr(epoch, "boot_id", lambda: "another")
    elif other == "mark":
        shutil.rmtree(tmp_path / "run")
    second = open_buffer(path, max_age=0)
    (again,) = second.next_batches(9)
    assert (again.readouts, again.digest) == (waiting.readouts, waiting.digest)
    assert again.batch > waiting.batch
    assert again.epoch != waiting.epoch
    second.acknowledge(waiting.epoch, {waiting.batch: None, again.batch: None})
    assert second.backlog().readouts == 1, "that was an acknowledgement of the epoch before"
    second.acknowledge(again.epoch, {again.batch: None})
    assert second.backlog().readouts == 0


def test_an_image_that_is_put_back_takes_no_acknowledgement_of_what_it_never_sent(
    tmp_path: Path, open_buffer: OpenBuffer, clock: HandClock, readout: MakeReadout
) -> None:
    path, image = tmp_path / "buffer.sqlite", tmp_path / "image"
    first = open_buffer(path, max_age=0)
    first.append([readout(1)])
    first.acknowledge(first.epoch, dict.fromkeys(numbers(first.next_batches(9))))
    first.close()
    shutil.copy(path, image)
    later = open_buffer(path, max_age=0)
    later.append([readout(2)])
    (lost,) = later.next_batches(9)
    later.close()
    shutil.copy(image, path)
    restored = open_buffer(path, max_age=0)
    restored.append([readout(3)])
    (fresh,) = restored.next_batches(9)
    assert (lost.epoch, lost.batch) != (fresh.epoch, fresh.batch)
    restored.acknowledge(lost.epoch, {lost.batch: None})
    assert restored.backlog().readouts == 1


@pytest.mark.expects_log("acknowledgement of another content, passed over")
def test_an_acknowledgement_of_another_content_confirms_nothing(
    tmp_path: Path, open_buffer: OpenBuffer, clock: HandClock, readout: MakeReadout
) -> None:
    """Both copies of a file that was copied while it was open, and goes on in its epoch in both places."""
    first, second = (open_buffer(tmp_path / name, max_age=0) for name in ("a", "b"))
    first.append([readout(1)])
    second.append([readout(2)])
    (ours,), (theirs,) = first.next_batches(9), second.next_batches(9)
    assert ours.batch == theirs.batch
    assert ours.digest != theirs.digest
    first.acknowledge(ours.epoch, {ours.batch: Outcome(ours.batch, stored=1, digest=theirs.digest)})
    assert first.backlog().readouts == 1
    first.acknowledge(ours.epoch, {ours.batch: Outcome(ours.batch, stored=1)})
    assert first.backlog().readouts == 0, "an ingester that knows no digests confirms by number"


def test_two_clones_that_are_opened_do_not_share_an_epoch(
    tmp_path: Path, open_buffer: OpenBuffer, clock: HandClock, readout: MakeReadout
) -> None:
    open_buffer(tmp_path / "buffer.sqlite").close()
    shutil.copy(tmp_path / "buffer.sqlite", tmp_path / "clone.sqlite")
    original, clone = (open_buffer(tmp_path / f"{name}.sqlite", max_age=0) for name in ("buffer", "clone"))
    assert original.epoch != clone.epoch


def test_a_file_of_the_earlier_schema_is_taken_over_with_what_waits_in_it(
    tmp_path: Path, open_buffer: OpenBuffer, clock: HandClock, readout: MakeReadout
) -> None:
    path = tmp_path / "buffer.sqlite"
    first = open_buffer(path, max_age=0)
    first.append([readout(1)])
    (stored,) = first.next_batches(9)
    first.acknowledge(first.epoch, {stored.batch: None})
    first.append([readout(2)])
    first.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for column in ("epoch", "machine", "boot", "opening", "stored_at"):
            connection.execute(f"alter table life drop column {column}")
        connection.execute("alter table batches drop column stored_at")
        connection.execute("alter table life rename column seal_key to epoch")
        connection.execute("pragma user_version = 2")
    second = open_buffer(path, max_age=0)
    (waiting,) = second.next_batches(9)
    assert [one.at for one in waiting.readouts] == [int(readout(2).at.timestamp() * 1000)], (
        "and not what was acknowledged"
    )


def test_nobody_else_on_the_machine_reads_what_people_use(
    tmp_path: Path, open_buffer: OpenBuffer, clock: HandClock, readout: MakeReadout
) -> None:
    path = tmp_path / "gateway" / "buffer.sqlite"
    buffer = open_buffer(path)
    buffer.append([readout(1)])
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert {part.stat().st_mode & 0o777 for part in path.parent.glob("buffer*")} == {0o600}
