"""An awkward converter between a virtual meter and a line: echo, stray bytes, pieces, noise."""

import random
from dataclasses import dataclass, replace

from drivers.line import SerialSettings, Transmission, VirtualMeter


@dataclass(slots=True)
class AwkwardWire:
    """Wire between a virtual meter and a line: itself a `VirtualMeter`. See `drivers.host.Wiring`.

    `echo` returns what the master sends while it sends it; `stray` goes in front of every answer; `piece`
    cuts answers into pieces of that many bytes, `piece_gap` seconds apart. With `noise`, a share of all
    bytes that the meter sends arrives as others, chosen by `rng`.
    """

    meter: VirtualMeter
    echo: bool = False
    stray: bytes = b""
    piece: int | None = None
    piece_gap: float = 0.02
    noise: float = 0.0
    rng: random.Random | None = None

    def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
        """Let the meter hear the bytes; what it says comes back as this wire delivers it."""
        arriving = [Transmission(data, -len(data) * settings.character_time)] if self.echo else []
        for one in self.meter.hear(data, settings):
            sent = self.stray + self._spoiled(one.data)
            size = self.piece or len(sent) or 1
            delay = one.delay
            for first in range(0, len(sent), size):
                arriving.append(replace(one, data=sent[first : first + size], delay=delay))
                delay += size * settings.character_time + self.piece_gap
        return arriving

    def _spoiled(self, data: bytes) -> bytes:
        if self.rng is None or not self.noise:
            return data
        rng, noise = self.rng, self.noise
        return bytes(byte ^ rng.randrange(1, 256) if rng.random() < noise else byte for byte in data)
