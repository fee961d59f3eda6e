"""The Modbus master: reads a meter's profile in blocks, and looks for meters.

Modbus carries no identity: which meter answers at a unit id is what the configuration says, and where the
family keeps its serial number in registers, that is compared.
"""

from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from drivers.driver import Clock, Driver, IdentityError, SearchEvent, SearchScope, Target
from drivers.errors import DriverError, GarbledAnswerError, MeterError, NoAnswerError
from drivers.line import Line
from drivers.modbus.address import UNITS, UNITS_BY_TCP, parse_address
from drivers.modbus.blocks import ReadPlan, RegisterBlock, plan, wire_time
from drivers.modbus.exchange import ModbusExchange
from drivers.modbus.framing import ILLEGAL_ADDRESS, ILLEGAL_VALUE, Transport
from drivers.modbus.profile import ModbusProfile, placed, words_of
from drivers.modbus.profile_file import load_profile, profile_names
from drivers.modbus.search import search
from drivers.tcp_line import NO_WIRE
from telemetry.meter_id import split_meter_id
from telemetry.readout import Readout

# A serial number costs a request: it is read when a meter is met, after every failure, and once a day.
_IDENTITY_BELIEVED = timedelta(days=1)


class ModbusDriver(Driver):
    """Functions 3 and 4 over RTU (serial, or TCP with a serial server), or Modbus TCP.

    `Target.address` is the unit id, `profile` and `meter` are required. `profiles` gives the profile of a
    name, or raises ProfileError. Never writes a register.
    """

    protocol = "modbus"

    def __init__(
        self,
        line: Line,
        clock: Clock,
        *,
        transport: Transport | str = Transport.RTU,
        profiles: Callable[[str], ModbusProfile] = load_profile,
    ) -> None:
        super().__init__(line, clock)
        self.transport = Transport(transport)
        if self.transport is Transport.TCP:
            line.configure(NO_WIRE)
        self.exchange = ModbusExchange(line, self.transport, self.tally)
        self._load = profiles
        self._profiles: dict[str, ModbusProfile] = {}
        self._plans: dict[tuple[int, str], ReadPlan] = {}
        self._identified: dict[tuple[int, str], datetime] = {}  # (unit, meter): when it was last compared

    def read(self, target: Target) -> list[Readout]:
        """One readout with every register that the meter has a value for. Raises DriverError."""
        unit = self._unit(target)
        profile = self._profile(target)
        if target.meter is None:
            raise DriverError(
                f"unit {unit} on {self.line.name} has no meter id",
                advice="Modbus carries no identity: write the meter's id beside its unit id",
            )
        try:
            readout = self._readout(unit, profile, target.meter, target)
            self._compare_identity(unit, profile, target.meter, target)
            return [readout]
        except DriverError:
            self._identified.pop((unit, target.meter), None)  # it may be exchanged while it is away
            raise

    def search(self, scope: SearchScope) -> Iterator[SearchEvent]:
        """See `Driver.search`: unit ids 1 to 247 (or those of the scope), and the family of who answers.

        Raises DriverError for addresses that are no unit ids.
        """
        return search(self.exchange, scope, [load_profile(name) for name in profile_names()])

    def readout_time(self, target: Target) -> float:
        """See `Driver.readout_time`: all requests with their pauses, split where the meter has refused."""
        profile = self._profile(target)
        blocks = self._plan(self._unit(target), profile).blocks(self.clock())
        return wire_time(blocks, self.line.settings, profile.pause)

    def _readout(self, unit: int, profile: ModbusProfile, meter: str, target: Target) -> Readout:
        requests = self._plan(unit, profile)
        memory: dict[tuple[int, int], int] = {}
        frames: list[bytes] = []
        at: datetime | None = None
        waiting = deque(requests.blocks(self.clock()))
        while waiting:
            block = waiting.popleft()
            answer = self.exchange.ask(
                unit, block, pause=profile.pause, timeout=target.timeout, retries=target.retries
            )
            if answer.exception in (ILLEGAL_ADDRESS, ILLEGAL_VALUE):
                waiting.extendleft(reversed(requests.refused(block, self.clock())))
                continue
            at = at or self.clock()
            frames.append(answer.frame)
            memory |= placed(block, list(answer.registers))
        if at is None:
            raise MeterError(
                f"unit {unit} on {self.line.name} has none of the registers of {profile.name}",
                ILLEGAL_ADDRESS,
                advice="check the meter's model: this profile belongs to another one",
            )
        shown = ((register.obis, register.reading(memory)) for register in profile.registers)
        values = {obis: quantity for obis, quantity in shown if quantity is not None}
        return Readout(meter, at, values, raw=b"".join(frames))

    def _compare_identity(self, unit: int, profile: ModbusProfile, meter: str, target: Target) -> None:
        """Raises IdentityError where the meter shows another serial number than the configured one.

        A meter that refuses to show one, is silent when asked, or shows none is taken for the configured one.
        """
        identity, now = profile.identity, self.clock()
        compared = self._identified.get((unit, meter))
        if identity is None or (compared is not None and timedelta(0) <= now - compared < _IDENTITY_BELIEVED):
            return
        try:
            answer = self.exchange.ask(
                unit, RegisterBlock((identity,)), pause=profile.pause, timeout=target.timeout
            )
        except (NoAnswerError, GarbledAnswerError, MeterError):
            serial = None
        else:
            words = words_of(identity, placed(identity, list(answer.registers)))
            serial = None if words is None else identity.serial(words)
        maker, expected = split_meter_id(meter)
        if serial is not None and serial != (expected.lstrip("0") or "0"):
            raise IdentityError(meter, f"{identity.maker or maker}-{serial}")
        self._identified[unit, meter] = now

    def _unit(self, target: Target) -> int:
        return parse_address(target.address, UNITS_BY_TCP if self.transport is Transport.TCP else UNITS)

    def _profile(self, target: Target) -> ModbusProfile:
        if target.profile is None:
            raise DriverError(
                f"unit {target.address} on {self.line.name} has no profile",
                advice="Modbus needs one to know registers, such as eastron-sdm630: see docs/profiles.md",
            )
        if target.profile not in self._profiles:
            self._profiles[target.profile] = self._load(target.profile)
        return self._profiles[target.profile]

    def _plan(self, unit: int, profile: ModbusProfile) -> ReadPlan:
        if (unit, profile.name) not in self._plans:
            self._plans[unit, profile.name] = ReadPlan(plan(profile, self.line.settings))
        return self._plans[unit, profile.name]
