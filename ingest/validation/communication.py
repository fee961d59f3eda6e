"""Whether gateways, lines and meters can be heard: health messages and missed polls over time, as findings.

Looked at hour by hour over the past weeks (`anomaly/detectors/communication.py`). One event is one finding:
while most meters of a gateway are silent, or it is itself, that is said of the gateway and of none of its
meters. Hours in which no gateway of anybody was heard are hours in which nobody listened, and say nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
from psycopg import Connection

from anomaly.detectors.communication import KINDS, LIMITS, HealthFinding, health, increments
from anomaly.input.series import FloatArray
from store.gateways.hours import (
    GatewayHour,
    LineHour,
    MissedHour,
    WatchedGateway,
    gateway_hours,
    heard_hours,
    line_hours,
    missed_hours,
    places,
    read_hours,
    take_gateway,
    watched_gateways,
)
from store.validation.findings import (
    Concerned,
    FindingRow,
    open_since,
    sync_findings,
    sync_gateway_findings,
)
from telemetry.findings import MISSED_POLLS
from telemetry.wire import MissReason

LOOKED_AT = timedelta(days=35)
GRACE = timedelta(minutes=10)  # after an hour's end, for messages on their way
HOUR = timedelta(hours=1)

# for which a meter is not to blame
OTHERS = tuple(
    reason.value
    for reason in (
        MissReason.RESTING,
        MissReason.LINE_DOWN,
        MissReason.LINE_BUSY,
        MissReason.NOT_RUNNING,
        MissReason.NOT_KEPT,
    )
)
_SEVERAL = 3  # meters from which on a gateway is to blame and not they
_MOST = replace(LIMITS["missed"], above=0.5, well=0.25)
_OF_GATEWAY = {
    "missed": _MOST,
    "clock_drift": replace(LIMITS["clock_drift"], opens=1, closes=2),  # the best message of an hour is sure
} | {name: LIMITS[name] for name in ("cpu_celsius", "disk_used", "returns")}
_BEHIND = 3600.0  # s; less may be the way of a message
_OF_LINE = {name: LIMITS[name] for name in ("crc_errors", "retries")}
_OF_METER = {"missed": LIMITS["missed"]}
_NO_REFERENCE = {"unsynchronised": replace(LIMITS["clock_drift"], above=0.5, well=0.5)}


@dataclass(frozen=True, slots=True)
class _Hours:
    """The whole hours that are looked at: columns of all figures."""

    first: datetime
    count: int

    @classmethod
    def up_to(cls, now: datetime) -> "_Hours":
        end = (now - GRACE).replace(minute=0, second=0, microsecond=0)
        return cls(end - LOOKED_AT, LOOKED_AT // HOUR)

    def column(self, hour: datetime) -> int | None:
        at = (hour - self.first) // HOUR
        return at if 0 <= at < self.count else None

    def instant(self, column: int) -> datetime:
        return self.first + column * HOUR

    def row(self, figures: Mapping[datetime, float | None], otherwise: float = np.nan) -> FloatArray:
        """Figures by hour as one row, shape (1, hours)."""
        row = np.full((1, self.count), otherwise)
        for hour, figure in figures.items():
            if (at := self.column(hour)) is not None and figure is not None:
                row[0, at] = figure
        return row


def look(connection: Connection, now: datetime) -> int:
    """Make the findings of all gateways, lines and meters what was told of them; how many rows changed."""
    hours = _Hours.up_to(now)
    listened = heard_hours(connection, hours.first)
    changed = 0
    for gateway in watched_gateways(connection, hours.first):
        with connection.transaction():
            if take_gateway(connection, gateway.id):
                changed += _look_at(connection, gateway, hours, listened)
    return changed


def _look_at(connection: Connection, gateway: WatchedGateway, hours: _Hours, listened: set[datetime]) -> int:
    heard = gateway_hours(connection, gateway.id, hours.first)
    missed = missed_hours(connection, gateway.id, hours.first, OTHERS)
    silent = _silent(gateway, heard, missed, hours, listened)
    found = [("", event) for event in _of_gateway(heard, silent, hours)]
    counters: dict[str, list[LineHour]] = {}
    for line_hour in line_hours(connection, gateway.id, hours.first):
        counters.setdefault(line_hour.line, []).append(line_hour)
    found += [(line, event) for line, of_line in counters.items() for event in _of_line(of_line, hours)]
    met = places(connection, gateway.id, sorted({each.meter_id for each in missed if each.own}))
    registers = sorted(register for place in met for register in place.register_ids)
    began = open_since(connection, registers, gateway.id, KINDS)
    of_gateway = [
        FindingRow(
            None,
            gateway.utility_id,
            *_told(event, hours, began.get(((None, gateway.id, line), event.kind))),
            gateway_id=gateway.id,
            line=line,
        )
        for line, event in found
    ]
    own: dict[int, dict[datetime, int]] = {}
    for each in missed:
        own.setdefault(each.meter_id, {})[each.hour] = each.own
    read = read_hours(connection, [place.register_id for place in met], hours.first)
    of_meters = []
    for place in met:
        answered = read.get(place.register_id, {})
        for event in _of_meter(own.get(place.meter_id, {}), answered, silent, hours):
            start = began.get(((place.register_id, None, ""), event.kind))
            of_meters.append(FindingRow(place.register_id, gateway.utility_id, *_told(event, hours, start)))
    return sync_gateway_findings(connection, gateway.id, KINDS, of_gateway, hours.first) + sync_findings(
        connection,
        registers,
        (MISSED_POLLS,),
        of_meters,
        Concerned(dict.fromkeys(registers, hours.first), looked_back_to=hours.first),
    )


def _told(
    event: HealthFinding, hours: _Hours, began: datetime | None
) -> tuple[str, str, datetime, datetime | None, dict[str, str | int]]:
    """The columns of a finding. One that goes on since before the hours that are looked at keeps its
    beginning."""
    start = hours.instant(event.first)
    if event.first == 0 and began is not None:
        start = min(start, began)
    end = None if event.end is None else hours.instant(event.end)
    return event.kind, event.severity.value, start, end, dict(event.evidence)


def _silent(
    gateway: WatchedGateway,
    heard: Sequence[GatewayHour],
    missed: Sequence[MissedHour],
    hours: _Hours,
    listened: set[datetime],
) -> FloatArray:
    """The share of a gateway's meters that gave nothing in an hour, shape (1, hours): all of them where it
    was not heard while others were. NaN where nobody listened, and before it was heard first."""
    mute: dict[datetime, int] = {}
    for each in missed:
        mute[each.hour] = mute.get(each.hour, 0) + 1
    told = {each.hour for each in heard}
    known = hours.row(dict.fromkeys(told, 0.0))
    if not told:
        return known
    dark = {hour: 1.0 for hour in listened - told if hour > min(told)}
    several = {
        hour: count / gateway.meters
        for hour, count in mute.items()
        if hour in told and count >= _SEVERAL and gateway.meters
    }
    return np.fmax(np.fmax(known, hours.row(dark)), hours.row(several))


def _of_gateway(heard: Sequence[GatewayHour], silent: FloatArray, hours: _Hours) -> list[HealthFinding]:
    figures = {
        "missed": silent,
        "polls": np.ones(silent.shape),
        "cpu_celsius": hours.row({each.hour: each.cpu_celsius for each in heard}),
        "disk_used": hours.row({each.hour: each.disk_used for each in heard}),
        "clock_drift": hours.row({each.hour: _off(each.clock_ahead) for each in heard}),
        "returns": hours.row({each.hour: float(each.returns) for each in heard}),
    }
    found = health(figures, _OF_GATEWAY)
    wrong = [event for event in found if event.kind == LIMITS["clock_drift"].kind]
    lost = health(
        {"unsynchronised": hours.row({each.hour: float(each.unsynchronised) for each in heard})},
        _NO_REFERENCE,
    )
    return found + [
        replace(event, evidence={"synchronised": "no", "periods": event.evidence["periods"]})
        for event in lost
        if not any(_overlap(event, other) for other in wrong)
    ]


def _off(ahead: float | None) -> float | None:
    """Seconds that a clock is surely off; None where nothing came in that hour."""
    if ahead is None:
        return None
    return ahead if ahead > 0 else -ahead if ahead < -_BEHIND else 0.0


def _overlap(one: HealthFinding, other: HealthFinding) -> bool:
    return (other.end is None or one.first < other.end) and (one.end is None or other.first < one.end)


def _of_line(told: Sequence[LineHour], hours: _Hours) -> list[HealthFinding]:
    """Counters grow from one hour that was told of to the next; of those between, nothing is known."""
    counters = np.array([[each.exchanges, each.crc_errors, each.retries] for each in told], dtype=np.int64).T
    grown = increments(counters)
    figures = {
        name: hours.row(dict(zip((each.hour for each in told[1:]), row.tolist(), strict=True)))
        for name, row in zip(("exchanges", "crc_errors", "retries"), grown, strict=True)
    }
    return health(figures, _OF_LINE)


def _of_meter(
    own: Mapping[datetime, int], read: Mapping[datetime, int], silent: FloatArray, hours: _Hours
) -> list[HealthFinding]:
    missed, answered = hours.row(own, 0.0), hours.row(read, 0.0)
    missed[silent > _MOST.above] = np.nan
    return health({"missed": missed, "polls": missed + answered}, _OF_METER)
