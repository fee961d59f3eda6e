"""Quarantined messages after their cause is mended."""

import psycopg

from ingest.receive.decode import decode_readings
from ingest.receive.directory import Directory
from ingest.receive.replay import replay
from ingest.receive.writer import store_readings
from metering.registry.entries import MeterEntry, Registry, UtilityEntry
from store import quarantine
from store.registry import apply
from telemetry.obis import Medium
from telemetry.wire import Outcome, encode, to_milliseconds
from tests.support.aurora import COLD, NOW, TOPIC, batch_of, timeless

STRANGER = "KAM-00000009"


def test_a_readout_is_stored_once_its_meter_is_registered(registered: psycopg.Connection) -> None:
    now = to_milliseconds(NOW)
    message = decode_readings(TOPIC, encode(batch_of(4, (STRANGER, 0, {COLD: 1.0}))))
    store_readings(registered, Directory(), [message], now)
    (kept,) = quarantine.waiting(registered)

    assert timeless(replay(registered, [kept], now)) == [Outcome(4, quarantined={"unknown_meter": 1})]
    assert [entry.id for entry in quarantine.waiting(registered)] == [kept.id]

    meters = [MeterEntry(STRANGER, Medium.COLD_WATER)]
    apply(registered, Registry([UtilityEntry("aurora", "Aurora", "Europe/Vilnius", meters=meters)]))
    assert timeless(replay(registered, [kept], now)) == [Outcome(4, stored=1)]
    assert quarantine.waiting(registered) == []


def test_a_whole_message_is_replayed_when_its_gateway_is_registered(registered: psycopg.Connection) -> None:
    now = to_milliseconds(NOW)
    topic = "hesper/v1/aurora/attic/readings"
    message = decode_readings(topic, encode(batch_of(4, ("KAM-00000001", 0, {COLD: 1.0}))))
    store_readings(registered, Directory(), [message], now)
    registered.execute(
        "insert into gateways (utility_id, code, kind) select id, 'attic', 'import' from utilities"
    )
    assert timeless(replay(registered, quarantine.waiting(registered), now)) == [Outcome(4, stored=1)]
