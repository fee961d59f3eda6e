"""The supervisor: order, restart, and an end without orphans."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hesper import supervise
from hesper.supervise import Program, StartError, Supervisor
from tests.support.broker import free_port


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


HEART = "from hesper.heartbeat import beat_while; import time; beat_while(lambda: True); time.sleep(600)"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "_HUNG", 4.0)
    monkeypatch.setattr(supervise, "_FIRST_SIGN", 10.0)
    monkeypatch.setattr(supervise, "_PROBE_SECONDS", 0.2)


def stopped_then_replaced(supervisor: Supervisor, name: str) -> None:
    before = supervisor.pid(name)
    assert before is not None
    os.kill(before, signal.SIGSTOP)
    wait_until(lambda: supervisor.pid(name) not in {None, before}, 30)


@pytest.mark.expects_log("program hangs, will be ended")
@pytest.mark.expects_log("program died")
def test_a_program_that_beats_no_more_is_ended_and_started_again(impatient: None) -> None:
    programs = [Program("heart", python(HEART), beats=True), Program("other", python(HEART), beats=True)]
    with Supervisor(programs) as supervisor:
        other = supervisor.pid("other")
        time.sleep(5)  # longer than the patience: both beat
        assert supervisor.restarts() == {"heart": 0, "other": 0}
        stopped_then_replaced(supervisor, "heart")
        assert supervisor.pid("other") == other


@pytest.mark.expects_log("program hangs, will be ended")
@pytest.mark.expects_log("program died")
def test_a_program_that_answers_no_more_is_ended_with_its_children(impatient: None, tmp_path: Path) -> None:
    port, children = free_port(), tmp_path / "children"
    listener = (
        "import os, socket, subprocess, sys, time\n"
        "sleeper = [sys.executable, '-c', 'import time; time.sleep(600)']\n"
        "child = subprocess.Popen(sleeper, start_new_session=True)\n"
        f"open({str(children)!r}, 'a').write(f'{{child.pid}}\\n')\n"
        f"server = socket.create_server(('127.0.0.1', {port}))\n"
        "while True:\n"
        "    one, _ = server.accept()\n"
        "    one.sendall(b'x')\n"
        "    one.close()\n"
    )

    def answers() -> bool:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=0.5) as asking:
                return asking.recv(1) == b"x"
        except OSError:
            return False

    with Supervisor([Program("server", python(listener), ready=answers, alive=answers)]) as supervisor:
        stopped_then_replaced(supervisor, "server")
        wait_until(answers)
        first, second = (int(line) for line in children.read_text().split())
        assert not alive(first)
        assert alive(second)
    os.kill(second, signal.SIGKILL)


@pytest.mark.expects_log("program hangs, will be ended")
@pytest.mark.expects_log("program died")
def test_a_process_whose_work_does_not_come_round_is_ended_although_it_runs(impatient: None) -> None:
    busy = (
        "from hesper.stop import until_told; import time\n"
        "stop = until_told(longest_turn=2)\n"
        "for _ in range(20):\n"
        "    stop.wait(0.2)\n"
        "while True: time.sleep(1)\n"  # the loop has got stuck somewhere
    )
    with Supervisor([Program("stuck", python(busy), beats=True)]) as supervisor:
        before = supervisor.pid("stuck")
        wait_until(lambda: supervisor.pid("stuck") not in {None, before}, 40)


@pytest.mark.expects_log("program died")
@pytest.mark.expects_log("program dies again and again")
def test_who_dies_again_and_again_is_told_and_waits_longer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(supervise, "_PAUSES", (0.05, 0.05, 0.05, 0.2))
    with Supervisor([Program("mortal", python("raise SystemExit(3)"))]) as supervisor:
        wait_until(lambda: supervisor.restarts()["mortal"] >= 5, 30)
    told = capsys.readouterr().out
    assert told.count("program dies again and again") == 1
    assert told.count("pause_seconds=0.2") >= 2
