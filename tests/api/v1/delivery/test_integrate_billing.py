"""The examples of docs/integrate-billing.md run as they are printed there, against the API and the worker."""

import json
import random
import re
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import psycopg
import pytest
from fastapi import FastAPI

from ingest.delivery.post import PostAnswer
from ingest.delivery.signature import new_secret
from ingest.delivery.worker import Courier
from store.delivery import destinations, outbox
from tests.api.seeding import PERIOD, Seeded, correct
from tests.support.browsing import serving

DOCUMENT = Path(__file__).resolve().parents[4] / "docs" / "integrate-billing.md"


@pytest.fixture
def example() -> dict[str, Any]:
    """What the Python examples of the document define."""
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL):
        exec(compile(block, str(DOCUMENT), "exec"), names)
    return names


def test_a_month_is_pulled_acknowledged_and_later_corrected(
    app: FastAPI,
    ours: Seeded,
    connection: psycopg.Connection,
    example: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving(app) as url:
        monkeypatch.setenv("HESPER_URL", url)
        monkeypatch.setenv("HESPER_KEY", ours.key)
        held: dict[Any, Any] = {}
        cursor = example["take"](PERIOD, held)
        assert len(held) == 5
        assert example["acknowledge"](PERIOD, held, cursor)["count"] == 5
        with pytest.raises(HTTPError, match="409") as caught:
            example["acknowledge"](PERIOD, dict(list(held.items())[1:]), cursor)
        caught.value.close()
        correct(connection, ours, by=1)
        again = example["take"](PERIOD, held, cursor)
        assert again > cursor
        assert len(held) == 5
        assert sorted({reading["version"] for reading in held.values()}) == [1, 2]
        assert example["acknowledge"](PERIOD, held, again)["cursor"] == again


def test_the_client_keeps_books_that_survive_and_takes_corrections_alone(
    app: FastAPI, ours: Seeded, connection: psycopg.Connection, example: dict[str, Any], tmp_path: Path
) -> None:
    with serving(app) as url:
        books = str(tmp_path / "books.sqlite")
        assert example["monthly"](url, ours.key, books, PERIOD) == (5, None)
        assert example["monthly"](url, ours.key, books, PERIOD) == (0, None)
        correct(connection, ours, by=1)
        assert example["monthly"](url, ours.key, books, PERIOD) == (1, None)
        with sqlite3.connect(books) as kept:
            held = kept.execute("select version, details from readings order by version").fetchall()
            kept.execute("update readings set consumption = '1' where version = 2")
        kept.close()
        assert [version for version, _ in held] == [1, 1, 1, 1, 2]
        came, said = example["monthly"](url, ours.key, books, PERIOD)
        assert came == 0
        assert "What you hold differs" in said
    row = connection.execute("select count(*), max(cursor) from billing_acknowledgements").fetchone()
    assert row == (3, int(held[-1][1].rpartition("/")[2]))


def test_messages_are_received_verified_and_taken_once(
    ours: Seeded, connection: psycopg.Connection, example: dict[str, Any]
) -> None:
    secret, taken, statuses = new_secret(), dict[str, Any](), list[int]()

    def send(url: str, headers: Mapping[str, str], body: bytes, *, allow_private: bool) -> PostAnswer:
        fields = {name.lower(): value for name, value in headers.items()}
        assert example["receive"](fields, body.replace(b'"31', b'"32') + b" ", secret, taken) == 401
        assert example["receive"](fields, body, new_secret(), taken) == 401
        statuses.append(example["receive"](fields, body, secret, taken))
        return PostAnswer(500 if len(statuses) == 1 else statuses[-1])  # the first confirmation is lost

    url = "https://billing.example/"
    number = destinations.add(connection, ours.code, url, secret, "anna", allow_private=False)
    outbox.put_closed(connection, number, PERIOD)
    connection.commit()
    courier = Courier(send, lambda: datetime.now(UTC), random.Random(1))
    assert courier.step(connection)
    connection.execute("update outbox set due_at = now(); update destinations set resting_until = null")
    connection.commit()
    assert courier.step(connection)
    assert statuses == [204, 204]
    (message,) = taken.values()
    assert message["data"]["count"] == len(message["data"]["readings"]) == 5
    pulled = json.dumps(message["data"]["readings"][0])
    assert "whsec" not in pulled


def test_what_is_pushed_reads_like_what_is_pulled(
    ours: Seeded, client: Any, connection: psycopg.Connection
) -> None:
    came: list[bytes] = []

    def send(url: str, headers: Mapping[str, str], body: bytes, *, allow_private: bool) -> PostAnswer:
        came.append(body)
        return PostAnswer(200)

    url = "https://billing.example/"
    number = destinations.add(connection, ours.code, url, new_secret(), "anna", allow_private=False)
    outbox.put_closed(connection, number, PERIOD)
    connection.execute(
        """
        update billing_readings b set account = p.account
        from service_points p where p.id = b.service_point_id
        """
    )
    connection.commit()
    assert Courier(send, lambda: datetime.now(UTC), random.Random(1)).step(connection)
    pushed = json.loads(came[0])["data"]["readings"]
    pulled = client.get(f"/v1/billing/{PERIOD}").json()["readings"]
    for reading in pulled:
        del reading["service_point"]["name"]  # a registry may change it: it is in no message
    assert pushed == pulled
