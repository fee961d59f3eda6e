"""Listens to a meter that pushes SML. Nothing is ever transmitted: there is nobody to ask.

A meter sends a whole telegram every 1 to 4 s at 9600 8N1. What had arrived before `read` is old and
forgotten; the next whole telegram is the readout.
"""

from collections.abc import Iterator
from typing import ClassVar

from drivers.driver import (
    Driver,
    Found,
    IdentityError,
    SearchEvent,
    SearchProgress,
    SearchScope,
    Suspicion,
    Target,
    UnnamedError,
)
from drivers.errors import DecodeError, GarbledAnswerError, NoAnswerError
from drivers.line import SerialSettings
from drivers.sml.messages import ListResponse, decode_messages
from drivers.sml.protocol import PROTOCOL
from drivers.sml.registers import identity, readout
from drivers.sml.transport import Envelope, TransportReader
from telemetry.meter_id import same_meter
from telemetry.readout import Readout

_LONGEST_PERIOD = 4.0
_LONGEST_TELEGRAM = 900  # bytes
_PATIENCE = 2.5  # periods: the first telegram may have begun before, the second may be damaged
_SILENT_ADVICE = (
    "check that the head sits on the port the right way up and the line is 9600 8N1; many meters send only "
    "when their INFO interface is switched on, and power only after the PIN"
)


class SmlDriver(Driver):
    """The one meter that pushes on a line. `Target.address` is "".

    `Target.timeout` is how long to listen for a whole telegram; the default suits a meter that sends every
    4 s. A damaged telegram is passed over while there is time, so there are no retries.
    """

    protocol: ClassVar[str] = "sml"

    def read(self, target: Target) -> list[Readout]:
        """The next telegram that the meter sends. Raises DriverError."""
        PROTOCOL.check_address(target.address)
        envelope = self._listen(target.timeout)
        at = self.clock()
        values, found = self._list(envelope, target)
        meter = target.meter or found
        if meter is None:
            raise UnnamedError(f"{self.line.name}: the meter does not say who it is")
        return [readout(values, meter, at, envelope.raw)]

    def search(self, scope: SearchScope) -> Iterator[SearchEvent]:
        """Listen at each of the settings (9600 8N1 if none are given)."""
        before = self.line.settings
        every = scope.settings or (PROTOCOL.settings,)
        try:
            for done, settings in enumerate(every):
                yield SearchProgress(done, len(every), f"listening at {settings}")
                self.line.configure(settings)
                if (event := self._hear(settings, scope.timeout)) is not None:
                    yield event
            yield SearchProgress(len(every), len(every), "listened")
        finally:
            self.line.configure(before)

    def readout_time(self, target: Target) -> float:
        """The listening: the longest pause between two telegrams, and one telegram. Nothing is sent."""
        PROTOCOL.check_address(target.address)
        return self._one_period()

    def only_listens(self, target: Target) -> bool:  # noqa: ARG002 - every meter that pushes
        return True

    def _one_period(self) -> float:
        return _LONGEST_PERIOD + _LONGEST_TELEGRAM * self.line.settings.character_time

    def _hear(self, settings: SerialSettings, timeout: float | None) -> SearchEvent | None:
        try:
            envelope = self._listen(timeout)
            values, meter = self._list(envelope, Target(""))
        except NoAnswerError:
            return None
        except (GarbledAnswerError, DecodeError) as error:
            return Suspicion("", settings, f"something speaks by itself, but no SML: {error}", error.advice)
        return Found("", settings, meter, description=f"SML, {len(values.entries)} values")

    def _listen(self, timeout: float | None) -> Envelope:
        """The next whole telegram; damaged ones are counted and passed over."""
        self.line.discard()
        reader = TransportReader()
        heard = 0
        limit = _PATIENCE * self._one_period() if timeout is None else timeout
        deadline = self.line.now() + limit
        while (left := deadline - self.line.now()) > 0:
            data = self.line.receive(left)
            heard += len(data)
            reader.add(data)
            envelope = reader.next()
            self.tally.garbled += reader.damaged
            reader.damaged = 0
            if envelope is not None:
                self.tally.exchanges += 1
                return envelope
        if heard:
            raise GarbledAnswerError(
                f"{self.line.name}: {heard} bytes in {limit:.1f} s, but no whole telegram", reader.pending
            )
        self.tally.timeouts += 1
        raise NoAnswerError(f"{self.line.name}: no telegram came within {limit:.1f} s", advice=_SILENT_ADVICE)

    def _list(self, envelope: Envelope, target: Target) -> tuple[ListResponse, str | None]:
        """The expected meter's list of values, and who sends it. Raises DecodeError, IdentityError."""
        try:
            messages = decode_messages(envelope.messages)
        except DecodeError:
            self.tally.garbled += 1
            raise
        lists = [(one.body, identity(one.body)) for one in messages if isinstance(one.body, ListResponse)]
        if not lists:
            raise DecodeError("the telegram has no list of values")
        for values, found in lists:
            if target.meter is None or found is None or same_meter(found, target.meter):
                return values, found
        raise IdentityError(str(target.meter), str(lists[0][1]))
