"""A small utility for tests of the ingester: two gateways, three meters, and what they send."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from msgspec.structs import replace

from gateway.buffer.source import BatchSource
from metering.registry.entries import GatewayEntry, MeterEntry, RegisterEntry, Registry, UtilityEntry
from telemetry.obis import Medium
from telemetry.wire import Batch, Outcome, WireReadout

NOON = 1_772_452_800_000  # 2026-03-02T12:00:00Z, milliseconds
NOW = datetime(2026, 3, 3, tzinfo=UTC)
HOUR = 3_600_000
WATER, HEAT, ELSEWHERE = "KAM-00000001", "KAM-00000002", "KAM-00000003"
COLD, ENERGY = "8-0:1.0.0", "6-0:1.0.0"
TOPIC = "hesper/v1/aurora/house/readings"

REGISTRY = Registry(
    [
        UtilityEntry(
            code="aurora",
            name="Aurora",
            time_zone="Europe/Vilnius",
            gateways=[GatewayEntry("house"), GatewayEntry("yard")],
            meters=[
                MeterEntry(WATER, Medium.COLD_WATER, gateway="house", registers=[RegisterEntry(COLD)]),
                MeterEntry(HEAT, Medium.HEAT, gateway="house"),
                MeterEntry(ELSEWHERE, Medium.COLD_WATER, gateway="yard"),
            ],
        )
    ]
)


def batch_of(number: int, *readouts: tuple[str, int, dict[str, float]]) -> Batch:
    """Batch `number` of (meter, hours after NOON, {OBIS: value}) triples."""
    wire = [WireReadout(meter, NOON + hours * HOUR, values) for meter, hours, values in readouts]
    return Batch("life", number, NOON, wire)


def timeless(outcomes: Sequence[Outcome | None]) -> list[Outcome | None]:
    """Outcomes without the time at which they were stored; each that stands has one."""
    assert all(outcome is None or outcome.stored_at > 0 for outcome in outcomes)
    return [outcome and replace(outcome, stored_at=0) for outcome in outcomes]


class ListSource(BatchSource):
    """Batches from a list, and the outcome of each that was acknowledged."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        self.outcomes: dict[int, Outcome | None] = {}
        self._left = list(batches)

    def next_batches(self, limit: int) -> Sequence[Batch]:
        taken, self._left = self._left[:limit], self._left[limit:]
        return taken

    def acknowledge(self, epoch: str, outcomes: Mapping[int, Outcome | None]) -> None:
        for number, outcome in outcomes.items():
            self.outcomes.setdefault(number, *timeless([outcome]))
