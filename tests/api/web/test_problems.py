"""Every error is a problem document (RFC 9457) that says what to do next."""

import psycopg
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests.api.seeding import Seeded


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nowhere", 404),
        ("GET", "/v1/meters/KAM-00000000", 404),
        ("DELETE", "/v1/meters", 405),
        ("GET", "/v1/meters?limit=0", 422),
        ("GET", "/v1/billing/2026-13", 422),
        ("GET", "/v1/meters?q=%00", 422),
        ("GET", "/nowhere", 404),
        ("GET", "/static/../app.py", 404),
        ("GET", "/static/nowhere.js", 404),
    ],
)
def test_errors_are_problem_documents(client: TestClient, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["type"].startswith("/problems/")
    assert problem["title"]
    assert len(problem["detail"].split()) > 4
    if status == 405:
        assert answer.headers["allow"]


def test_a_request_without_a_key_is_told_how_to_send_one(anonymous: TestClient) -> None:
    problem = anonymous.get("/v1/meters").json()
    assert problem["status"] == 401
    assert "Authorization: Bearer" in problem["detail"]


def test_a_body_over_the_limit_is_refused_whether_or_not_it_says_its_size(client: TestClient) -> None:
    path = "/v1/billing/2026-10/acknowledgements"
    assert client.post(path, content=b"x" * 70_000).status_code == 413
    chunked = client.post(path, content=(b"x" * 10_000 for _ in range(8)))
    assert chunked.status_code == 413
    assert chunked.headers["content-type"] == "application/problem+json"
    assert chunked.headers["x-content-type-options"] == "nosniff"


@pytest.mark.expects_log("unexpected error")
@pytest.mark.expects_log("boom of the inside")
def test_a_fault_of_ours_tells_nothing_of_the_inside(app: FastAPI, client: TestClient) -> None:
    @app.get("/v1/broken")
    def broken() -> None:
        raise RuntimeError("boom of the inside")

    answer = client.get("/v1/broken")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "boom" not in answer.text


@pytest.mark.expects_log("a query took too long")
def test_a_question_that_takes_too_long_is_a_503(app: FastAPI, client: TestClient) -> None:
    @app.get("/v1/slow")
    def slow() -> None:
        raise psycopg.errors.QueryCanceled("canceling statement due to statement timeout")

    answer = client.get("/v1/slow")
    assert answer.status_code == 503
    assert "shorter time" in answer.json()["detail"]
    assert answer.headers["retry-after"] == "5"


def test_a_person_sees_an_error_as_a_page(browser: TestClient, ours: Seeded) -> None:
    answer = browser.get("/meters/KAM-00000000", headers={"Accept": "text/html"})
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert "The overview lists the meters" in answer.text
