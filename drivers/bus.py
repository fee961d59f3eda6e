"""Bus between virtual meters and a master: collisions, and a wrong speed."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from drivers.line import SerialSettings, Transmission, VirtualMeter

_SAMPLES = 8  # a bit, as a UART looks at the wire


class VirtualBus:
    """Several virtual meters on one wire; itself a `VirtualMeter`, so it fits wherever one does.

    Each speaks when its own reaction time is over. What overlaps in time collides: the open-collector and
    M-Bus current wires read 0 where any sender says 0, and the receiver makes of that what a UART makes. So
    equal answers at the same moment survive (two E5 look like one), and all others become noise.
    """

    def __init__(self, meters: Iterable[VirtualMeter]) -> None:
        self.meters: list[VirtualMeter] = list(meters)

    def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
        """Let every meter hear the bytes; what several of them say at the same moment is merged."""
        spoken = [said for meter in self.meters if (said := meter.hear(data, settings))]
        if len(spoken) < 2:
            return spoken[0] if spoken else []
        timed = sorted((one for said in spoken for one in _timed(said, settings)), key=lambda one: one.delay)
        merged: list[Transmission] = []
        for group in _overlapping(timed, settings):
            merged += group if len(group) == 1 else _collision(group, settings)
        return merged


def _duration(transmission: Transmission, settings: SerialSettings) -> float:
    return len(transmission.data) * (transmission.settings or settings).character_time


def _timed(said: Sequence[Transmission], settings: SerialSettings) -> list[Transmission]:
    """One meter's answers, each delayed until those before it are over."""
    free = 0.0
    timed = []
    for one in said:
        timed.append(replace(one, delay=max(one.delay, free)))
        free = timed[-1].delay + _duration(one, settings)
    return timed


def _overlapping(timed: Sequence[Transmission], settings: SerialSettings) -> list[list[Transmission]]:
    """Groups of transmissions that touch each other in time."""
    groups: list[list[Transmission]] = []
    end = 0.0
    for one in timed:
        if groups and one.delay < end:
            groups[-1].append(one)
        else:
            groups.append([one])
        end = max(end, one.delay + _duration(one, settings))
    return groups


def _collision(group: Sequence[Transmission], settings: SerialSettings) -> list[Transmission]:
    """What a UART receives while all of them drive the wire: runs of bytes, each with its beginning."""
    first = group[0].delay
    sample = 1 / settings.baud / _SAMPLES
    end = max(one.delay + _duration(one, settings) for one in group)
    wire = bytearray(b"\1") * (round((end - first) / sample) + 4 * _SAMPLES)
    for one in group:
        _drive(wire, one.data, round((one.delay - first) / sample), settings)
    runs: list[Transmission] = []
    free = -1
    for at, byte in _received(wire, settings):
        if at - free <= _SAMPLES and runs:
            runs[-1] = replace(runs[-1], data=runs[-1].data + bytes((byte,)))
        else:
            runs.append(Transmission(bytes((byte,)), first + at * sample, group[0].settings))
        free = at + settings.bit_times * _SAMPLES
    return runs


def _drive(wire: bytearray, data: bytes, at: int, settings: SerialSettings) -> None:
    """Pull the wire to 0 wherever these bytes, sent from sample `at` on, have a 0."""
    zero = bytes(_SAMPLES)
    for byte in data:
        bits = [0, *(byte >> n & 1 for n in range(settings.bits))]
        if settings.parity != "N":
            bits.append((sum(bits) + (settings.parity == "O")) % 2)
        for n, bit in enumerate(bits):
            if not bit:
                wire[at + n * _SAMPLES : at + (n + 1) * _SAMPLES] = zero
        at += settings.bit_times * _SAMPLES


def _received(wire: bytearray, settings: SerialSettings) -> Iterable[tuple[int, int]]:
    """Sample of the start bit and value of every character that a UART finds; it ignores parity errors."""
    at = wire.find(0)
    while at >= 0:
        middle = at + _SAMPLES // 2
        bits = [wire[min(middle + (1 + n) * _SAMPLES, len(wire) - 1)] for n in range(settings.bits)]
        yield at, sum(bit << n for n, bit in enumerate(bits))
        stop = middle + (settings.bit_times - settings.stop) * _SAMPLES
        idle = wire.find(1, stop)
        at = wire.find(0, idle) if idle >= 0 else -1


def garbled(data: bytes) -> bytes:
    """The bytes as a receiver at another speed takes them: as many of them, none of them right."""
    return bytes(byte ^ 0xA5 for byte in data)
