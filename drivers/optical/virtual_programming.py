"""Programming mode of a virtual meter: password, registers, load profile, clock, errors."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from drivers.optical.codec.dataset import DataSet, Value, decode_sets
from drivers.optical.codec.instants import clock_instant, date_like, instant, stamp, time_like
from drivers.optical.codec.telegram import DataBlock, Frame, ProgrammingCommand, SingleCharacter

_UNKNOWN, _LOCKED, _WRONG_VALUE = b"(ERR01)", b"(ERR04)", b"(ERR11)"


class VirtualClock:
    """A meter's own clock: `now` and what it was set to beside that, shown in the forms of `like`."""

    date, time = "0.9.2", "0.9.1"

    def __init__(
        self,
        now: Callable[[], datetime],
        zone: tzinfo,
        *,
        drift: timedelta = timedelta(0),
        like: tuple[str, str] = ("000000", "000000"),
    ) -> None:
        self.drift = drift
        self._now = now
        self._zone = zone
        self._like = like

    def present(self) -> datetime:
        return self._now() + self.drift

    def show(self, register: str) -> str:
        """The text of one of its two registers."""
        like = date_like(self._like[0], self.present(), self._zone)
        return (like if register == self.date else time_like(self._like[1], self.present(), self._zone)) or ""

    def set(self, register: str, text: str) -> bool:
        """Take a new date or time; False for a text that is none."""
        date, time = (text, self.show(self.time)) if register == self.date else (self.show(self.date), text)
        wanted = clock_instant(date, time, self._zone, self.present())
        if wanted is not None:
            self.drift = wanted - self._now()
        return wanted is not None


@dataclass(frozen=True, slots=True)
class VirtualLoadProfile:
    """Load profile: `rows` are ends of periods (aware) and texts; R6 gives `lines_in_block` of them."""

    columns: Sequence[tuple[str, str]]
    rows: Sequence[tuple[datetime, Sequence[str]]]
    zone: tzinfo
    minutes: int = 15
    status: str = "00"
    lines_in_block: int = 8

    def lines(self, since: datetime, until: datetime) -> list[str]:
        """The header and a line for each period, as far as there is any."""
        rows = [(end, values) for end, values in self.rows if since <= end <= until]
        if not rows:
            return []
        columns = "".join(f"({code})({unit})" for code, unit in self.columns)
        first = f"{stamp(rows[0][0], self.zone)}00"
        header = f"P.01({first})({self.status})({self.minutes})({len(self.columns)}){columns}"
        return [header, *("".join(f"({text})" for text in values) for _, values in rows)]


class ProgrammingMode:
    """Programming mode. `registers`: the answers to addresses, "1.8.0" -> "1.8.0(0012.5*kWh)".

    A key may have an argument, as "ENMPE(04.22)". Where there is a `password`, nothing is told before it was
    given. `attempts` counts wrong passwords, `broken_off` the breaks that were heard.
    """

    def __init__(
        self,
        registers: Mapping[str, str],
        *,
        password: str | None = None,
        clock: VirtualClock | None = None,
        load_profile: VirtualLoadProfile | None = None,
    ) -> None:
        self.registers = dict(registers)
        self.attempts = 0
        self.broken_off = 0
        self._password = password
        self._clock = clock
        self._load_profile = load_profile
        self._unlocked = password is None
        self._said: list[DataBlock] = []  # the block said last, and those that follow it

    def enter(self) -> ProgrammingCommand:
        """The invitation that a session begins with."""
        self._unlocked = self._password is None
        self._said = []
        return ProgrammingCommand("P0", b"()")

    def hear(self, frame: Frame) -> Frame | None:
        if frame is SingleCharacter.NAK:
            return self._said[0] if self._said else None
        if frame is SingleCharacter.ACK:
            del self._said[:1]
            return self._said[0] if self._said else None
        if not isinstance(frame, ProgrammingCommand) or frame.name == "B0":
            self.broken_off += isinstance(frame, ProgrammingCommand)
            return None
        answer = self._obey(frame)
        self._said = answer if isinstance(answer, list) else []
        return answer[0] if isinstance(answer, list) else answer

    def _obey(self, command: ProgrammingCommand) -> list[DataBlock] | SingleCharacter:
        one = next(iter(decode_sets(command.data or b"")), DataSet("", (Value(""),)))
        value = one.values[0].text
        if command.name[0] == "P":
            self._unlocked = self._unlocked or value == self._password
            self.attempts += not self._unlocked
            return SingleCharacter.ACK if self._unlocked else [DataBlock(_LOCKED)]
        if not self._unlocked:
            return [DataBlock(_LOCKED)]
        if command.name[0] == "W":
            return self._write(one.address, value)
        if one.address == "P.01" and self._load_profile is not None:
            return self._profile(self._load_profile, value, partial=command.name == "R6")
        return [DataBlock(self._register(one.address, value))]

    def _register(self, address: str, argument: str) -> bytes:
        if self._clock is not None and address in (self._clock.date, self._clock.time):
            return f"{address}({self._clock.show(address)})".encode("ascii")
        text = self.registers.get(f"{address}({argument})", self.registers.get(address))
        return _UNKNOWN if text is None else text.encode("ascii")

    def _write(self, address: str, value: str) -> list[DataBlock] | SingleCharacter:
        if self._clock is None or address not in (self._clock.date, self._clock.time):
            return [DataBlock(_UNKNOWN)]
        return SingleCharacter.ACK if self._clock.set(address, value) else [DataBlock(_WRONG_VALUE)]

    def _profile(self, profile: VirtualLoadProfile, span: str, *, partial: bool) -> list[DataBlock]:
        since, _, until = span.partition(";")
        first, last = instant(since, profile.zone), instant(until, profile.zone)
        lines = profile.lines(
            first or datetime.min.replace(tzinfo=UTC), last or datetime.max.replace(tzinfo=UTC)
        )
        if not lines:
            return [DataBlock(b"P.01(ERROR)\r\n")]
        size = profile.lines_in_block if partial else len(lines)
        texts = [
            "".join(f"{line}\r\n" for line in lines[at : at + size]) for at in range(0, len(lines), size)
        ]
        return [DataBlock(text.encode("ascii"), text is not texts[-1]) for text in texts]
