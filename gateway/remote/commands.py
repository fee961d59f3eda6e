"""Commands from the central side: done once, in time, between two exchanges, answered with their id.

They come from outside: sizes are bounded, names are checked, the rate is limited, and nothing that a command
says is repeated to a shell, a file or a meter other than by its configured name.
"""

import logging
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Literal, Protocol

from drivers.driver import Clock
from drivers.errors import DriverError
from gateway.buffer.source import SourceError
from gateway.config.document import GatewayConfig, RemoteConfig
from gateway.line.tasks import LineTask, ReadNow, RestartLine, Scan, SetClock
from gateway.line.work import PolledLine
from gateway.remote.redacted import NotShownError
from telemetry.wire import Command, Reply, WireError, decode, from_milliseconds, to_milliseconds

log = logging.getLogger(__name__)

MAX_COMMAND_BYTES = 4_096
KNOWN = ("read-now", "scan", "restart-line", "set-clock", "log-level", "show-config", "send-again")
LEVELS = ("debug", "info", "warning", "error")
_LOGGERS = ("gateway", "drivers", "telemetry", "hesper")
_REMEMBERED = 1_000  # ids
_MINUTE = 60.0
_DEBUG_SECONDS = 3_600.0  # then a changed log level goes back: what is logged wears out the card, too
_LONGEST_DETAIL = 2_000

State = Literal["running", "done", "failed"]


class RunningLines(Protocol):
    """The running gateway, as commands see it."""

    @property
    def config(self) -> GatewayConfig: ...
    def poller(self, line_name: str) -> PolledLine:
        """Raises KeyError."""
        ...


class RefusedCommandError(Exception):
    """The command is not begun; the text says why and what is possible."""


