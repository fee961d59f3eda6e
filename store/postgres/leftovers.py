"""Processes that an earlier embedded server left behind in the folder of its cluster."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

PROCESSES = Path("/proc")
_PATIENCE_SECONDS = 20.0  # for an orphaned server to end by itself


def works_in(cluster: Path, pid: int) -> bool:
    """True for a process of the cluster: postmaster, session, background worker."""
    try:
        return Path(os.readlink(PROCESSES / str(pid) / "cwd")) == cluster
    except OSError:
        return False


def end_processes(cluster: Path, postmaster: int | None, stop: signal.Signals) -> None:
    """Returns when nobody works in the cluster any more.

    An orphaned postmaster is stopped. Sessions that outlived a killed one must be gone before the next
    begins: they end by themselves, or are killed, which recovery is for.
    """
    if postmaster is not None:
        _signal(postmaster, stop)
    patience = time.monotonic() + _PATIENCE_SECONDS
    while at_work := _at_work(cluster):
        if time.monotonic() > patience:
            for process in at_work:
                _signal(process, signal.SIGKILL)
        time.sleep(0.02)


def _at_work(cluster: Path) -> list[int]:
    if not PROCESSES.is_dir():
        return []
    numbers = (int(entry.name) for entry in PROCESSES.iterdir() if entry.name.isdigit())
    return [number for number in numbers if works_in(cluster, number)]


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # it ended by itself meanwhile
        os.kill(pid, number)
