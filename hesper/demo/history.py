"""Thirteen months of hourly readouts, as batches for the publisher: they go the same MQTT way as live ones.

The first readout of every month is read by the real driver from the real telegram, so that the figures at a
month's boundary lead down to bytes; the hours between carry the billed register only.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

import numpy as np

from gateway.buffer.source import MAX_BATCH_READOUTS
from hesper.demo.building import TIME_ZONE, Building, BuildingMeter, month_start
from hesper.demo.consumption import Micro
from hesper.demo.faults import microseconds
from hesper.demo.meters import read_at
from hesper.importer.source import RowSource
from telemetry.micro import to_wire
from telemetry.wire import WireReadout, wire_readout

_HOUR = 3_600_000_000
_SECOND = 1_000_000


class History(RowSource):
    """The readouts between two instants. Once made, its batches never change."""

    def __init__(self, building: Building, since: datetime, until: datetime) -> None:
        epoch = f"history-{microseconds(since) // 1000}"
        super().__init__(_readouts(building, since, until), epoch, MAX_BATCH_READOUTS)
        hours = (microseconds(until) - microseconds(since)) // _HOUR
        self.expected = hours * len(building.meters_now)  # readouts, roughly: for the progress bar

    @property
    def trouble(self) -> dict[str, int]:
        """What was not taken, by reason."""
        conflicts = {"conflict": self.tally.conflicts} if self.tally.conflicts else {}
        return dict(self.tally.quarantined) | conflicts


def _readouts(building: Building, since: datetime, until: datetime) -> Iterator[WireReadout]:
    """Month by month, hour by hour, meter by meter."""
    month = month_start(since)
    while month < until:
        following = month_start(month + timedelta(days=32))
        yield from _month(building, max(since, month), min(until, following))
        month = following


def _month(building: Building, since: datetime, until: datetime) -> Iterator[WireReadout]:
    first_hour = -(-microseconds(since) // _HOUR)
    hours = np.arange(first_hour, microseconds(until) // _HOUR + 1, dtype=np.int64) * _HOUR
    columns = [(meter, *_column(meter, hours, since, until)) for meter in building.meters]
    for index, hour in enumerate(hours.tolist()):
        for meter, instants, values, due in columns:
            if not due[index]:
                continue
            if index == 0 and _begins_month(hour):
                at = datetime.fromtimestamp(int(instants[index]) // _SECOND, TIME_ZONE)
                yield from map(wire_readout, read_at(meter, at))
                continue
            yield WireReadout(
                meter=meter.meter,
                at=int(instants[index]) // 1000,
                values={meter.obis: to_wire(int(values[index]))},
            )


def _column(
    meter: BuildingMeter, hours: Micro, since: datetime, until: datetime
) -> tuple[Micro, Micro, Micro]:
    """Instants, values, and whether the meter answered, for each hour."""
    instants = hours + meter.offset * _SECOND
    due = (instants >= microseconds(since)) & (instants < microseconds(until))
    if meter.installed_from is not None:
        due &= instants >= microseconds(meter.installed_from)
    if meter.installed_to is not None:
        due &= instants < microseconds(meter.installed_to)
    if meter.silent is not None:
        due &= ~((instants >= microseconds(meter.silent[0])) & (instants < microseconds(meter.silent[1])))
    return instants, meter.source.at(instants), due.astype(np.int64)


def _begins_month(hour: int) -> bool:
    local = datetime.fromtimestamp(hour // _SECOND, TIME_ZONE)
    return local.day == 1 and local.hour == 0
