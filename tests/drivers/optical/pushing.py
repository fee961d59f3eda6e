"""Virtual meter of mode D, which speaks by itself."""

from collections.abc import Callable, Sequence

from drivers.line import SerialSettings, Transmission
from drivers.optical.codec.dataset import DataSet, encode_sets
from drivers.optical.codec.telegram import Identification, encode_push

PUSHED = SerialSettings(2400, 7, "E", 1)


class VirtualPushingMeter:
    """Mode D: it sends its readout every `period` seconds, at its own settings, and hears nothing."""

    def __init__(
        self,
        identification: Identification,
        sets: Sequence[DataSet] | Callable[[], Sequence[DataSet]],
        *,
        period: float = 2.0,
        settings: SerialSettings = PUSHED,
    ) -> None:
        self.identification = identification
        self.period = period
        self.settings = settings
        self._sets = sets

    def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
        """See `VirtualMeter`."""
        return []

    def push(self, settings: SerialSettings) -> Transmission:
        """See `PushingMeter`."""
        sets = self._sets() if callable(self._sets) else self._sets
        return Transmission(encode_push(self.identification, encode_sets(sets)), 0.0, self.settings)
