"""What all of `/v1` has in common: sparse fields, ETags, idempotency keys, problems, a description."""

import ast
import threading
import uuid
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import jsonschema_rs
import psycopg
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.v1.routing import ResourceRoute
from api.web.problem_types import TYPES
from store.access.api_keys import issue
from store.access.idempotency import claim
from tests.api.identity.test_access import api_routes
from tests.api.seeding import PERIOD, Seeded

_CHANGES = {"POST", "PUT", "PATCH", "DELETE"}
_ITS_OWN_KEYS = {"/v1/service-points/{code}/readings"}  # kept for ever, with what was refused


@pytest.fixture
def description(client: TestClient) -> dict[str, Any]:
    document: dict[str, Any] = client.get("/v1/openapi.json").json()
    return document


def _operations(description: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def test_the_description_is_openapi_3_1_with_names_that_generators_can_use(
    description: dict[str, Any],
) -> None:
    assert description["openapi"].startswith("3.1.")
    named = set()
    for method, path, operation in _operations(description):
        assert operation["operationId"].isidentifier(), operation["operationId"]
        assert operation["operationId"] not in named
        named.add(operation["operationId"])
        assert operation["summary"], (method, path)
        assert len(operation["tags"]) == 1, (method, path)
    told = {tag["name"] for tag in description["tags"]}
    assert {operation["tags"][0] for _, _, operation in _operations(description)} == told
    for schema in description["components"]["schemas"].values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})


def test_a_meter_is_answered_with_the_fields_that_were_asked_for(client: TestClient, ours: Seeded) -> None:
    for path in ("/v1/meters", f"/v1/meters/{ours.meters[0]}"):
        answer = client.get(path, params={"fields": "model, site"}).json()
        meter = answer["meters"][0] if "meters" in answer else answer
        assert meter.keys() == {"id", "model", "site"}
        assert meter["site"] == {"code": "house-1", "name": "Lindenhof 7"}
        refused = client.get(path, params={"fields": "id,colour"})
        assert refused.status_code == 422
        assert "'colour'" in refused.json()["detail"]
        assert "verified_until" in refused.json()["detail"]


