"""Search of a line: every unit id is asked, and who answers is asked what family it is of.

A meter that follows the standard answers any request for it, if only with an exception (Application Protocol
V1.1b3, 7). Some are silent to a function that they lack: where unit ids are named, both functions are tried,
but not on all 247, since silence is what takes the time.
"""

from collections.abc import Callable, Iterator, Sequence

from drivers.driver import Found, SearchEvent, SearchProgress, SearchScope, Suspicion
from drivers.errors import DriverError, GarbledAnswerError, MeterError, NoAnswerError
from drivers.line import SerialSettings
from drivers.modbus.address import UNITS, UNITS_BY_TCP, parse_address
from drivers.modbus.blocks import RegisterBlock
from drivers.modbus.exchange import ModbusExchange
from drivers.modbus.framing import NOBODY_BEHIND_GATEWAY, Transport
from drivers.modbus.profile import Exponent, Memory, ModbusProfile, WordSpan, placed
from telemetry.meter_id import possible_meter_id

Ask = Callable[[WordSpan], Memory | None]  # what a meter shows in these words; None where it refuses

# As meters leave the factory, and as installers set them; most of the library's are of the first two.
USUAL = tuple(
    SerialSettings.parse(text)
    for text in ("9600 8N1", "9600 8E1", "19200 8E1", "19200 8N1", "2400 8N1", "38400 8N1", "115200 8N1")
)
_TIMEOUT = 0.3
_PAUSE = 0.1  # after an answer, since who answers may be of a family that restarts without a pause
_FIRST_WORDS = (Exponent(3, 0), Exponent(4, 0))  # one word at address 0, as holding or as input register

_COLLISION = "two meters share this unit id, or its answers are damaged: disconnect one and search again"
_WRONG_SETTINGS = (
    "a meter answers, but not at this speed and parity: try other settings; if all fail, check the wiring "
    "(A/B swapped?) and the termination; two meters that share this unit id look like this, too"
)


def unit_ids(addresses: Sequence[str], possible: range = UNITS) -> list[int]:
    """The unit ids of '5' and '1-247', in their order and each once. Raises DriverError."""
    if not addresses:
        return list(UNITS)
    units: dict[int, None] = {}
    for text in addresses:
        first, dash, last = text.partition("-")
        try:
            ends = [parse_address(end.strip(), possible) for end in (first, last if dash else first)]
        except DriverError:
            raise DriverError(
                f"{text!r} names no Modbus unit ids",
                advice=f"write {possible[0]}-{possible[-1]}, or a number such as 5",
            ) from None
        units |= dict.fromkeys(range(ends[0], ends[1] + 1))
    return list(units)


def search(
    exchange: ModbusExchange, scope: SearchScope, profiles: Sequence[ModbusProfile]
) -> Iterator[SearchEvent]:
    """See `Driver.search`. The line is left with the settings that it had."""
    line = exchange.line
    by_tcp = exchange.transport is Transport.TCP
    units = unit_ids(scope.addresses, UNITS_BY_TCP if by_tcp else UNITS)
    before = line.settings
    settings = list(scope.settings or USUAL) if line.can_switch and not by_tcp else [before]
    total = len(settings) * len(units)
    questions = _FIRST_WORDS if scope.addresses else _FIRST_WORDS[:1]
    try:
        for number, these in enumerate(settings):
            line.configure(these)
            pass_ = _Pass(exchange, scope.timeout or _TIMEOUT, questions, profiles)
            for position, unit in enumerate(units):
                yield SearchProgress(number * len(units) + position, total, f"unit {unit} at {these}")
                yield from pass_.look_at(unit)
            yield from pass_.suspicions()
        yield SearchProgress(total, total, "done")
    finally:
        line.configure(before)


def recognised(profile: ModbusProfile, ask: Ask) -> bool:
    """True where a meter shows what this family's meters show; stops at the first check that fails.

    False also for a profile without a probe. What `ask` raises passes through. Families that pass each
    other's probes are named in `ProfileProbe.shared`.
    """
    if profile.probe is None:
        return False
    for check in profile.probe.checks:
        memory: dict[tuple[int, int], int] = {}
        for span in check.register.spans:
            shown = ask(span)
            if shown is None:
                return False
            memory |= shown
        if not check.holds(memory):
            return False
    return True


