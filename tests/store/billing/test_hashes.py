"""Whether stored billing readings are still what was issued: each hash is computed anew from the row."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from store.billing.hashes import HashCheck, issued_content, verify
from store.billing.measured import utility
from store.postgres.database import connect
from tests.support.town import UTILITY, Town

OCTOBER = datetime(2026, 9, 30, 22, tzinfo=UTC)  # local midnight in Madrid
DAY = timedelta(days=1)


@pytest.fixture
def issuing_town(database: str) -> Iterator[Town]:
    """Two meters, and October closed twice: three versions."""
    with connect(database) as connection:
        issuing_town = Town(connection)
        issuing_town.meter("AAA-1", {OCTOBER + n * DAY: f"{100 + n}.125" for n in range(-10, 50)})
        issuing_town.meter(
            "BBB-2", {OCTOBER + n * DAY - timedelta(hours=1): str(n + 10) for n in range(-10, 50)}
        )
        issuing_town.close("2026-10")
        issuing_town.read("BBB-2", {OCTOBER + 31 * DAY + timedelta(hours=1): "42.000001"})
        issuing_town.close("2026-10")
        yield issuing_town


def verified(issuing_town: Town, period: str = "2026-10") -> HashCheck:
    return verify(issuing_town.connection, utility(issuing_town.connection, UTILITY).id, period)


def test_versions_that_nobody_touched_are_intact(issuing_town: Town) -> None:
    assert verified(issuing_town) == HashCheck(3, ())
    assert verified(issuing_town, "2026-11") == HashCheck(0, ())


@pytest.mark.parametrize(
    "change",
    [
        "consumption = consumption + 1",
        "end_value = end_value - 1",
        "unit = 'GJ'",
        "quality = 10",
        "start_method = 'set_day'",
        "ends_at = ends_at + interval '1 hour'",
        "obis = '9-0:1.0.0'",
        "content_hash = sha256('')",
        "evidence = jsonb_set(evidence, '{installations,0,start,value}', '\"0\"')",
        "evidence = jsonb_set(evidence, '{installations,0,meter}', '\"AAA-9\"')",
    ],
)
def test_row_that_somebody_altered_is_found(issuing_town: Town, change: str) -> None:
    issuing_town.connection.execute(f"update billing_readings set {change} where id = 2")
    found = verified(issuing_town)
    assert found.checked == 3
    assert [(each.id, each.version, each.service_point) for each in found.altered] == [(2, 1, "BBB-2")]


def test_one_billing_reading_is_found_by_its_own_utility_only(issuing_town: Town) -> None:
    own = utility(issuing_town.connection, UTILITY).id
    issued = issued_content(issuing_town.connection, own, 1)
    assert issued is not None
    assert issued.intact
    assert issued_content(issuing_town.connection, own + 1, 1) is None
    assert issued_content(issuing_town.connection, own, 99) is None
