"""The supervisor: order, restart, and an end without orphans."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hesper.supervise import Program, StartError, Supervisor


def python(code: str) -> Callable[[], list[str]]:
    return lambda: [sys.executable, "-c", code]


SLEEPER = python("import time; time.sleep(600)")


def wait_until(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_programs_start_in_order_each_when_the_one_before_is_ready(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    first = Program(
        "first",
        python(f"import pathlib, time; pathlib.Path({str(flag)!r}).touch(); time.sleep(600)"),
        ready=flag.exists,
    )
    second = Program(
        "second", python(f"import os, time; assert os.path.exists({str(flag)!r}); time.sleep(600)")
    )
    with Supervisor([first, second]) as supervisor:
        assert supervisor.pid("first")
        assert supervisor.pid("second")


@pytest.mark.expects_log("program died")
def test_a_killed_program_is_started_again() -> None:
    with Supervisor([Program("sleeper", SLEEPER)]) as supervisor:
        before = supervisor.pid("sleeper")
        assert before is not None
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: supervisor.pid("sleeper") not in {None, before})
        assert supervisor.restarts() == {"sleeper": 1}


def test_leaving_ends_every_program() -> None:
    with Supervisor([Program("one", SLEEPER), Program("two", SLEEPER)]) as supervisor:
        pids = [supervisor.pid("one"), supervisor.pid("two")]
    assert not any(pid is not None and alive(pid) for pid in pids)


def test_a_program_that_cannot_start_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    broken = Program("broken", python("raise SystemExit('no port')"), ready=lambda: False)
    with pytest.raises(StartError, match=r"broken ended with code 1(?s:.*)no port"):
        Supervisor([Program("good", SLEEPER), broken], log_folder=tmp_path).__enter__()


def test_a_killed_supervisor_leaves_no_orphan(tmp_path: Path) -> None:
    report = tmp_path / "pid"
    script = (
        "import pathlib, sys, time\n"
        "from hesper.supervise import Program, Supervisor\n"
        "sleep = [sys.executable, '-c', 'import time; time.sleep(600)']\n"
        "with Supervisor([Program('child', lambda: sleep)]) as s:\n"
        f"    pathlib.Path({str(report)!r}).write_text(str(s.pid('child')))\n"
        "    time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script])
    try:
        wait_until(lambda: report.exists() and bool(report.read_text()))
        child = int(report.read_text())
        parent.kill()
        parent.wait()
        wait_until(lambda: not alive(child))
    finally:
        parent.kill()
        parent.wait()


@pytest.mark.expects_log("program died")
@pytest.mark.expects_log("program cannot be started")
def test_a_restart_that_fails_is_tried_again() -> None:
    starts: list[int] = []

    def full_disk_once() -> list[str]:
        starts.append(len(starts))
        if len(starts) == 2:
            raise OSError("no space left")
        return SLEEPER()

    with Supervisor([Program("sleeper", full_disk_once), Program("other", SLEEPER)]) as supervisor:
        before, other = supervisor.pid("sleeper"), supervisor.pid("other")
        assert before is not None
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: supervisor.pid("sleeper") not in {None, before})
        assert starts == [0, 1, 2]
        assert supervisor.pid("other") == other
