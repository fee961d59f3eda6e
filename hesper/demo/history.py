"""Thirteen months of hourly readouts, as batches for the publisher: they go the same MQTT way as live ones.

The first readout of every month is read by the real driver from the real telegram, so that the figures at a
month's boundary lead down to bytes; the hours between carry the billed register only.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import numpy as np

from gateway.buffer.source import MAX_BATCH_READOUTS
from hesper.demo.building import TIME_ZONE, Building, BuildingMeter, month_start
from hesper.demo.consumption import Micro
from hesper.demo.faults import microseconds
from hesper.demo.meters import read_at
from telemetry.micro import to_wire
from telemetry.wire import Batch, Outcome, WireReadout, wire_readout

_HOUR = 3_600_000_000
_SECOND = 1_000_000


class History:
    """A `BatchSource` over the readouts between two instants. Once made, its batches never change.

    `readings` counts what was handed out, `stored` and `known` what became of it; `trouble` the rest.
    """

    def __init__(self, building: Building, since: datetime, until: datetime) -> None:
        self.epoch = f"history-{microseconds(since) // 1000}"
        self._batches = self._make(building, since, until)
        hours = (microseconds(until) - microseconds(since)) // _HOUR
        self.expected = hours * len(building.meters_now)  # readouts, roughly: for the progress bar
        self.sent = 0
        self.readings = 0
        self.acknowledged: set[int] = set()
        self.stored = 0
        self.known = 0
        self.trouble: dict[str, int] = {}
        self._exhausted = False

    @property
    def done(self) -> int:
        """Readouts that are acknowledged."""
        return len(self.acknowledged) * MAX_BATCH_READOUTS

    @property
    def finished(self) -> bool:
        """All batches are acknowledged."""
        return self._exhausted and len(self.acknowledged) == self.sent

    def next_batches(self, limit: int) -> Sequence[Batch]:
        """See `BatchSource`."""
        batches = []
        for _ in range(limit):
            batch = next(self._batches, None)
            if batch is None:
                self._exhausted = True
                break
            self.sent += 1
            self.readings += sum(len(readout.values) for readout in batch.readouts)
            batches.append(batch)
        return batches

    def acknowledge(self, epoch: str, outcomes: Mapping[int, Outcome | None]) -> None:
        """See `BatchSource`."""
        if epoch != self.epoch:
            return
        for number, outcome in outcomes.items():
            if number in self.acknowledged:
                continue
            self.acknowledged.add(number)
            if outcome is not None:
                self.stored += outcome.stored
                self.known += outcome.known
                for reason, count in outcome.quarantined.items():
                    self.trouble[reason] = self.trouble.get(reason, 0) + count
                if outcome.conflicts:
                    self.trouble["conflict"] = self.trouble.get("conflict", 0) + outcome.conflicts

    def _make(self, building: Building, since: datetime, until: datetime) -> Iterator[Batch]:
        number, waiting = 0, list[WireReadout]()
        for readout in _readouts(building, since, until):
            waiting.append(readout)
            if len(waiting) == MAX_BATCH_READOUTS:
                number += 1
                yield Batch(self.epoch, number, 0, waiting)
                waiting = []
        if waiting:
            yield Batch(self.epoch, number + 1, 0, waiting)


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
                yield from _read(meter, int(instants[index]))
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


def _read(meter: BuildingMeter, instant: int) -> Iterator[WireReadout]:
    at = datetime.fromtimestamp(instant // _SECOND, TIME_ZONE)
    for readout in read_at(meter, at):
        yield wire_readout(readout)
