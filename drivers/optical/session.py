"""Session with a meter (IEC 62056-21, 6.4 and 6.5): sign-on, speed, readout or programming mode, break.

    with OpticalSession(line, target, profile, tally) as session:
        session.sign_on()
        session.agree_on_readout()
        session.readout()  # or: session.programming(), then session.ask("R1", "1.8.0")

Leaving it breaks programming mode off, also after a failure, and puts the line back to the sign-on's speed.
"""

from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from drivers.driver import Tally, Target
from drivers.errors import (
    DecodeError,
    DriverError,
    GarbledAnswerError,
    LineError,
    MeterError,
    NoAnswerError,
    UnsupportedError,
)
from drivers.line import Line
from drivers.optical.codec.dataset import DataSet, decode_sets
from drivers.optical.codec.telegram import (
    ACK,
    BREAK,
    MODE_B_BAUDS,
    MODE_C_BAUDS,
    DataBlock,
    Identification,
    Mode,
    OptionSelect,
    ProgrammingCommand,
    SingleCharacter,
    encode_sign_on,
)
from drivers.optical.profile import OpticalProfile
from drivers.optical.wire import Wire, is_command

_SWITCH_PAUSE = 0.02  # from the last bit of the acknowledgement to the new speed
_MOST_BLOCKS = 4096
_READOUT, _PROGRAMMING = "0", "1"
_LOCK_ADVICE = "check the password in the configuration before trying again: some meters lock themselves"


@dataclass(frozen=True, slots=True)
class OpticalAnswer:
    """Answer to one request: its data sets, and all blocks as received."""

    sets: list[DataSet]
    raw: bytes


