"""Messages over the API: both sides' count and sums, and the statement of an account."""

from decimal import Decimal
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient

from store.delivery import destinations, outbox
from store.delivery.outbox import put
from tests.api.conftest import Clock
from tests.api.seeding import PERIOD, Seeded, correct


@pytest.fixture
def message(connection: psycopg.Connection, ours: Seeded, clock: Clock) -> outbox.MessageRow:
    """The month of the utility in one message, delivered."""
    url = "https://billing.example/in?token=t"
    destinations.add(connection, ours.code, url, "whsec_x", "anna", allow_private=False)
    row = connection.execute("select id from closes where utility_id = %s", (ours.id,)).fetchone()
    assert row is not None
    assert put(connection, row[0]) == 1
    claimed = outbox.claim(connection, clock.now.replace(year=2030))
    assert claimed is not None
    outbox.mark_delivered(connection, claimed, clock.now)
    connection.commit()
    found = outbox.message(connection, claimed.id)
    assert found is not None
    return found


def sums(client: TestClient, message: outbox.MessageRow) -> dict[str, str]:
    sent: dict[str, str] = client.get(f"/v1/deliveries/{message.id}").json()["sent"]["totals"]
    return sent


def acknowledge(client: TestClient, message: outbox.MessageRow, count: int, totals: dict[str, str]) -> Any:
    return client.post(
        f"/v1/deliveries/{message.id}/acknowledgements", json={"count": count, "totals": totals}
    )


def test_messages_are_listed_without_secrets(client: TestClient, message: outbox.MessageRow) -> None:
    answer = client.get("/v1/deliveries", params={"state": "delivered", "period": PERIOD})
    (listed,) = answer.json()["deliveries"]
    assert listed["message"] == f"msg_{message.message_id.hex}"
    assert listed["destination"] == "https://billing.example/in"
    assert (listed["readings"], listed["state"]) == (5, "delivered")
    for secret in ("whsec", "token"):
        assert secret not in answer.text
    assert client.get("/v1/deliveries", params={"state": "dead"}).json()["deliveries"] == []


def test_an_acknowledgement_with_our_totals_is_taken(client: TestClient, message: outbox.MessageRow) -> None:
    answer = acknowledge(client, message, 5, sums(client, message))
    assert answer.status_code == 201, answer.text
    shown = client.get(f"/v1/deliveries/{message.id}").json()
    assert (shown["state"], shown["acknowledged"]["accepted"], shown["differences"]) == (
        "acknowledged",
        True,
        {},
    )


def test_one_with_other_totals_is_refused_and_both_sides_are_kept(
    client: TestClient, message: outbox.MessageRow
) -> None:
    theirs = sums(client, message)
    water = theirs["8-0:1.0.0 m3"]
    wrong = theirs | {"8-0:1.0.0 m3": "1"}
    answer = acknowledge(client, message, 4, wrong)
    assert answer.status_code == 409
    assert answer.json()["ours"]["count"] == 5
    shown = client.get(f"/v1/deliveries/{message.id}").json()
    assert (shown["state"], shown["acknowledged"]["accepted"]) == ("delivered", False)
    assert shown["acknowledged"]["totals"] == wrong
    assert shown["differences"] == {"8-0:1.0.0 m3": str(Decimal(water) - 1)}


def test_what_was_not_delivered_cannot_be_acknowledged(
    client: TestClient, message: outbox.MessageRow, connection: psycopg.Connection
) -> None:
    connection.execute("update outbox set state = 'dead'")
    connection.commit()
    assert acknowledge(client, message, 5, sums(client, message)).json()["type"] == "/problems/not-delivered"


def test_another_utility_does_not_see_it(
    client: TestClient, message: outbox.MessageRow, theirs: Seeded
) -> None:
    client.headers["Authorization"] = f"Bearer {theirs.key}"
    assert client.get("/v1/deliveries").json()["deliveries"] == []
    assert client.get(f"/v1/deliveries/{message.id}").status_code == 404
    assert acknowledge(client, message, 5, {}).status_code == 404


def test_the_statement_of_an_account_shows_both_sides_by_month(
    client: TestClient, message: outbox.MessageRow, connection: psycopg.Connection, ours: Seeded
) -> None:
    before = client.get("/v1/accounts/40001/statement").json()
    assert not before["agreed"]
    assert {line["acknowledged"] for line in before["lines"]} == {None}
    acknowledge(client, message, 5, sums(client, message))
    agreed = client.get("/v1/accounts/40001/statement", params={"from": PERIOD, "to": PERIOD}).json()
    assert agreed["agreed"]
    assert len(agreed["lines"]) == 3

    correct(connection, ours, by=500_000)
    corrected = client.get("/v1/accounts/40001/statement").json()
    differing = [line for line in corrected["lines"] if line["difference"] != "0"]
    assert [line["difference"] for line in differing] == ["0.5"]
    assert "changes version 1 by 0.5 m3" in " ".join(differing[0]["remarks"])
    assert [total["difference"] for total in corrected["totals"] if total["register"] == "8-0:1.0.0 m3"] == [
        "0.5"
    ]


def test_an_exclusion_is_part_of_the_statement(client: TestClient) -> None:
    lines = client.get("/v1/accounts/40002/statement", params={"from": PERIOD, "to": PERIOD}).json()["lines"]
    (left_out,) = [line for line in lines if line["issued"] is None]
    assert left_out["remarks"][0].startswith("left out of accounting")


def test_a_statement_has_bounds(client: TestClient) -> None:
    for span in ({"from": "2026-11", "to": "2026-10"}, {"from": "1999-01", "to": "2026-10"}, {"from": "x"}):
        assert client.get("/v1/accounts/40001/statement", params=span).status_code == 422
