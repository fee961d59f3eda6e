"""A virtual meter on an optical port: it speaks at the speed agreed on, and is deaf at any other."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from drivers.line import SerialSettings, Transmission
from drivers.optical.dataset import DataSet, encode_sets
from drivers.optical.telegram import (
    MODE_B_BAUDS,
    MODE_C_BAUDS,
    NAK,
    Check,
    Identification,
    Mode,
    encode_block,
    find_acknowledgement,
    find_sign_on,
)

OPTICAL = SerialSettings(300, 7, "E", 1)
_MOST_HEARD = 256


class VirtualOpticalMeter:
    """Modes A, B and C by its identification's baud character.

    `sets` is the readout, or a function that gives it when asked. A meter without an `address` answers every
    sign-on. `reaction` in seconds, None for what the identification promises.
    """

    def __init__(
        self,
        identification: Identification,
        sets: Sequence[DataSet] | Callable[[], Sequence[DataSet]],
        *,
        address: str = "",
        check: Check = Check.XOR,
        reaction: float | None = None,
        sign_on: SerialSettings = OPTICAL,
    ) -> None:
        self.identification = identification
        self.address = address
        self.check = check
        self.reaction = identification.reaction if reaction is None else reaction
        self._sets = sets
        self._sign_on = sign_on
        self._heard = b""
        self._acknowledged: SerialSettings | None = (
            None  # the speed after it, while a readout may be repeated
        )
        self._identified = False

    def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
        """See `VirtualMeter`. Only the speed is compared: not every host knows the character frame."""
        expected = self._acknowledged if data == NAK else self._sign_on
        if expected is None or settings.baud != expected.baud:
            self._heard = b""
            return []
        if data == NAK:
            return [self._readout(expected)]
        self._heard = (self._heard + data)[-_MOST_HEARD:]
        if (sign_on := find_sign_on(self._heard)) is not None:
            address, self._heard = sign_on
            return self._identify(address)
        if self._identified and (acknowledged := find_acknowledgement(self._heard)) is not None:
            acknowledgement, self._heard = acknowledged
            return self._agree(acknowledgement.baud)
        return []

    def _identify(self, address: str) -> list[Transmission]:
        self._acknowledged = None
        self._identified = address.lstrip("0") in ("", self.address.lstrip("0")) or not self.address
        if not self._identified:
            return []
        telegram = self.identification.encode()
        said = [Transmission(telegram, self.reaction, self._sign_on)]
        if self.identification.mode is not Mode.C:
            baud = MODE_B_BAUDS.get(self.identification.baud, self._sign_on.baud)
            self._acknowledged = replace(self._sign_on, baud=baud)
            after = 2 * self.reaction + len(telegram) * self._sign_on.character_time
            said.append(replace(self._readout(self._acknowledged), delay=after))
        return said

    def _agree(self, baud: str) -> list[Transmission]:
        """Mode C: any speed up to the one offered."""
        self._identified = False
        if self.identification.mode is not Mode.C or not "0" <= baud <= self.identification.baud:
            return []
        # '0' keeps the speed of the sign-on, also on wires that have another one than 300 Bd
        speed = self._sign_on.baud if baud == "0" else MODE_C_BAUDS[baud]
        self._acknowledged = replace(self._sign_on, baud=speed)
        return [self._readout(self._acknowledged)]

    def _readout(self, settings: SerialSettings) -> Transmission:
        sets = self._sets() if callable(self._sets) else self._sets
        return Transmission(encode_block(encode_sets(sets), self.check), self.reaction, settings)
