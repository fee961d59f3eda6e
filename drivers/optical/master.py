"""The reader of an optical port: sign-on, identification, speed, readout (IEC 62056-21, 6.4).

Every meter is signed on at the speed that the line was opened with (300 Bd for optical heads). A meter of
mode C is then told the speed: the one it offers where the line can switch, else the line's own.
"""

from dataclasses import replace

from drivers.driver import Clock, Driver, IdentityError, Target
from drivers.errors import DecodeError, DriverError, GarbledAnswerError, NoAnswerError
from drivers.line import Line
from drivers.optical.dataset import decode_sets
from drivers.optical.registers import Registers, registers
from drivers.optical.telegram import (
    MODE_B_BAUDS,
    MODE_C_BAUDS,
    NAK,
    Acknowledgement,
    Check,
    Identification,
    Mode,
    Reader,
    encode_sign_on,
)
from telemetry.meter_id import MeterIdError, meter_id
from telemetry.readout import Readout
from telemetry.status import Status

PROFILES = {"iec": Check.XOR, "energomera": Check.SUM}

_REACTION_LIMIT = 1.5  # longest wait for a telegram, and between two of its characters (6.3.2)
_SLACK = 0.3  # what USB converters and networks add to it
_SWITCH_PAUSE = 0.02  # from the last bit of the acknowledgement to the new speed
_MOST_BYTES = 1 << 17


class OpticalDriver(Driver):
    """Readout of modes A, B and C. `Target.address` is "" for the only meter of a head.

    `Target.profile` is "iec" (the default) or "energomera", which differ in the block check. `switch_pause`
    in seconds: some optical heads need 0.3 to 0.4 s before they can change speed.
    """

    protocol = "optical"

    def __init__(self, line: Line, clock: Clock, *, switch_pause: float | None = None) -> None:
        super().__init__(line, clock)
        self.switch_pause = switch_pause
        self._sign_on = line.settings

    def read(self, target: Target) -> list[Readout]:
        """The present, then what the meter kept at the ends of billing periods. Raises DriverError."""
        check = _check(target)
        try:
            sign_on = encode_sign_on(target.address)
        except ValueError as error:
            raise DriverError(str(error), advice="leave it empty for the only meter of a head") from None
        failure: DriverError | None = None
        for attempt in range(1 + target.retries):
            if attempt:
                self._fall_silent()
            try:
                return self._session(sign_on, check, target)
            except (NoAnswerError, GarbledAnswerError) as error:
                failure = error
            finally:
                self.line.configure(self._sign_on)
        assert failure is not None
        raise failure

    def _session(self, sign_on: bytes, check: Check, target: Target) -> list[Readout]:
        reader = Reader(check)
        self.line.discard()
        self.line.send(sign_on)
        identification = self._identification(reader, sign_on, target)
        self._agree_on_speed(identification)
        at = self.clock()
        block = self._block(reader, target)
        try:
            sets = decode_sets(block[1:-2])
        except DecodeError as error:
            raise DecodeError(f"{self.line.name}: {error}", offset=error.offset) from None
        read = registers(sets, target.time_zone)
        meter = _meter(identification, read, target)
        raw = identification.encode() + block
        status = Status.PERMANENT_ERROR if read.fatal_error else Status(0)
        return [
            Readout(meter, at, read.present, status, raw),
            *(
                Readout(meter, end, values, Status.HISTORICAL, raw)
                for end, values in sorted(read.historical.items())
                if end <= at
            ),
        ]

    def _identification(self, reader: Reader, sign_on: bytes, target: Target) -> Identification:
        received = b""
        while data := self.line.receive((target.timeout or _REACTION_LIMIT) + _SLACK):
            received += data
            reader.add(data)
            if found := reader.identification():
                return found
            if len(received) > _MOST_BYTES:
                break
        received = received.removeprefix(sign_on)  # heads see their own light
        meter = f"meter {target.address!r} on {self.line.name}" if target.address else self.line.name
        if received:
            raise GarbledAnswerError(f"{meter}: {len(received)} bytes that are no identification", received)
        raise NoAnswerError(
            f"{meter}: no answer to the sign-on",
            advice="check that the head sits on the port the right way up, and the device address",
        )

    def _agree_on_speed(self, identification: Identification) -> None:
        """Send the acknowledgement where the mode has one, and switch as the meter does."""
        line = self.line
        if identification.mode is Mode.A:
            return
        if identification.mode is Mode.B:
            if line.can_switch:
                line.configure(replace(self._sign_on, baud=MODE_B_BAUDS[identification.baud]))
            return
        baud = identification.baud if line.can_switch else self._own_baud()
        line.wait(identification.reaction)
        line.send(Acknowledgement(baud=baud).encode())
        # a quick meter may begin 20 ms after the last bit: be ready before
        usual = min(_SWITCH_PAUSE, identification.reaction / 2)
        line.wait(usual if self.switch_pause is None else self.switch_pause)
        if line.can_switch:
            line.configure(replace(self._sign_on, baud=MODE_C_BAUDS[baud]))

    def _own_baud(self) -> str:
        """The baud character of a line that cannot switch; '0' (stay) where there is none."""
        return next((z for z, baud in MODE_C_BAUDS.items() if baud == self._sign_on.baud), "0")

    def _block(self, reader: Reader, target: Target) -> bytes:
        """The readout's block; a wrong block check is answered with one NAK."""
        for request in (b"", NAK):
            if request:
                self.line.send(request)
            try:
                return self._receive_block(reader, target)
            except DecodeError as error:
                wrong = error
        raise GarbledAnswerError(f"{self.line.name}: {wrong}", reader.damaged)

    def _receive_block(self, reader: Reader, target: Target) -> bytes:
        """Raises DecodeError for a wrong block check."""
        received = 0
        while data := self.line.receive((target.timeout or _REACTION_LIMIT) + _SLACK):
            received += len(data)
            reader.add(data)
            block = reader.block()
            if block is not None:
                return block
            if received > _MOST_BYTES:
                break
        if reader.pending:
            raise GarbledAnswerError(f"{self.line.name}: the readout broke off", reader.pending)
        raise NoAnswerError(f"{self.line.name}: the meter identified itself, but sent no readout")

    def _fall_silent(self) -> None:
        """Wait until the meter has given the session up: 1.5 s without a character."""
        end = self.line.now() + 60.0
        while self.line.now() < end and self.line.receive(_REACTION_LIMIT):
            continue


