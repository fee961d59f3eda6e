"""A virtual meter that pushes SML telegrams, and hears nothing."""

from collections.abc import Callable, Sequence

from drivers.line import SerialSettings, Transmission
from drivers.sml.messages import (
    Body,
    CloseResponse,
    ListEntry,
    ListResponse,
    Message,
    OpenResponse,
    SmlTime,
    TimeKind,
    encode_message,
)
from drivers.sml.transport import enclose


def telegram(values: ListResponse, number: int = 0) -> bytes:
    """A whole telegram with this list; `number` counts telegrams, in transaction and file id."""
    bodies: tuple[Body, ...] = (
        OpenResponse(values.server_id, number.to_bytes(4, "big"), time=values.sensor_time),
        values,
        CloseResponse(),
    )
    return enclose(
        b"".join(
            encode_message(Message((3 * number + index).to_bytes(4, "big"), body))
            for index, body in enumerate(bodies)
        )
    )


class VirtualSmlMeter:
    """A `PushingMeter`. `entries` is the list of values, or a function that gives it for each telegram.

    `period` in seconds; the sensor time counts it, as meters without a clock do.
    """

    def __init__(
        self,
        server_id: bytes,
        entries: Sequence[ListEntry] | Callable[[], Sequence[ListEntry]],
        *,
        period: float = 1.0,
    ) -> None:
        self.period = period
        self.server_id = server_id
        self._entries = entries
        self._pushed = 0

    def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:  # noqa: ARG002 (deaf)
        """See `VirtualMeter`: an info interface only speaks."""
        return []

    def push(self, settings: SerialSettings) -> Transmission:  # noqa: ARG002 (the same at any speed)
        self._pushed += 1
        entries = self._entries() if callable(self._entries) else self._entries
        seconds = SmlTime(TimeKind.SECONDS_INDEX, int(self._pushed * self.period))
        values = ListResponse(self.server_id, tuple(entries), sensor_time=seconds)
        return Transmission(telegram(values, self._pushed))