class Commands:
    """Commands: `receive` and `watch` belong to one thread; answers come from the lines' threads, too.

    `clock_is_right`: whether the gateway's clock may be given to meters. `shown` gives the text of the
    configuration that runs, and its version; NotShownError, OSError or ValueError where none can be shown.
    `send_again` lets what was read or stored since an instant be sent once more; SourceError where it cannot.
    """

    def __init__(
        self,
        lines: RunningLines,
        allowed: RemoteConfig,
        reply: Callable[[Reply], None],
        *,
        clock: Clock,
        monotonic: Callable[[], float],
        clock_is_right: Callable[[], bool],
        shown: Callable[[], tuple[str, str]],
        send_again: Callable[[datetime], int],
    ) -> None:
        self._shown = shown
        self._send_again = send_again
        self._lines = lines
        self._allowed = allowed
        self._reply = reply
        self._clock = clock
        self._monotonic = monotonic
        self._clock_is_right = clock_is_right
        self._lock = threading.Lock()
        self._replies: OrderedDict[str, Reply] = OrderedDict()  # the last one to each id
        self._recent: deque[float] = deque()
        self._level_until: float | None = None
        self._levels_before: dict[str, int] = {}

    def receive(self, payload: bytes) -> None:
        """A message on the `command` topic, whatever it is."""
        try:
            if len(payload) > MAX_COMMAND_BYTES:
                raise WireError(f"{len(payload)} bytes; a command has at most {MAX_COMMAND_BYTES}")
            command = decode(payload, Command)
        except WireError as error:
            log.warning("command cannot be read", extra={"reason": str(error)})
            return
        with self._lock:
            earlier = self._replies.get(command.id)
        if earlier is not None:
            self._reply(earlier)
            return
        log.info(
            "command",
            extra={"id": command.id, "command": command.command, "to": command.meter or command.line},
        )
        try:
            self._begin(command)
        except (RefusedCommandError, DriverError) as error:
            self._answer(command, "failed", str(error))

    def watch(self) -> None:
        """Call now and then: takes a log level back when its time is over."""
        if self._level_until is not None and self._monotonic() >= self._level_until:
            self.close()

    def close(self) -> None:
        """Leave the log as it was found."""
        for name, level in self._levels_before.items():
            logging.getLogger(name).setLevel(level)
        self._levels_before.clear()
        self._level_until = None

    def _begin(self, command: Command) -> None:
        self._check_rate()
        if command.command not in KNOWN:
            raise RefusedCommandError(f"unknown command {command.command!r}; known: {', '.join(KNOWN)}")
        if self._expired(command):
            raise RefusedCommandError("expired")
        match command.command:
            case "read-now":
                self._read_now(command)
            case "scan":
                self._submit(command, command.line, Scan(*self._terms(command)))
            case "restart-line":
                self._submit(command, command.line, RestartLine(*self._terms(command)))
            case "set-clock":
                self._set_clock(command)
            case "show-config":
                self._show_config(command)
            case "send-again":
                self._send_since(command)
            case _:
                self._set_level(command)

    def _read_now(self, command: Command) -> None:
        if command.meter:
            line, meters = self._line_of(command), [command.meter]
        else:
            line = command.line
            poller = self._poller(line)
            meters = [meter.target.meter or meter.target.address for meter in poller.meters]
        self._submit(command, line, ReadNow(*self._terms(command), meters))

    def _set_clock(self, command: Command) -> None:
        if not self._allowed.set_clock:
            raise RefusedCommandError(
                "set-clock is not allowed here; the installer's file would say: [remote] set_clock = true"
            )
        if not command.meter:
            raise RefusedCommandError("set-clock needs a meter")
        if not self._clock_is_right():
            raise RefusedCommandError("the gateway's own clock is not synchronised")
        task = SetClock(*self._terms(command), command.meter, self._clock)
        self._submit(command, self._line_of(command), task)

    def _set_level(self, command: Command) -> None:
        if command.level not in LEVELS:
            raise RefusedCommandError(f"unknown level {command.level!r}; known: {', '.join(LEVELS)}")
        for name in _LOGGERS:
            logger = logging.getLogger(name)
            self._levels_before.setdefault(name, logger.level)
            logger.setLevel(command.level.upper())
        self._level_until = self._monotonic() + _DEBUG_SECONDS
        self._answer(command, "done", f"{command.level} for an hour")

    def _show_config(self, command: Command) -> None:
        try:
            text, version = self._shown()
        except (NotShownError, OSError, ValueError) as error:
            raise RefusedCommandError(str(error)) from None
        result = {"version": version, "toml": text}
        self._answer(command, "done", f"version {version}" if version else "the installer's file", result)

    def _send_since(self, command: Command) -> None:
        if command.since is None:
            raise RefusedCommandError("send-again needs an instant (since)")
        try:
            count = self._send_again(from_milliseconds(command.since))
        except SourceError as error:
            raise RefusedCommandError(str(error)) from None
        self._answer(command, "done", f"{count} readouts and missed polls are sent again", {"entries": count})

    def _submit(self, command: Command, line: str, task: LineTask) -> None:
        poller = self._poller(line)
        self._answer(command, "running", f"line {line} will do it")
        poller.submit(task)

    def _poller(self, line: str) -> PolledLine:
        try:
            return self._lines.poller(line)
        except KeyError:
            known = ", ".join(each.name for each in self._lines.config.line)
            raise RefusedCommandError(f"there is no line {line!r}; known: {known}") from None

    def _line_of(self, command: Command) -> str:
        """The line of the command's meter, named by id, or with a line by its address."""
        lines = [command.line] if command.line else [each.name for each in self._lines.config.line]
        for line in lines:
            try:
                found = self._poller(line).find(command.meter)
            except DriverError:
                continue
            if command.line or found.target.meter == command.meter:
                return line
        where = f"on line {command.line!r}" if command.line else "on any line"
        raise RefusedCommandError(f"there is no meter {command.meter!r} {where}")

    def _terms(self, command: Command) -> tuple[Callable[..., None], Callable[[], bool]]:
        return partial(self._answer, command), partial(self._expired, command)

    def _expired(self, command: Command) -> bool:
        return command.expires_at is not None and self._clock() > from_milliseconds(command.expires_at)

    def _check_rate(self) -> None:
        now = self._monotonic()
        while self._recent and now - self._recent[0] >= _MINUTE:
            self._recent.popleft()
        if len(self._recent) >= self._allowed.commands_per_minute:
            raise RefusedCommandError(
                f"too many commands; at most {self._allowed.commands_per_minute} a minute are taken"
            )
        self._recent.append(now)

    def _answer(
        self, command: Command, state: State, detail: str, result: Mapping[str, Any] | None = None
    ) -> None:
        at = max(0, to_milliseconds(self._clock()))
        reply = Reply(command.id, at, state, detail[:_LONGEST_DETAIL], dict(result or {}))
        with self._lock:
            self._replies[command.id] = reply
            while len(self._replies) > _REMEMBERED:
                self._replies.popitem(last=False)
        self._reply(reply)
