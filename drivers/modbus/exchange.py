"""Exchange of a request and its answer: the silence around them, what is tried again, what counts as one.

Modbus over Serial Line V1.02, 2.4 and 2.5.1: the master waits t3.5 (or longer, where a meter needs a pause)
before each request, takes the one answer that fits it, and may ask again.
"""

from drivers.driver import Tally
from drivers.errors import DecodeError, DriverError, GarbledAnswerError, MeterError, NoAnswerError
from drivers.line import Line
from drivers.modbus.blocks import RegisterBlock
from drivers.modbus.framing import (
    ILLEGAL_ADDRESS,
    ILLEGAL_VALUE,
    ModbusAnswer,
    ModbusRequest,
    Transport,
    exception_text,
    framing,
    may_pass,
)
from drivers.modbus.timing import silence

_TIMEOUT = 1.0  # until the answer begins; meters take 20 to 300 ms, serial servers add theirs
_SLACK = 0.1  # between the pieces of an answer: USB converters hold bytes back for 16 ms, networks longer
_BUSY_PAUSE = 0.25  # before asking a meter again that said it was busy
_MOST_BYTES = 1024  # more is not an answer but noise


class ModbusExchange:
    """The master's end of a line: one transport's frames, paced."""

    def __init__(self, line: Line, transport: Transport, tally: Tally) -> None:
        self.line = line
        self.transport = transport
        self.tally = tally
        self._framing = framing(transport)
        self._quiet_since = line.now()  # the last byte that was sent or heard
        self._transaction = 0

    def ask(
        self, unit: int, block: RegisterBlock, *, pause: float, timeout: float | None = None, retries: int = 0
    ) -> ModbusAnswer:
        """The answer to one block; exceptions 2 and 3 are answers, other refusals are raised.

        `pause` and `timeout` in seconds, None for the protocol's own. Raises DriverError.
        """
        failure: DriverError | None = None
        timeout = timeout or _TIMEOUT
        for attempt in range(1 + retries):
            self.tally.retries += attempt > 0
            if isinstance(failure, MeterError):
                self.line.wait(_BUSY_PAUSE)
            self._transaction = self._transaction % 0xFFFF + 1
            request = ModbusRequest(unit, block.function, block.address, block.count, self._transaction)
            try:
                answer = self._attempt(request, pause, timeout)
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
        assert failure is not None
        raise failure

    def _attempt(self, request: ModbusRequest, pause: float, timeout: float) -> ModbusAnswer:
        """One request, one answer, counted. Raises NoAnswerError, GarbledAnswerError or DecodeError."""
        self.tally.exchanges += 1
        try:
            return self._once(request, pause, timeout)
        except NoAnswerError:
            self.tally.timeouts += 1
            raise
        except (GarbledAnswerError, DecodeError):
            self.tally.garbled += 1
            raise

    def _once(self, request: ModbusRequest, pause: float, timeout: float) -> ModbusAnswer:
        line = self.line
        quiet = max(pause, silence(line.settings) if self.transport is Transport.RTU else 0.0)
        line.wait(self._quiet_since + quiet - line.now())
        line.discard()
        sent = self._framing.request(request)
        self._quiet_since = line.now()  # a line that fails while sending has not been quiet longer
        line.send(sent)
        self._quiet_since = line.now()
        return self._answer(request, sent, timeout)

    def _outwait(self, longest: float) -> None:
        """Let late answers to earlier attempts pass, which were sent up to `longest` seconds apart.

        RTU cannot tell them from answers to the next request.
        """
        end = self.line.now() + 4 * longest  # a line that never falls silent is the next request's problem
        while self.line.now() < end and self.line.receive(longest):
            self._quiet_since = self.line.now()

    def _answer(self, request: ModbusRequest, sent: bytes, timeout: float) -> ModbusAnswer:
        received = b""
        deadline = self.line.now() + timeout
        rest = (5 + 2 * request.count) * self.line.settings.character_time + _SLACK
        while len(received) < _MOST_BYTES and (data := self.line.receive(deadline - self.line.now())):
            self._quiet_since = self.line.now()
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
