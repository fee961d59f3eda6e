"""An optical head in front of a virtual DLMS meter."""

from dataclasses import replace

from drivers.dlms.opening import HEAD
from drivers.dlms.virtual import DIRECT, VirtualDlmsMeter
from drivers.line import SerialSettings, Transmission
from drivers.optical.codec.telegram import MODE_C_BAUDS, Identification, find_option_select, find_sign_on


class VirtualHead:
    """A virtual meter behind an optical head: HDLC after a sign-on in mode E (IEC 62056-21, annex E).

    `confirms`: whether it repeats the acknowledgement, as most meters do.
    """

    def __init__(
        self, meter: VirtualDlmsMeter, identification: Identification, *, confirms: bool = True
    ) -> None:
        self.meter = meter
        self.identification = identification
        self.confirms = confirms
        self._heard = b""

    def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
        """See `VirtualMeter`."""
        if settings.baud != HEAD.baud:
            self._heard = b""
            return self.meter.hear(data, settings)
        self._heard = (self._heard + data)[-64:]
        reaction = self.identification.reaction
        if (sign_on := find_sign_on(self._heard)) is not None:
            _, self._heard = sign_on
            return [Transmission(self.identification.encode(), reaction, HEAD)]
        if (found := find_option_select(self._heard)) is not None:
            acknowledgement, self._heard = found
            if acknowledgement.protocol == acknowledgement.purpose == "2":
                baud = MODE_C_BAUDS.get(acknowledgement.baud, HEAD.baud)
                self.meter.settings = replace(DIRECT, baud=baud)
                return [Transmission(acknowledgement.encode(), reaction, HEAD)] if self.confirms else []
        return []