def _check(target: Target) -> Check:
    try:
        return PROFILES[target.profile or "iec"]
    except KeyError:
        raise DriverError(
            f"no optical profile {target.profile!r}", advice=f"take one of {', '.join(PROFILES)}"
        ) from None


def _meter(identification: Identification, read: Registers, target: Target) -> str:
    """The meter's id, compared with the expected one. Raises IdentityError."""
    serials = [*read.serials, *([target.address] if target.address else [])]
    found = [one for serial in serials if (one := _meter_id(identification.manufacturer, serial))]
    if target.meter is None:
        if found:
            return found[0]
        raise DriverError(
            f"a {identification.manufacturer} meter without a serial number in its readout",
            advice="write the meter's id in the configuration",
        )
    expected = _comparable(target.meter)
    if any(_comparable(one) == expected for one in found):
        return target.meter
    if found or not expected.startswith(identification.manufacturer.upper()):
        raise IdentityError(target.meter, found[0] if found else f"a {identification.manufacturer} meter")
    return target.meter


def _meter_id(manufacturer: str, serial: str) -> str | None:
    try:
        return meter_id(manufacturer, serial.replace(" ", ""))
    except MeterIdError:
        return None


def _comparable(meter: str) -> str:
    """An id without the zeros in front of its serial, which meters print or send as they like."""
    manufacturer, _, serial = meter.partition("-")
    return f"{manufacturer}-{serial.lstrip('0')}"
