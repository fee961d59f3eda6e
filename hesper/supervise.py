"""Several processes as one: start in order, restart what dies or hangs, end together.

Ready means that a probe says so. A program that dies is started again after a pause that grows with each
death in a row; one that gives no sign of life is ended, and started again like one that died. A sign of life
is a heartbeat (`heartbeat.py`), or a probe's answer for programs that have none. When the supervisor itself
is killed, the kernel ends its children (`setpriv --pdeathsig`).
All children are started by one thread that lives as long as they do: the kernel's promise is tied to it.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from types import TracebackType

import structlog

_TICK = 0.05  # seconds between looks at the children
_STOP_GRACE = 10.0  # seconds from the polite signal to SIGKILL
_PAUSES = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)  # seconds before a restart, by deaths in a row
_STEADY = 600.0  # seconds alive after which earlier deaths are forgotten
_LOOP = 3  # deaths in a row from which on it is not chance
_HUNG = 20.0  # seconds without a sign of life
_FIRST_SIGN = 60.0  # seconds until the first one, after a start
_PROBE_SECONDS = 3.0  # between two

log = structlog.get_logger(__name__)


class StartError(RuntimeError):
    """A program did not become ready; the text ends with the last lines it wrote."""


@dataclass(frozen=True, slots=True)
class Program:
    """One child. `command` is asked for before every start, so that it can clear what a dead one left.

    `ready` is asked until it says True; None means ready once started. With `beats` it gives signs of life by
    itself, with `alive` it is asked for them; with neither, only its death is noticed.
    """

    name: str
    command: Callable[[], Sequence[str]]
    environment: Mapping[str, str] = field(default_factory=dict)
    ready: Callable[[], bool] | None = None
    ready_timeout: float = 60.0
    stop_signal: signal.Signals = signal.SIGTERM
    beats: bool = False
    alive: Callable[[], bool] | None = None  # asked in a thread of its own, and may take some seconds


def module_command(module: str, *arguments: str) -> list[str]:
    """Command of one of our modules with this interpreter.

    It never imports from the folder in which somebody happens to stand (-P): an api.py there is not ours.
    """
    return [sys.executable, "-P", "-m", module, *arguments]


def hesper_command(*arguments: str) -> Callable[[], list[str]]:
    """Command of another `hesper` process."""
    return lambda: module_command("hesper", *arguments)


class _Child:
    """A program, its present process, and how it has fared."""

    def __init__(self, program: Program, log_folder: Path | None) -> None:
        self.program = program
        self.log_path = log_folder / f"{program.name}.log" if log_folder else None
        self.process: subprocess.Popen[bytes] | None = None
        self.deaths = 0
        self.started_at = 0.0
        self.restart_at: float | None = None
        self.sign_until = inf  # monotonic seconds: by then a sign of life is due
        self.ear: socket.socket | None = None

    def start(self) -> None:
        command = list(self.program.command())
        setpriv = shutil.which("setpriv")
        if setpriv:
            parting = self.program.stop_signal.name.removeprefix("SIG")
            command = [setpriv, "--pdeathsig", parting, "--", *command]
        environment = os.environ | dict(self.program.environment)
        environment.pop("NOTIFY_SOCKET", None)  # of whoever supervises us
        if self.program.beats:
            environment["NOTIFY_SOCKET"] = self._listen()
        # own session: Ctrl-C reaches the supervisor only, which then ends the children in order
        if self.log_path is None:
            self.process = subprocess.Popen(  # noqa: S603 - commands are composed here, never from input
                command, env=environment, stdin=subprocess.DEVNULL, start_new_session=True
            )
        else:
            self.log_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.log_path.touch(mode=0o600)
            with self.log_path.open("ab") as output:
                self.process = subprocess.Popen(  # noqa: S603 - as above
                    command,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        self.started_at = time.monotonic()
        self.restart_at = None
        watched = self.program.beats or self.program.alive is not None
        self.sign_until = self.started_at + _FIRST_SIGN if watched else inf

    def _listen(self) -> str:
        """Address of a socket for the heartbeats of a new process: none of an old one is heard."""
        if self.ear is not None:
            self.ear.close()
        self.ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.ear.bind("")  # Linux chooses a name that nobody else has (unix(7), autobind)
        name: bytes = self.ear.getsockname()
        return f"@{name[1:].decode()}"

    def listen(self, now: float) -> None:
        """Hear the heartbeats that have come."""
        with suppress(BlockingIOError):
            while self.ear is not None and self.ear.recv(64):
                self.sign_until = now + _HUNG

    def ask(self, stopping: threading.Event) -> None:
        """Ask for signs of life until `stopping`, in a thread of its own."""
        assert self.program.alive is not None
        while not stopping.wait(_PROBE_SECONDS):
            process = self.process
            if self.program.alive() and self.process is process:
                self.sign_until = time.monotonic() + _HUNG

    def last_words(self) -> str:
        if self.log_path is None or not self.log_path.exists():
            return ""
        lines = self.log_path.read_text(errors="replace").splitlines()[-12:]
        return f"; the end of {self.log_path}:\n" + "\n".join(lines)

    def stop(self) -> None:
        process = self.process
        if process is None or process.poll() is not None:
            return
        process.send_signal(self.program.stop_signal)
        try:
            process.wait(_STOP_GRACE)
        except subprocess.TimeoutExpired:
            log.warning("killed", program=self.program.name, waited_seconds=_STOP_GRACE)
            process.kill()
            process.wait()


class Supervisor:
    """A context manager over a list of programs.

    Entering starts them one after the other, each when the one before it is ready, and raises StartError
    (with all stopped again) if one does not get there. Leaving ends them in reverse order.
    """

    def __init__(self, programs: Sequence[Program], *, log_folder: Path | None = None) -> None:
        self._children = [_Child(program, log_folder) for program in programs]
        self._stopping = threading.Event()
        self._settled = threading.Event()  # all ready, or failed
        self._failure: StartError | None = None
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    def __enter__(self) -> "Supervisor":
        self._thread.start()
        try:
            self._settled.wait()
        except BaseException:  # Ctrl-C while starting: leave nothing behind
            self.stop()
            raise
        if self._failure is not None:
            self._thread.join()
            raise self._failure
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End all children, last started first. Safe to call twice."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def pid(self, name: str) -> int | None:
        """The process id of a program that is alive now."""
        for child in self._children:
            if child.program.name == name and child.process is not None and child.process.poll() is None:
                return child.process.pid
        return None

    def restarts(self) -> dict[str, int]:
        """How often each program had to be started again in a row."""
        return {child.program.name: child.deaths for child in self._children}

    def _run(self) -> None:
        try:
            for child in self._children:
                child.start()
                self._await_ready(child)
                if self._stopping.is_set():
                    return
                if child.program.alive is not None:
                    threading.Thread(target=child.ask, args=[self._stopping], daemon=True).start()
            self._settled.set()
            while not self._stopping.wait(_TICK):
                for child in self._children:
                    self._look_after(child)
        except StartError as error:
            self._failure = error
        except Exception as error:
            # whatever a program's command or probe raises must reach who waits, not end with this thread
            self._failure = StartError(f"{type(error).__name__}: {error}")
            self._failure.__cause__ = error
            if self._settled.is_set():
                log.exception("supervision ended")
        finally:
            for child in reversed(self._children):
                child.stop()
                if child.ear is not None:
                    child.ear.close()
            self._settled.set()

    def _await_ready(self, child: _Child) -> None:
        program = child.program
        deadline = time.monotonic() + program.ready_timeout
        while program.ready is not None and not program.ready() and not self._stopping.is_set():
            if child.process is not None and child.process.poll() is not None:
                raise StartError(
                    f"{program.name} ended with code {child.process.returncode} at its start"
                    + child.last_words()
                )
            if time.monotonic() > deadline:
                raise StartError(
                    f"{program.name} was not ready after {program.ready_timeout:.0f} s" + child.last_words()
                )
            self._stopping.wait(_TICK)

    def _look_after(self, child: _Child) -> None:
        process, now = child.process, time.monotonic()
        child.listen(now)
        if process is None or process.poll() is None:
            if process is not None and now > child.sign_until:
                log.error("program hangs, will be ended and started again", program=child.program.name)
                child.sign_until = inf
                _end_with_children(process.pid)
            elif child.deaths and now - child.started_at > _STEADY:
                log.info("steady again", program=child.program.name, deaths=child.deaths)
                child.deaths = 0
            return
        if child.restart_at is None:
            pause = _PAUSES[min(child.deaths, len(_PAUSES) - 1)]
            child.deaths += 1
            child.restart_at = now + pause
            log.warning(
                "program died, will be restarted",
                program=child.program.name,
                code=process.returncode,
                pause_seconds=pause,
            )
            if child.deaths == _LOOP:
                log.error("program dies again and again", program=child.program.name, log=str(child.log_path))
        elif now >= child.restart_at:
            try:
                child.start()
            except Exception as error:  # whatever a program's command raises is one more death, tried again
                log.error("program cannot be started", program=child.program.name, reason=str(error))
                child.restart_at = None


def _end_with_children(pid: int) -> None:
    """SIGKILL, to the children first: a database's are sessions of their own, and may be stopped as well."""
    with suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split():
            with suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
