"""A billed figure leads down to its readings and telegrams, for programs and for people."""

import hashlib
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient

from api.words.language import english
from metering.access import Scope
from store.access.api_keys import issue
from store.validation.edits import Action, Edit
from store.validation.edits import add as add_edit
from tests.api.conftest import sign_in
from tests.api.seeding import Seeded
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


@pytest.fixture
def person(town: Town, anonymous: TestClient) -> TestClient:
    sign_in(anonymous, _key(town))
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


def words(page: str) -> str:
    """The text of a page, its white space collapsed."""
    return " ".join(re.sub(r"<[^>]+>", " ", page.replace("\u202f", " ")).split())


def test_the_month_page_leads_to_the_figure_in_words_down_to_the_bytes(person: TestClient) -> None:
    month = person.get("/months/2026-10").text
    (path,) = set(re.findall(r'href="(/billing/\d+)"', month))
    page = person.get(path)
    assert page.status_code == 200, page.text
    text = words(page.text)
    assert f'href="{path}"' in person.get("/meters/AAA-1").text
    assert "How 31.25 m³ comes about" in text
    assert "runs from 1 Oct 2026, 00:00 (+02:00) to 1 Nov 2026, 00:00 (+01:00)" in text
    assert "AAA-1 : 100.5 m³ → 131.75 m³ = 31.25 m³" in text
    assert "The nearest usable reading, 1 h before this instant." in text
    assert "A reading at this very instant." in text
    assert "68 0f 0f 68 08 01 72 78" in text
    assert "batch 4711 of test" in text
    assert "boris closed the month" in text
    assert "The row is as it was issued" in text


def test_edits_are_told_with_their_author_and_reason(person: TestClient, town: Town) -> None:
    edit = Edit(town.registers["AAA-1"], START + 5 * DAY, Action.EXCLUDE, "carla", "The lid was open.")
    add_edit(town.connection, edit)
    town.connection.commit()
    page = person.get("/billing/2").text
    assert 'data-edit="exclude"' in page
    assert "The lid was open." in words(page)
    assert "carla" in words(page)


def test_who_may_not_read_telegrams_sees_no_bytes(anonymous: TestClient, town: Town) -> None:
    key = issue(town.connection, UTILITY, "looks", scopes={Scope.BILLING_READ})
    town.connection.commit()
    sign_in(anonymous, key)
    page = anonymous.get("/billing/2").text
    assert "68 0f 0f 68" not in page
    assert "telegrams:read" in page


def test_the_page_of_a_superseded_version_leads_to_the_one_that_holds(person: TestClient, town: Town) -> None:
    first, second = (
        row[0] for row in town.connection.execute("select id from billing_readings order by version")
    )
    page = person.get(f"/billing/{first}").text
    assert f'data-superseded>This version was corrected: <a href="/billing/{second}">' in page
    text = words(page)
    assert "On the straight line from the last usable reading before to the first one after." in text
    assert "reading the nearest is 22 h away, the tolerance is 2 h" in text
    assert "data-superseded" not in person.get(f"/billing/{second}").text


def test_the_page_of_an_altered_row_warns(person: TestClient, town: Town) -> None:
    town.connection.execute("update billing_readings set end_value = 1")
    town.connection.commit()
    page = person.get("/billing/1").text
    assert "data-altered" in page
    assert "The row is as it was issued" not in page


def test_an_exchange_a_rollover_and_a_transformer_are_told(person: TestClient, town: Town) -> None:
    swap = OCTOBER + 40 * DAY
    readings = {START + n * DAY: str(round(970 + n * 0.5) % 1000) for n in range(50, 100)}
    town.meter("BBB-2", {swap: "990", **readings}, digits=3)
    town.connection.execute("update installations set valid_to = %s where id = 1", (swap,))
    town.connection.execute("update installations set service_point_id = 1, multiplier = 40 where id = 2")
    town.connection.execute(
        """update installations set start_values = '{"8-0:1.0.0": 990000000}' where id = 2"""
    )
    town.connection.commit()
    town.close("2026-11")
    town.close("2026-12")
    told = {period: person.get(path).text for period, path in _bills(town).items()}
    november, december = words(told["2026-11"]), words(told["2026-12"])
    assert "Together" in november
    assert "Written down by the person who installed or removed the meter." in november
    assert "times 40 for its transformers" in november
    assert "past the top of its register at 1 000 m³" in november + december


def _bills(town: Town) -> dict[str, str]:
    rows = town.connection.execute("select period, id from billing_readings order by id").fetchall()
    town.connection.commit()
    return {period: f"/billing/{reading}" for period, reading in rows}


def test_hostile_names_are_shown_as_text(
    browser: TestClient, ours: Seeded, connection: psycopg.Connection
) -> None:
    hostile = "\"'><script>alert(1)</script>{{7*7}}"
    connection.execute("update service_points set name = %s, account = %s", (hostile, hostile))
    connection.execute("update closes set author = %s", (hostile,))
    connection.commit()
    page = browser.get(f"/billing/{ours.bills[0]}").text
    assert "&lt;script&gt;alert" in page
    assert "<script>alert" not in page
    assert "style=" not in page


@pytest.mark.parametrize(
    ("length", "told"),
    [
        (timedelta(seconds=40), "40 s"),
        (timedelta(minutes=12, seconds=9), "12 min"),
        (timedelta(hours=3, minutes=5), "3 h 5 min"),
        (timedelta(days=1), "1 day"),
        (timedelta(days=2, hours=4, minutes=59), "2 days 4 h"),
    ],
)
def test_a_distance_is_told_in_two_units_at_most(length: timedelta, told: str) -> None:
    assert english().duration(length) == told
