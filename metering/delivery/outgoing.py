"""Readings as they leave: billing readings as they were issued, and stored readings in columns.

An outgoing billing reading holds only what was fixed when it was issued, so that it never changes: the names
of service points and sites are left out, since a registry may change them; meters come from the evidence, and
the account is the one of that day.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class OutgoingReading:
    """One version of a billing reading. Values in micro-units of `unit`; `cursor` is its id.

    `true_up` is what earlier estimates fell short by (negative: a credit), a line beside the consumption.
    """

    cursor: int
    service_point: str
    account: str
    meters: list[str]
    obis: str
    unit: str
    period: str
    version: int
    starts_at: datetime
    ends_at: datetime
    start_offset: timedelta
    end_offset: timedelta
    start_value: int
    end_value: int
    consumption: int
    quality: int
    start_method: str
    end_method: str
    content_hash: bytes
    created_at: datetime
    true_up: int | None = None


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
