"""The Modbus master: reads a meter's profile in blocks, with the silence and the pause that the wire needs.

Modbus carries no identity: which meter answers at a unit id is only what the configuration says.
"""

from collections import deque
from datetime import datetime

from drivers.driver import Clock, Driver, Target
from drivers.errors import DecodeError, DriverError, GarbledAnswerError, MeterError, NoAnswerError
from drivers.line import Line
from drivers.modbus.blocks import Block, ReadPlan, plan
from drivers.modbus.profile import Profile
from drivers.modbus.profile_file import load_profile
from drivers.modbus.protocol import (
    ILLEGAL_ADDRESS,
    ILLEGAL_VALUE,
    Answer,
    Request,
    Transport,
    exception_text,
    framing,
    may_pass,
)
from drivers.modbus.timing import silence
from drivers.tcp_line import NO_WIRE
from telemetry.readout import Quantity, Readout

_TIMEOUT = 1.0  # until the answer begins; meters take 20 to 300 ms, serial servers add theirs
_SLACK = 0.1  # between the pieces of an answer: USB converters hold bytes back for 16 ms, networks longer
_BUSY_PAUSE = 0.25  # before asking a meter again that said it was busy
_MOST_BYTES = 1024  # more is not an answer but noise


class ModbusDriver(Driver):
    """Functions 3 and 4 over RTU (serial, or TCP with a serial server), or Modbus TCP.

    `Target.address` is the unit id, `profile` and `meter` are required. Never writes a register.
    """

    protocol = "modbus"

    def __init__(self, line: Line, clock: Clock, *, transport: Transport | str = Transport.RTU) -> None:
        super().__init__(line, clock)
        self.transport = Transport(transport)
        if self.transport is Transport.TCP:
            line.configure(NO_WIRE)
        self._framing = framing(self.transport)
        self._profiles: dict[str, Profile] = {}
        self._plans: dict[tuple[int, str], ReadPlan] = {}
        self._quiet_since = line.now()
        self._transaction = 0

    def read(self, target: Target) -> list[Readout]:
        """One readout with every register that the meter has a value for. Raises DriverError."""
        unit = self._unit(target)
        profile = self._profile(target)
        if target.meter is None:
            raise DriverError(
                f"unit {unit} on {self.line.name} has no meter id",
                advice="Modbus carries no identity: write the meter's id beside its unit id",
            )
        requests = self._plan(unit, profile)
        values: dict[str, Quantity] = {}
        frames: list[bytes] = []
        at: datetime | None = None
        waiting = deque(requests.blocks(self.clock()))
        while waiting:
            block = waiting.popleft()
            answer = self.ask(
                unit, block, pause=profile.pause, timeout=target.timeout, retries=target.retries
            )
            if answer.exception in (ILLEGAL_ADDRESS, ILLEGAL_VALUE):
                waiting.extendleft(reversed(requests.refused(block, self.clock())))
                continue
            at = at or self.clock()
            frames.append(answer.frame)
            for register in block.registers:
                quantity = register.quantity(block.words_of(register, answer.registers))
                if quantity is not None:
                    values[register.obis] = quantity
        if at is None:
            raise MeterError(
                f"unit {unit} on {self.line.name} has none of the registers of {profile.name}",
                ILLEGAL_ADDRESS,
                advice="check the meter's model: this profile belongs to another one",
            )
        return [Readout(target.meter, at, values, raw=b"".join(frames))]

    def ask(
        self, unit: int, block: Block, *, pause: float, timeout: float | None = None, retries: int = 0
    ) -> Answer:
        """The answer to one block; exceptions 2 and 3 are answers, other refusals are raised.

        `pause` and `timeout` in seconds, None for the protocol's own. Raises DriverError.
        """
        failure: DriverError | None = None
        timeout = timeout or _TIMEOUT
        for attempt in range(1 + retries):
            self._transaction = self._transaction % 0xFFFF + 1
            request = Request(unit, block.function, block.address, block.count, self._transaction)
            try:
                answer = self._exchange(request, pause, timeout)
            except (NoAnswerError, GarbledAnswerError) as error:
                failure = error
                continue
            if attempt and self.transport is Transport.RTU:
                self._outwait(1.5 * timeout + pause)
            if answer.exception in (None, ILLEGAL_ADDRESS, ILLEGAL_VALUE):
                return answer
            failure = MeterError(
                f"unit {unit} on {self.line.name}: {exception_text(answer.exception)}",
                answer.exception,
                retry=may_pass(answer.exception),
            )
            if not failure.retry:
                break
            self.line.wait(_BUSY_PAUSE)
        assert failure is not None
        raise failure

    def _unit(self, target: Target) -> int:
        lowest, highest = (0, 255) if self.transport is Transport.TCP else (1, 247)
        if target.address.isdecimal() and lowest <= int(target.address) <= highest:
            return int(target.address)
        raise DriverError(
            f"{target.address!r} is not a Modbus unit id",
            advice=f"write a number from {lowest} to {highest}, as set on the meter",
        )

    def _profile(self, target: Target) -> Profile:
        if target.profile is None:
            raise DriverError(
                f"unit {target.address} on {self.line.name} has no profile",
                advice="Modbus needs one to know registers, such as eastron-sdm630: see docs/profiles.md",
            )
        if target.profile not in self._profiles:
            self._profiles[target.profile] = load_profile(target.profile)
        return self._profiles[target.profile]

    def _plan(self, unit: int, profile: Profile) -> ReadPlan:
        if (unit, profile.name) not in self._plans:
            self._plans[unit, profile.name] = ReadPlan(plan(profile, self.line.settings))
        return self._plans[unit, profile.name]

    def _exchange(self, request: Request, pause: float, timeout: float) -> Answer:
        """One request, one answer. Raises NoAnswerError or GarbledAnswerError."""
        line = self.line
        quiet = max(pause, silence(line.settings) if self.transport is Transport.RTU else 0.0)
        line.wait(self._quiet_since + quiet - line.now())
        line.discard()
        sent = self._framing.request(request)
        try:
            line.send(sent)
            return self._answer(request, sent, timeout)
        finally:
            self._quiet_since = line.now()

    def _outwait(self, longest: float) -> None:
        """Let late answers to earlier attempts pass, which were sent up to `longest` seconds apart.

        RTU cannot tell them from answers to the next request.
        """
        end = self.line.now() + 4 * longest  # a line that never falls silent is the next request's problem
        while self.line.now() < end and self.line.receive(longest):
            continue
        self._quiet_since = self.line.now()

    def _answer(self, request: Request, sent: bytes, timeout: float) -> Answer:
        received = b""
        deadline = self.line.now() + timeout
        rest = (5 + 2 * request.count) * self.line.settings.character_time + _SLACK
        while len(received) < _MOST_BYTES and (data := self.line.receive(deadline - self.line.now())):
            received += data
            try:
                answer = self._framing.find_answer(received, request)
            except DecodeError:
                self.line.close()  # a TCP stream that lost its step finds it again with a new connection
                raise
            if answer is not None:
                return answer
            deadline = max(deadline, self.line.now() + rest)
        received = received.removeprefix(sent)  # the echo of a converter is not an answer
        where = f"unit {request.unit} on {self.line.name}"
        if received:
            raise GarbledAnswerError(f"{where}: {len(received)} bytes that are no answer", received)
        raise NoAnswerError(f"{where} did not answer within {timeout:g} s")
