"""Telegrams out and in on a line, counted: what is common to every part of a session."""

from collections.abc import Callable
from dataclasses import dataclass

from drivers.driver import Tally
from drivers.errors import DecodeError, GarbledAnswerError, MeterError, NoAnswerError
from drivers.line import Line
from drivers.optical.codec.telegram import (
    NAK,
    BlockCheck,
    Frame,
    Identification,
    ProgrammingCommand,
    SingleCharacter,
    TelegramReader,
)

REACTION_LIMIT = 1.5  # longest wait for a telegram, and between two of its characters (6.3.2)
_SLACK = 0.3  # what USB converters and networks add to it
_MOST_BYTES = 1 << 17
_MOST_NOISE = 1024  # in front of an identification


@dataclass(slots=True)
class Traffic:
    """Traffic of a session: characters at the sign-on's speed and at the agreed one, and reaction times."""

    slow: int = 0
    fast: int = 0
    turns: int = 0


class Wire:
    """Wire to a meter that errors call `name`; `patience` in seconds, None for the standard's."""

    def __init__(self, line: Line, name: str, tally: Tally, patience: float | None) -> None:
        self.line = line
        self.name = name
        self.traffic = Traffic()
        self.reaction = 0.0  # least seconds between telegrams; the identification tells them
        self.agreed = False  # whether the speed is the agreed one
        self.broken_off = False  # by the meter
        self._tally = tally
        self._patience = (patience or REACTION_LIMIT) + _SLACK
        self._reader = TelegramReader()

    def use(self, check: BlockCheck) -> None:
        """From now on frames carry this block check."""
        self._reader = TelegramReader(check)

    def turn(self) -> None:
        """Wait the least time between what the meter says and what it hears."""
        self.traffic.turns += 1
        self.line.wait(self.reaction)

    def request(self, telegram: bytes, *, again: bool = False) -> None:
        """Say what the meter is to answer."""
        self._tally.exchanges += 1
        self._tally.retries += again
        self.traffic.turns += 1  # the meter's, before its answer
        self.say(telegram)

    def say(self, telegram: bytes) -> None:
        """Say what has no answer."""
        self._reader.sent(telegram)
        self._count(len(telegram))
        self.line.send(telegram)

    def identification(self, sign_on: bytes) -> Identification:
        """The answer to a sign-on. Raises NoAnswerError, GarbledAnswerError."""
        received = b""
        while data := self._receive():
            received += data
            self._reader.add(data)
            if found := self._reader.identification():
                self.reaction = found.reaction
                return found
            if len(received) > _MOST_NOISE:
                break
        received = received.removeprefix(sign_on)  # heads see their own light
        if received:
            self._tally.garbled += 1
            raise GarbledAnswerError(
                f"{self.name}: {len(received)} bytes that are no identification", received
            )
        self._tally.timeouts += 1
        raise NoAnswerError(
            f"{self.name}: no answer to the sign-on",
            advice="check that the head sits on the port the right way up, and the device address",
        )

    def expect(self, wanted: Callable[[Frame], bool], silence: str = "no answer") -> Frame:
        """The next frame of that kind; a damaged one costs a NAK, which asks for it once more.

        Raises NoAnswerError also for the meter's NAK, GarbledAnswerError, and MeterError for its break.
        """
        for repeat in (False, True):
            if repeat:
                self.turn()
                self.request(NAK, again=True)
            try:
                return self._frame(wanted, silence)
            except DecodeError as error:
                wrong = error
                self._tally.garbled += 1
        raise GarbledAnswerError(f"{self.name}: {wrong}", self._reader.damaged)

    def _frame(self, wanted: Callable[[Frame], bool], silence: str) -> Frame:
        """Raises DecodeError for a wrong block check."""
        received = 0
        while True:
            while (frame := self._reader.frame()) is not None:
                if wanted(frame):
                    return frame
                if frame is SingleCharacter.NAK:
                    raise NoAnswerError(f"{self.name}: the meter did not understand the request")
                if is_command(frame, "B0"):
                    self.broken_off = True
                    raise MeterError(f"{self.name}: the meter broke the session off", 0)
            data = self._receive()
            received += len(data)
            if not data or received > _MOST_BYTES:
                break
            self._reader.add(data)
        if self._reader.pending:
            self._tally.garbled += 1
            raise GarbledAnswerError(f"{self.name}: the answer broke off", self._reader.pending)
        self._tally.timeouts += 1
        raise NoAnswerError(f"{self.name}: {silence}")

    def _receive(self) -> bytes:
        data = self.line.receive(self._patience)
        self._count(len(data))
        return data

    def _count(self, characters: int) -> None:
        if self.agreed:
            self.traffic.fast += characters
        else:
            self.traffic.slow += characters


def is_command(frame: Frame, name: str) -> bool:
    return isinstance(frame, ProgrammingCommand) and frame.name == name


def fall_silent(line: Line) -> None:
    """Wait until the meters have given a session up: 1.5 s without a character, a minute at the most."""
    end = line.now() + 60.0
    while line.now() < end and line.receive(REACTION_LIMIT):
        continue
