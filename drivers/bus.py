"""What the wire does between virtual meters and a master: several meters on it, collisions, a wrong speed."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import zip_longest

from drivers.line import SerialSettings, Transmission, VirtualMeter


class VirtualBus:
    """Several virtual meters on one wire; itself a `VirtualMeter`, so it fits wherever one does.

    Meters that speak at once collide. The open-collector and M-Bus current wires read 0 where any sender
    says 0, so equal answers survive (two E5 look like one) and different ones become noise.
    """

    def __init__(self, meters: Iterable[VirtualMeter]) -> None:
        self.meters: list[VirtualMeter] = list(meters)

    def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
        """Let every meter hear the bytes; what several of them say at the same moment is merged."""
        spoken = [said for meter in self.meters if (said := meter.hear(data, settings))]
        if len(spoken) < 2:
            return spoken[0] if spoken else []
        return [_collision(at_once) for at_once in _columns(spoken)]


def _columns(spoken: Sequence[list[Transmission]]) -> list[list[Transmission]]:
    return [[one for one in column if one is not None] for column in zip_longest(*spoken)]


def _collision(at_once: list[Transmission]) -> Transmission:
    """All of them start with the quickest, as if the wire mixed them from their first bit."""
    first = min(at_once, key=lambda transmission: transmission.delay)
    merged = bytes(_all_of(column) for column in zip_longest(*(one.data for one in at_once), fillvalue=0xFF))
    return replace(first, data=merged)


def _all_of(column: Iterable[int]) -> int:
    value = 0xFF
    for byte in column:
        value &= byte
    return value


def garbled(data: bytes) -> bytes:
    """What a receiver at another speed makes of the bytes: as many of them, none of them right."""
    return bytes(byte ^ 0xA5 for byte in data)