class OpticalSession:
    """Session, see above. `pause` in seconds overrules the profile's pause before the change of speed.

    `identification` is there after `sign_on`; `baud` is the speed that was agreed on.
    """

    identification: Identification

    def __init__(
        self, line: Line, target: Target, profile: OpticalProfile, tally: Tally, *, pause: float | None = None
    ) -> None:
        name = f"meter {target.address!r} on {line.name}" if target.address else line.name
        self.line = line
        self.profile = profile
        self.baud = line.settings.baud
        self.wire = Wire(line, name, tally, target.timeout)
        self.wire.use(profile.check)
        self._target = target
        self._pause = pause
        self._home = line.settings
        self._programming = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self.is_open and not isinstance(error, LineError):
                self.wire.turn()
                self.wire.say(BREAK.encode(self.profile.check))
        except LineError:
            if error is None:
                raise
        finally:
            self.line.configure(self._home)

    @property
    def is_open(self) -> bool:
        """True while the meter is in programming mode."""
        return self._programming and not self.wire.broken_off

    def adopt(self, profile: OpticalProfile) -> None:
        """Go on with another profile, once the identification has told which."""
        self.profile = profile
        self.wire.use(profile.check)

    def sign_on(self) -> Identification:
        """Call the meter. Raises NoAnswerError, GarbledAnswerError; DriverError for a wrong address."""
        telegram = sign_on_of(self._target.address)
        self.line.discard()
        self.wire.request(telegram)
        self.identification = self.wire.identification(telegram)
        return self.identification

    def agree_on_readout(self) -> None:
        """Let the meter begin its readout, at the agreed speed."""
        self._agree_on_speed(_READOUT)

    def readout(self) -> OpticalAnswer:
        """All that the meter tells without being asked for more. Raises DecodeError."""
        return self._blocks("the meter identified itself, but sent no readout")

    def programming(self) -> None:
        """Enter programming mode, with the password where there is one.

        It is sent once: a meter that does not accept it is not asked again, since some lock themselves.
        Raises UnsupportedError, MeterError.
        """
        if self.identification.mode is not Mode.C:
            raise UnsupportedError(
                f"{self.wire.name}: this is a meter of mode {self.identification.mode}",
                advice="read it with the profile iec: programming mode needs a meter of mode C",
            )
        self._agree_on_speed(_PROGRAMMING)
        invitation = self.wire.expect(lambda frame: isinstance(frame, DataBlock) or is_command(frame, "P0"))
        if isinstance(invitation, DataBlock):
            raise UnsupportedError(
                f"{self.wire.name}: the meter sent its readout instead of entering programming mode",
                advice="read it with the profile iec: this meter has no programming mode",
            )
        self._programming = True
        if self._target.password is not None:
            self._send_password(self._target.password)

    def ask(self, name: str, address: str, argument: str = "") -> OpticalAnswer:
        """The answer to a read command (R1, R5, R6), all partial blocks of it. MeterError for `(ERnn)`."""
        telegram = _command(name, address, argument).encode(self.profile.check)
        silence = f"no answer to {name} {address}"
        self.wire.turn()
        self.wire.request(telegram)
        try:
            answer = self._blocks(silence)
        except NoAnswerError:
            self.wire.request(telegram, again=True)
            answer = self._blocks(silence)
        self._refuse_error(answer.sets, address)
        sets = [
            one if n or one.address else replace(one, address=address) for n, one in enumerate(answer.sets)
        ]
        return OpticalAnswer(sets, answer.raw)  # some meters leave out what they were asked for

    def tell(self, name: str, address: str, value: str) -> None:
        """A write command, which the meter acknowledges. Raises MeterError for a refusal.

        It is not repeated after silence: what was right for the moment (a time) no longer is.
        """
        self.wire.turn()
        self.wire.request(_command(name, address, value).encode(self.profile.check))
        frame = self.wire.expect(lambda one: isinstance(one, DataBlock) or one is SingleCharacter.ACK)
        if isinstance(frame, DataBlock):
            self._refuse_error(decode_sets(frame.data), address)
            raise MeterError(f"{self.wire.name}: the meter did not acknowledge the new {address}", 0)

    def time_of(self, name: str, address: str, argument: str) -> float:
        """Seconds from now until the last bit of such a command would have arrived."""
        telegram = _command(name, address, argument).encode(self.profile.check)
        return self.wire.reaction + len(telegram) * self.line.settings.character_time

    def _agree_on_speed(self, purpose: str) -> None:
        """Send the acknowledgement where the mode has one, and switch as the meter does."""
        mode, baud = self.identification.mode, self.identification.baud
        if mode is not Mode.C:
            self.wire.traffic.turns += 1  # the meter goes on by itself
            if mode is Mode.B:
                self._follow(MODE_B_BAUDS[baud])
            return
        if not self.line.can_switch:
            baud = self._own_baud()
        self.wire.turn()
        self.wire.request(OptionSelect(baud=baud, purpose=purpose).encode())
        self.line.wait(self._switch_pause())
        # '0' keeps the speed of the sign-on, also on wires that have another one than 300 Bd
        self._switch(self._home.baud if baud == "0" or not self.line.can_switch else MODE_C_BAUDS[baud])

    def _follow(self, baud: int) -> None:
        """Mode B: the meter switches whether the line can or not."""
        if not self.line.can_switch and baud != self._home.baud:
            raise UnsupportedError(
                f"{self.wire.name}: the meter (mode B) goes on at {baud} Bd, and this line cannot follow",
                advice=f"set the serial server to {baud} Bd if the meter listens there, or use a serial port",
            )
        self._switch(baud)

    def _switch_pause(self) -> float:
        """Seconds after the last bit of the acknowledgement: asked for, the profile's, or the usual."""
        if self._pause is not None:
            return self._pause
        if self.profile.switch_pause is not None:
            return self.profile.switch_pause
        return min(_SWITCH_PAUSE, self.wire.reaction / 2)  # a quick meter begins after 20 ms: be ready before

    def _own_baud(self) -> str:
        """The baud character of a line that cannot switch; '0' (stay) where there is none."""
        return next((z for z, baud in MODE_C_BAUDS.items() if baud == self._home.baud), "0")

    def _switch(self, baud: int) -> None:
        self.line.configure(replace(self._home, baud=baud))
        self.baud = baud
        self.wire.agreed = True

    def _send_password(self, password: str) -> None:
        """Nothing that came back is shown: it may hold the echo of the password."""
        name, opening = self.wire.name, self.profile.opening
        try:
            command = ProgrammingCommand.of(opening, "", password)
        except ValueError:
            raise DriverError(
                "the password has characters that a data set cannot carry", advice=_LOCK_ADVICE
            ) from None
        self.wire.turn()
        self.wire.request(command.encode(self.profile.check))
        try:
            frame = self.wire.expect(lambda one: not is_command(one, opening))
        except (NoAnswerError, GarbledAnswerError) as error:
            came = "nothing" if isinstance(error, NoAnswerError) else "no readable answer"
            raise MeterError(f"{name}: {came} came after the password", 0, advice=_LOCK_ADVICE) from None
        if is_command(frame, "B0"):
            self.wire.broken_off = True
        if frame is not SingleCharacter.ACK:
            code = (_error(decode_sets(frame.data)) if isinstance(frame, DataBlock) else None) or 0
            raise MeterError(
                f"{name}: the meter does not accept the password (error {code:02})", code, advice=_LOCK_ADVICE
            )

    def _refuse_error(self, sets: list[DataSet], address: str) -> None:
        """Where the answer is nothing but an error: raise it."""
        if (code := _error(sets)) is not None:
            advice = "" if self._target.password else "write the meter's password in the configuration"
            raise MeterError(
                f"{self.wire.name}: the meter refuses {address} (error {code:02})", code, advice=advice
            )

    def _blocks(self, silence: str) -> OpticalAnswer:
        """A block, or partial blocks (EOT) as long as the meter has more; each is confirmed by an ACK."""
        data, raw = bytearray(), bytearray()
        for _ in range(_MOST_BLOCKS):
            frame = self.wire.expect(lambda one: isinstance(one, DataBlock), silence)
            assert isinstance(frame, DataBlock)
            data += frame.data
            raw += frame.encode(self.profile.check)
            if not frame.more:
                return OpticalAnswer(self._decoded(bytes(data)), bytes(raw))
            self.wire.turn()
            self.wire.request(ACK)
        raise DecodeError(f"{self.wire.name}: more than {_MOST_BLOCKS} partial blocks")

    def _decoded(self, data: bytes) -> list[DataSet]:
        try:
            return decode_sets(data)
        except DecodeError as error:
            raise DecodeError(f"{self.wire.name}: {error}", offset=error.offset) from None


def sign_on_of(address: str) -> bytes:
    """The sign-on that calls a meter. Raises DriverError for an address that is none."""
    try:
        return encode_sign_on(address)
    except ValueError as error:
        raise DriverError(str(error), advice="leave it empty for the only meter of a head") from None


def _command(name: str, address: str, argument: str) -> ProgrammingCommand:
    try:
        return ProgrammingCommand.of(name, address, argument)
    except ValueError as error:
        raise DriverError(str(error), advice="write the register as the meter's manual does") from None


def _error(sets: list[DataSet]) -> int | None:
    """The number of an answer that is nothing but an error: `(ER07)`, or after the register's address."""
    return sets[0].values[0].error if len(sets) == 1 else None