class _Pass:
    """All units at one setting."""

    def __init__(
        self,
        exchange: ModbusExchange,
        timeout: float,
        questions: Sequence[WordSpan],
        profiles: Sequence[ModbusProfile],
    ) -> None:
        self._exchange = exchange
        self._questions = questions
        self._pause = _PAUSE
        self._timeout = timeout
        self._profiles = sorted(profiles, key=lambda profile: -profile.pause)  # with care first
        self._garbled: list[tuple[int, GarbledAnswerError]] = []
        self._anyone = False

    def look_at(self, unit: int) -> Iterator[SearchEvent]:
        """Tell who answers at a unit id, if anyone; what is garbled is told at the end of the pass."""
        self._pause = _PAUSE
        try:
            if not self._is_there(unit):
                return
            self._anyone = True
            yield self._who(unit)
        except GarbledAnswerError as error:
            self._garbled.append((unit, error))

    def suspicions(self) -> Iterator[Suspicion]:
        """Garbled answers, and what they mean where others answered well, or nobody did."""
        settings = self._exchange.line.settings
        for unit, error in self._garbled:
            advice = _COLLISION if self._anyone else _WRONG_SETTINGS
            yield Suspicion(str(unit), settings, str(error), advice)

    def _is_there(self, unit: int) -> bool:
        for span in self._questions:
            try:
                self._shown(unit, span)
            except NoAnswerError:
                continue
            return True
        return False

    def _who(self, unit: int) -> Found:
        shown: dict[tuple[int, int, int], Memory | None] = {}

        def ask(span: WordSpan) -> Memory | None:
            key = (span.function, span.address, span.end)
            if key not in shown:
                try:
                    shown[key] = self._shown(unit, span)
                except NoAnswerError:
                    shown[key] = None  # it was there a moment ago: silent to what it lacks
            return shown[key]

        candidates: list[ModbusProfile] = []
        for profile in self._profiles:
            self._pause = max(one.pause for one in (profile, *candidates))
            if recognised(profile, ask):
                candidates.append(profile)
        # of families whose probes one meter passed, those that fewest other families pass come first
        candidates.sort(key=lambda one: (len(one.probe.shared) if one.probe else 0, one.name))
        serial = _serial(candidates, ask)
        return Found(
            address=str(unit),
            settings=self._exchange.line.settings,
            meter=_meter(candidates, serial),
            profile=candidates[0].name if candidates else None,
            description=_description(candidates, serial),
        )

    def _shown(self, unit: int, span: WordSpan) -> Memory | None:
        """The words of a span, None for a refusal. Raises NoAnswerError, GarbledAnswerError, LineError.

        Damage is given a second chance, silence none: most unit ids are silent. A gateway says so in words.
        """
        block = RegisterBlock((span,))
        try:
            try:
                answer = self._exchange.ask(unit, block, pause=self._pause, timeout=self._timeout)
            except GarbledAnswerError:
                answer = self._exchange.ask(unit, block, pause=self._pause, timeout=self._timeout)
        except MeterError as error:
            if error.code in NOBODY_BEHIND_GATEWAY:
                raise NoAnswerError(str(error)) from None
            return None
        return None if answer.exception is not None else placed(span, list(answer.registers))


def _serial(candidates: Sequence[ModbusProfile], ask: Ask) -> str | None:
    for profile in candidates:
        if profile.identity and (shown := ask(profile.identity)):
            return profile.identity.serial(list(shown.values()))
    return None


def _meter(candidates: Sequence[ModbusProfile], serial: str | None) -> str | None:
    makers = {one.identity.maker for one in candidates if one.identity and one.identity.maker}
    return possible_meter_id(makers.pop(), serial) if serial is not None and len(makers) == 1 else None


def _description(candidates: Sequence[ModbusProfile], serial: str | None) -> str:
    number = [f"serial number {serial}"] if serial else []
    if not candidates:
        return "; ".join(["answers, but is of no family that Hesper has a profile for", *number])
    others = ", ".join(one.name for one in candidates[1:])
    return "; ".join([candidates[0].title, *number, *([f"or {others}"] if others else [])])
