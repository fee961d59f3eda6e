"""Listening to a meter of mode D, which sends its readout by itself, every few seconds.

Such telegrams have no block check, and converters pass on what had the wrong parity. So one is believed only
if the next one confirms it: the same registers, no counter that ran back or jumped.
"""

from dataclasses import dataclass
from datetime import UTC
from fractions import Fraction

from drivers.driver import Tally
from drivers.errors import DecodeError, GarbledAnswerError, NoAnswerError
from drivers.line import Line
from drivers.optical.codec.dataset import DataSet, decode_sets
from drivers.optical.codec.registers import registers
from drivers.optical.codec.telegram import Identification, TelegramReader
from telemetry.obis import Obis, RegisterKind
from telemetry.readout import Quantity
from telemetry.units import ratio

PATIENCE = 15.0  # seconds until a telegram: most meters send every 1 to 10 s
_MOST_TELEGRAMS = 5
_MOST_BYTES = 1 << 16
_FASTEST = Fraction(1, 20)  # units (kWh) a second: 180 kW, more than a meter without transformers can bear


@dataclass(frozen=True, slots=True)
class PushReadout:
    """A telegram that a meter sent by itself; `ended` is when its last byte had come (line seconds)."""

    identification: Identification
    sets: list[DataSet]
    raw: bytes
    ended: float


def next_push(line: Line, tally: Tally, patience: float) -> PushReadout:
    """The next whole telegram. Raises NoAnswerError, GarbledAnswerError, DecodeError."""
    reader = TelegramReader()
    end = line.now() + patience
    received = b""
    while (left := end - line.now()) > 0 and len(received) < _MOST_BYTES:
        piece = line.receive(left)
        received += piece
        reader.add(piece)
        if found := reader.push():
            identification, data, raw = found
            tally.exchanges += 1
            try:
                return PushReadout(identification, decode_sets(data), raw, line.now())
            except DecodeError:
                tally.garbled += 1
                raise
    if received:
        tally.garbled += 1
        raise GarbledAnswerError(
            f"{line.name}: {len(received)} bytes that are no readout",
            received,
            advice="check speed and parity: mode D is 2400 7E1 in the standard, 9600 7E1 in many meters",
        )
    tally.timeouts += 1
    raise NoAnswerError(
        f"{line.name}: the meter sent nothing for {patience:.0f} s",
        advice="check that the head sits on the port the right way up, and that the meter sends by itself "
        "(mode D; some have it switched off, or locked by a PIN)",
    )


def listen(line: Line, tally: Tally, patience: float) -> PushReadout:
    """A telegram that its predecessor confirms. Raises as `next_push`."""
    line.discard()  # what has waited in the port says nothing of the present
    earlier: PushReadout | None = None
    wrong: DecodeError | None = None
    for _ in range(_MOST_TELEGRAMS):
        try:
            later = next_push(line, tally, patience)
        except DecodeError as error:
            wrong = error
            continue
        if earlier is not None and _confirms(earlier, later):
            return later
        earlier = later
    if wrong is not None:
        raise wrong
    raise GarbledAnswerError(
        f"{line.name}: {_MOST_TELEGRAMS} telegrams in a row of which none confirms the one before",
        earlier.raw if earlier else b"",
        advice="check how the head sits; a meter of more than 180 kW is to be read in mode C",
    )


def _confirms(earlier: PushReadout, later: PushReadout) -> bool:
    before, after = _counters(earlier), _counters(later)
    most = _FASTEST * Fraction(later.ended - earlier.ended)
    return (
        earlier.identification == later.identification
        and before.keys() == after.keys()
        and all(0 <= after[obis] - before[obis] <= most for obis in before)
    )


def _counters(push: PushReadout) -> dict[str, Fraction]:
    """Counters in their registers' usual units."""
    present = registers(push.sets, UTC).present
    return {
        text: _usual(obis, value)
        for text, value in present.items()
        if (obis := Obis.parse(text)).kind is RegisterKind.COUNTER
    }


def _usual(obis: Obis, value: Quantity) -> Fraction:
    assert obis.unit is not None  # of every counter
    return Fraction(value.micro, 1_000_000) * ratio(value.unit, obis.unit)
