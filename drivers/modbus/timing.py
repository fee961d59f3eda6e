"""Wire times of Modbus: the silence between frames, and a whole transaction."""

from drivers.line import SerialSettings

_REQUEST = 8  # characters: unit, function, address, count, CRC
_ANSWER = 5  # characters beside the registers: unit, function, byte count, CRC
TURNAROUND = 0.02  # seconds that a meter is assumed to take until it answers, when requests are planned


def silence(settings: SerialSettings) -> float:
    """t3.5 in seconds: 3.5 characters up to 19200 Bd, then 1.75 ms (Serial Line V1.02, 2.5.1.1)."""
    return 3.5 * settings.character_time if settings.baud <= 19200 else 0.00175


def transaction_time(
    settings: SerialSettings, registers: int, *, turnaround: float = 0.0, pause: float = 0.0
) -> float:
    """Seconds from the silence before a request to the last bit of its answer with that many registers.

    The meter's own t3.5, in which it sees that the request has ended, comes before its `turnaround`. A
    `pause` that the meter needs between requests takes the place of the first silence where it is longer.
    """
    characters = _REQUEST + _ANSWER + 2 * registers
    quiet = max(silence(settings), pause) + silence(settings)
    return characters * settings.character_time + quiet + turnaround
