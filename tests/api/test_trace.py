"""A billed figure leads down to its readings and telegrams: closes of a small town, as programs see them."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient

from store.api_keys import issue
from tests.support.town import UTILITY, Town

OCTOBER = datetime(2026, 9, 30, 22, tzinfo=UTC)  # local midnights in Madrid
NOVEMBER = datetime(2026, 10, 31, 23, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RAW = bytes.fromhex("680f0f68080172785634122d2c010716000000001316")
START = OCTOBER - HOUR  # when the reading nearest to the first boundary was taken


@pytest.fixture
def town(connection: psycopg.Connection) -> Town:
    """A meter read daily, an hour before midnight, and not on the last day of October; two versions."""
    town = Town(connection)
    readings = {START + n * DAY: f"{100 + n}.5" for n in range(-10, 50) if n != 31}
    town.meter("AAA-1", readings)
    connection.execute(
        """
        insert into telegrams (meter_id, measured_at, gateway_id, epoch, batch, raw)
        select m.id, %s, g.id, 'life', 4711, %s from meters m join gateways g using (utility_id)
        """,
        (START, RAW),
    )
    town.close("2026-10", author="anna")
    town.read("AAA-1", {NOVEMBER: "131.75"})
    town.close("2026-10", author="boris")
    return town


@pytest.fixture
def programme(town: Town, anonymous: TestClient) -> TestClient:
    anonymous.headers["Authorization"] = f"Bearer {_key(town)}"
    return anonymous


def _key(town: Town) -> str:
    key = issue(town.connection, UTILITY, "billing")
    town.connection.commit()
    return key


def details(programme: TestClient, version: int) -> dict[str, Any]:
    rows = programme.get("/v1/billing/2026-10").json()["readings"]
    answer = programme.get(rows[version - 1]["details"])
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert {name: found[name] for name in rows[version - 1]} == rows[version - 1]
    return found


def test_a_billed_figure_leads_to_the_telegram_behind_it(programme: TestClient) -> None:
    (part,) = details(programme, 1)["evidence"]["installations"]
    (reading,) = part["start"]["readings"]
    assert (reading["at"], reading["value"]) == ("2026-09-30T21:00:00Z", "100.5")
    telegram = programme.get(reading["telegram"]).json()
    assert (telegram["raw"], telegram["batch"]) == (RAW.hex(), 4711)
    assert [each["telegram"] for each in part["end"]["readings"]] == [None, None], "those were imported"


def test_each_boundary_says_how_it_was_found_and_why_not_better(programme: TestClient) -> None:
    (part,) = details(programme, 1)["evidence"]["installations"]
    assert part["meter"] == "AAA-1"
    assert (part["start"]["method"], part["end"]["method"]) == ("reading", "interpolation")
    assert [each["value"] for each in part["end"]["readings"]] == ["130.5", "132.5"]
    assert part["end"]["passed_over"] == [
        "set_day: the meter's own value for this instant is not there",
        "reading: the nearest is 22 h away, the tolerance 2 h",
    ]


def test_the_hash_can_be_computed_from_the_content_that_is_given(programme: TestClient) -> None:
    found = details(programme, 2)
    assert hashlib.sha256(found["content"].encode()).hexdigest() == found["content_hash"]
    content = json.loads(found["content"])
    assert content["consumption"] == found["consumption"]
    assert content["evidence"]["installations"][0]["meter"] == "AAA-1"
    assert found["intact"]


def test_a_row_that_was_altered_says_so(programme: TestClient, town: Town) -> None:
    town.connection.execute("update billing_readings set consumption = 1 where version = 1")
    town.connection.commit()
    assert not details(programme, 1)["intact"]
    assert details(programme, 2)["intact"]


def test_every_version_names_the_others_and_who_closed(programme: TestClient) -> None:
    first, second = details(programme, 1), details(programme, 2)
    assert first["versions"] == second["versions"]
    told = [(each["version"], each["close"]["run"], each["close"]["author"]) for each in first["versions"]]
    assert told == [(1, 1, "anna"), (2, 2, "boris")]
    assert [each["details"] for each in first["versions"]] == [first["details"], second["details"]]
    assert (first["close"]["author"], second["close"]["author"]) == ("anna", "boris")


def test_what_is_not_there_is_not_found(programme: TestClient) -> None:
    assert programme.get("/v1/billing-readings/999999").status_code == 404
    assert programme.get("/v1/billing-readings/0").status_code == 422
    assert programme.get("/v1/billing-readings/x").status_code == 422
