"""Readings as they leave: billing readings as they were issued, and stored readings in columns.

An outgoing billing reading holds only what was fixed when it was issued, so that it never changes: the names
of service points and sites are left out, since a registry may change them; meters come from the evidence, and
the account is the one of that day.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from metering.billing.canonical_hash import BilledFigure


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingReading(BilledFigure):
    """Version of a billing reading. `id` is the cursor; `meters` by time."""

    id: int
    account: str
    meters: list[str]
    version: int
    start_offset: timedelta
    end_offset: timedelta
    content_hash: bytes
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Issue:
    """Contents of a period's file: everything up to `cursor`, which was issued at `issued_at`."""

    utility: str
    period: str
    starts_at: datetime
    ends_at: datetime
    cursor: int
    issued_at: datetime


@dataclass(frozen=True, slots=True)
class RegisterLabel:
    """Register that a number in the columns stands for."""

    meter: str
    obis: str
    unit: str


@dataclass(frozen=True, slots=True)
class ReadingColumns:
    """Stored readings in columns of one length, ordered by register and instant.

    Values are in micro-units, instants in microseconds since 1970.
    """

    register_ids: npt.NDArray[np.int32]
    measured_at: npt.NDArray[np.int64]
    values: npt.NDArray[np.int64]
    status: npt.NDArray[np.int16]
    received_at: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.values)
