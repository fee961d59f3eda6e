"""Heartbeats, as systemd counts them: begun by the first work, silent and told of while it stays away."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from hesper import heartbeat
from hesper.heartbeat import beat_while


@pytest.fixture
def ear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The socket that systemd would name."""
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.02)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(10)
        yield listening


def test_work_that_has_not_begun_is_no_fault_and_that_it_stays_away_is_told_once(
    ear: socket.socket,
) -> None:
    turns = iter([False] * 3 + [True] * 2 + [False] * 3)
    with capture_logs() as logs:
        beat_while(lambda: next(turns, True))
        for _ in range(4):
            assert ear.recv(64) == b"WATCHDOG=1"
    assert len(logs) == 1
    assert logs[0]["event"].startswith("the work of this process does not come round")
