"""Metrics of an ingester, for Prometheus. No label names a meter or gateway: their number has no bound."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from ingest.receive.decode import Decoded
from telemetry.wire import Outcome

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_SIZES = (1, 10, 100, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000)


class Metrics:
    """Figures of one ingester, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.readings = Counter(
            "hesper_ingest_readings", "Readings by what became of them", ["outcome"], registry=registry
        )
        self.missed = Counter("hesper_ingest_missed_polls", "Missed polls that were kept", registry=registry)
        self.quarantined = Counter(
            "hesper_ingest_quarantined", "Readouts kept aside, by reason", ["reason"], registry=registry
        )
        self.lag = Gauge(
            "hesper_ingest_lag_seconds",
            "From the sending of a batch to its commit, the longest of the last micro-batch",
            registry=registry,
        )
        self.acknowledged = Histogram(
            "hesper_ingest_ack_seconds",
            "From the arrival of a delivery to its acknowledgement",
            buckets=_SECONDS,
            registry=registry,
        )
        self.stored = Histogram(
            "hesper_ingest_store_seconds",
            "From the beginning of a micro-batch's transaction to its commit",
            buckets=_SECONDS,
            registry=registry,
        )
        self.rows = Histogram(
            "hesper_ingest_batch_rows", "Readings of a micro-batch", buckets=_SIZES, registry=registry
        )
        self.messages = Histogram(
            "hesper_ingest_batch_messages", "Messages of a micro-batch", buckets=_SIZES, registry=registry
        )
        self.inbox = Gauge("hesper_ingest_inbox_messages", "Messages that wait in memory", registry=registry)
        self.inbox_bytes = Gauge("hesper_ingest_inbox_bytes", "Bytes that wait in memory", registry=registry)
        self.broker = Gauge("hesper_ingest_broker_up", "1 while listening to the broker", registry=registry)
        self.database = Gauge("hesper_ingest_database_up", "1 while the database stores", registry=registry)

    def count(self, messages: Iterable[Decoded], outcomes: Iterable[Outcome | None], now: int) -> None:
        """Counts a micro-batch that was committed at `now` (milliseconds)."""
        lag = 0
        for message, outcome in zip(messages, outcomes, strict=True):
            if message.batch is not None and message.batch.sent_at:
                lag = max(lag, now - message.batch.sent_at)
            if outcome is None:
                for refusal in message.refusals:
                    self.quarantined.labels(refusal.reason.value).inc()
                continue
            self.readings.labels("stored").inc(outcome.stored)
            self.readings.labels("known").inc(outcome.known)
            self.readings.labels("conflict").inc(outcome.conflicts)
            self.missed.inc(outcome.missed)
            for reason, count in outcome.quarantined.items():
                self.quarantined.labels(reason).inc(count)
        self.lag.set(lag / 1_000)

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self.registry)
