"""Readouts straight from frames."""

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo

from drivers.errors import DecodeError
from drivers.mbus.codec.telegram import ApplicationError, Telegram, decode
from drivers.mbus.readouts import interpret
from telemetry.readout import Readout


def readouts(
    telegrams: Sequence[bytes], at: datetime, time_zone: tzinfo = UTC, meter: str | None = None
) -> list[Readout]:
    """The readouts in the frames of one answer. Raises DecodeError (also for a meter's refusal)."""
    return interpret([_data(raw) for raw in telegrams], at, time_zone, meter).readouts


def _data(raw: bytes) -> Telegram:
    answer = decode(raw)
    if isinstance(answer, ApplicationError):
        raise DecodeError(f"the meter answered: {answer.message}")
    return answer
