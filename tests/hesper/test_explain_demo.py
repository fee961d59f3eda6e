"""Every billing reading of a month of the demo leads down to telegrams that say the same values."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from hesper.billing_trace import chain_of, read_telegram, says
from hesper.commands.billing.explain import lines
from hesper.demo.building import GATEWAY, UTILITY, Building, build, month_start
from hesper.demo.history import History
from hesper.demo.registry import registry_of
from ingest.billing.close import close
from ingest.receive.decode import decode_readings
from ingest.receive.directory import Directory
from ingest.receive.writer import store_readings
from ingest.validation import drain
from store.postgres.database import connect
from store.registry import apply
from telemetry.wire import encode, to_milliseconds

BORN = datetime(2026, 11, 22, 2, 50, tzinfo=UTC)
PERIOD = "2026-10"
ASIDE = timedelta(hours=12)
TOPIC = f"hesper/v1/{UTILITY}/{GATEWAY}/readings"


@pytest.fixture
def month(database: str) -> Iterator[tuple[psycopg.Connection, Building]]:
    """The demo's building around both ends of a month, closed."""
    building = build(1, BORN)
    with connect(database) as connection:
        apply(connection, registry_of(building))
        connection.commit()
        for boundary in (month_start(BORN, 1), month_start(BORN)):
            history = History(building, boundary - ASIDE, boundary + ASIDE)
            while batches := history.next_batches(200):
                messages = [decode_readings(TOPIC, encode(each)) for each in batches]
                store_readings(connection, Directory(), messages, to_milliseconds(BORN))
        drain(connection)
        close(connection, UTILITY, PERIOD, "anna", BORN)
        yield connection, building


def test_every_billing_reading_of_the_demo_leads_to_telegrams_that_say_its_values(
    month: tuple[psycopg.Connection, Building],
) -> None:
    connection, building = month
    rows = connection.execute("select id, utility_id from billing_readings order by id").fetchall()
    assert len(rows) == len(building.meters_now) - 3  # one was reset, and two are silent since its end
    for identity, utility in rows:
        chain = chain_of(connection, utility, identity)
        assert chain is not None
        parts = chain.trace.evidence.installations
        for part in parts:
            for found in (part.start, part.end):
                assert found.readings or found.method == "installation"
            for reading in part.readings:
                behind = chain.telegram(part, reading)
                assert behind is not None
                told = read_telegram(behind.raw, chain.trace.row.obis, reading.value).explanation
                assert says(told, chain.trace.row.obis, reading.value), told
        shown = list(lines(chain))
        assert sum(line.startswith("      telegram by gateway") for line in shown) == sum(
            len(list(part.readings)) for part in parts
        )
        assert not any("not decoded" in line for line in shown)