def test_a_detail_is_not_sent_twice(client: TestClient, ours: Seeded, connection: psycopg.Connection) -> None:
    path = f"/v1/meters/{ours.meters[0]}"
    first = client.get(path)
    tag = first.headers["etag"]
    assert tag.startswith('"')
    for sent in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        again = client.get(path, headers={"If-None-Match": sent})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert client.get(path, params={"fields": "model"}).headers["etag"] == tag
    connection.execute("update meters set model = 'another' where code = %s", (ours.meters[0],))
    connection.commit()
    changed = client.get(path, headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag


def test_the_use_of_a_key_is_noted_when_nothing_was_sent(
    client: TestClient, ours: Seeded, connection: psycopg.Connection
) -> None:
    path = f"/v1/meters/{ours.meters[0]}"
    tag = client.get(path).headers["etag"]
    connection.execute("update api_keys set last_used_at = null")
    connection.commit()
    assert client.get(path, headers={"If-None-Match": tag}).status_code == 304
    used = connection.execute(
        "select last_used_at is not null from api_keys where utility_id = %s", (ours.id,)
    )
    assert used.fetchone() == (True,)


def _acknowledge(client: TestClient, ours: Seeded, key: str, *, count: int | None = None) -> Any:
    pulled = client.get(f"/v1/billing/{PERIOD}").json()
    totals: dict[str, float] = {}
    for row in pulled["readings"]:
        name = f"{row['obis']} {row['unit']}"
        totals[name] = round(totals.get(name, 0) + float(row["consumption"]), 6)
    taken = {
        "cursor": ours.bills[-1],
        "count": len(ours.bills) if count is None else count,
        "totals": {name: f"{total:.6f}" for name, total in totals.items()},
    }
    return client.post(f"/v1/billing/{PERIOD}/acknowledgements", json=taken, headers={"Idempotency-Key": key})


def _acknowledgements(connection: psycopg.Connection) -> int:
    row = connection.execute("select count(*) from billing_acknowledgements").fetchone()
    connection.commit()
    assert row is not None
    return int(row[0])


def test_a_change_that_is_repeated_with_its_key_is_made_once_and_answered_the_same(
    client: TestClient, ours: Seeded, connection: psycopg.Connection
) -> None:
    key = str(uuid.uuid4())
    first, again = _acknowledge(client, ours, key), _acknowledge(client, ours, key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    assert first.headers["content-type"] == again.headers["content-type"]
    assert again.headers["idempotency-replayed"] == "true"
    assert _acknowledgements(connection) == 1
    assert _acknowledge(client, ours, str(uuid.uuid4())).status_code == 201
    assert _acknowledgements(connection) == 2


def test_a_key_is_for_one_request_and_for_whoever_sent_it(
    client: TestClient, ours: Seeded, connection: psycopg.Connection
) -> None:
    assert _acknowledge(client, ours, "mine").status_code == 201
    other = _acknowledge(client, ours, "mine", count=1)
    assert (other.status_code, other.json()["type"]) == (422, "/problems/idempotency-key-reused")
    client.headers["Authorization"] = f"Bearer {issue(connection, 'alpha', 'another')}"
    connection.commit()
    assert _acknowledge(client, ours, "mine").status_code == 201
    assert _acknowledgements(connection) == 2


def test_a_refused_change_may_be_mended_and_sent_with_its_key(
    client: TestClient, ours: Seeded, connection: psycopg.Connection
) -> None:
    assert _acknowledge(client, ours, "mine", count=1).status_code == 409
    assert _acknowledge(client, ours, "mine").status_code == 201


def test_a_key_is_forgotten_after_a_day(
    client: TestClient, ours: Seeded, connection: psycopg.Connection
) -> None:
    assert _acknowledge(client, ours, "mine").status_code == 201
    connection.execute("update idempotency_keys set at = at - interval '24 hours'")
    connection.commit()
    assert _acknowledge(client, ours, "mine").status_code == 201
    assert _acknowledgements(connection) == 2
    assert connection.execute("select count(*) from idempotency_keys").fetchone() == (1,)


def test_a_repetition_while_the_first_is_worked_on_is_told_to_wait(
    client: TestClient, ours: Seeded, connection: psycopg.Connection
) -> None:
    key_id = connection.execute("select id from api_keys where utility_id = %s", (ours.id,)).fetchone()
    assert key_id
    assert claim(connection, ours.id, f"key {key_id[0]}", "mine") is None  # as the first request did
    waiting = _acknowledge(client, ours, "mine")
    assert (waiting.status_code, waiting.json()["type"]) == (409, "/problems/request-in-flight")
    assert waiting.headers["retry-after"] == "1"
    connection.rollback()
    assert _acknowledge(client, ours, "mine").status_code == 201


def test_of_the_same_request_many_times_at_once_one_is_made(
    client: TestClient, ours: Seeded, connection: psycopg.Connection
) -> None:
    answers: list[Any] = []
    threads = [
        threading.Thread(target=lambda: answers.append(_acknowledge(client, ours, "mine"))) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    assert _acknowledgements(connection) == 1


@pytest.mark.expects_log("unexpected error")
@pytest.mark.expects_log("broke")
def test_the_answer_is_kept_with_the_change_or_neither_is(
    client: TestClient, ours: Seeded, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: Any, **_kwargs: Any) -> None:
        raise RuntimeError("broke before the commit")

    with monkeypatch.context() as patched:
        patched.setattr("store.access.idempotency.keep", broken)
        assert _acknowledge(client, ours, "mine").status_code == 500
    assert _acknowledgements(connection) == 0
    assert _acknowledge(client, ours, "mine").status_code == 201
    assert _acknowledgements(connection) == 1


def test_every_change_of_v1_takes_an_idempotency_key_or_says_what_it_is_a_change_of(
    app: FastAPI, description: dict[str, Any]
) -> None:
    assert all(
        isinstance(route, ResourceRoute)
        for route in api_routes(app)
        if route.path.startswith("/v1/") and route.methods & _CHANGES
    )
    for method, path, operation in _operations(description):
        if method in _CHANGES and path not in _ITS_OWN_KEYS:
            headers = {
                one["name"].lower() for one in operation.get("parameters", []) if one["in"] == "header"
            }
            assert headers & {"idempotency-key", "if-match"}, (method, path)


def test_every_problem_that_the_code_names_is_in_the_catalogue_and_each_of_that_is_named() -> None:
    named = set()
    root = Path(__file__).parents[3]
    for path in chain((root / "api").rglob("*.py"), (root / "metering").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            position = {"Problem": 1, "SubmissionRefusal": 0}.get(node.func.id)
            if position is None or len(node.args) <= position:
                continue
            name = node.args[position]
            if isinstance(name, ast.Constant) and name.value:
                named.add(name.value)
    assert named - set(TYPES) == set()
    assert set(TYPES) - named == {"bad-request", "method-not-allowed"}  # those that the framework raises


def test_the_type_of_a_problem_leads_to_what_it_means(client: TestClient) -> None:
    problem = client.get("/v1/meters/KAM-00000000").json()
    client.headers.pop("Authorization")
    told = client.get(problem["type"])
    assert told.headers["content-type"] == "application/json"
    assert told.json()["title"] == problem["title"] == "Not found"
    assert told.json()["remedy"]
    page = client.get(problem["type"], headers={"Accept": "text/html"})
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["vary"].startswith("Accept")
    assert "Not found" in page.text
    assert {one["type"] for one in client.get("/problems").json()["problems"]} == {
        f"/problems/{name}" for name in TYPES
    }
    assert 'href="/problems/window-closed"' in client.get("/problems", headers={"Accept": "text/html"}).text
    assert client.get("/problems/nothing").status_code == 404
