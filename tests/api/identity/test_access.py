"""Who gets in: every route asks for a key or a session, and neither opens another utility's rows."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from starlette.routing import Mount, Route

from api.web.app import create_app
from api.web.settings import ApiSettings, SettingsError, kept_session_secret
from store.access.api_keys import revoke, verify
from tests.api.conftest import Clock, sign_in
from tests.api.seeding import PERIOD, Seeded

OPEN = {
    ("GET", "/health"),
    ("GET", "/sign-in"),
    ("POST", "/sign-in"),
    ("GET", "/sign-in/start"),
    ("GET", "/sign-in/provider"),
    ("GET", "/problems"),
    ("GET", "/problems/forbidden"),
}


def api_routes(app: FastAPI) -> list[APIRoute]:
    """The app's own routes, those of included routers too."""
    found: list[APIRoute] = []

    def walk(routes: Iterable[Any]) -> None:
        for route in routes:
            if isinstance(route, APIRoute):
                found.append(route)
            elif inner := getattr(getattr(route, "original_router", None), "routes", None):
                walk(inner)
            else:
                assert isinstance(route, Mount), f"an unknown kind of route: {route!r}"
                assert not isinstance(route, Route)
                assert route.path == "/static"

    walk(app.routes)
    return found


def addresses(app: FastAPI, whose: Seeded) -> Iterator[tuple[str, str]]:
    """(method, address) of every route, with its parameters filled in by what is this utility's."""
    values = {
        "meter_id": whose.meters[0],
        "reading_id": str(whose.bills[0]),
        "period": PERIOD,
        "measured_at": "2026-11-21T17:00:00Z",
        "delivery_id": "1",
        "account": "40001",
        "code": "flat-01-8",
        "run": "1",
        "finding_id": str(whose.finding),
        "edit_id": str(whose.edit),
        "entry_id": str(whose.waiting),
        "request_id": str(whose.request),
        "year": "2026",
        "site": "house-1",
        "problem": "forbidden",
        "file_format": "csv",
        "gateway": "gw-lindenhof",
        "installation_id": str(whose.installations[0]),
        "command_id": "1",
        "version": "1",
    }
    for route in api_routes(app):
        path = re.sub(r"\{(\w+)\}", lambda match: values[match[1]], route.path)
        for method in sorted(route.methods):
            yield method, path


def test_every_route_but_health_and_sign_in_refuses_a_stranger(
    app: FastAPI, anonymous: TestClient, ours: Seeded
) -> None:
    seen = set()
    for method, path in addresses(app, ours):
        if (method, path) in OPEN:
            continue
        seen.add(path)
        answer = anonymous.request(method, path)
        if path.startswith("/v1"):
            assert answer.status_code == 401, (method, path, answer.text)
            assert answer.headers["www-authenticate"] == "Bearer"
        else:
            assert answer.status_code == 303, (method, path, answer.text)
            assert answer.headers["location"].startswith("/sign-in")
    assert len(seen) >= 16


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
def test_a_key_opens_the_api_in_either_header(anonymous: TestClient, ours: Seeded, header: str) -> None:
    value = f"Bearer {ours.key}" if header == "Authorization" else ours.key
    assert anonymous.get("/v1/meters", headers={header: value}).status_code == 200


def test_a_key_in_the_address_opens_nothing(anonymous: TestClient, ours: Seeded) -> None:
    for name in ("key", "api_key", "token", "access_token"):
        assert anonymous.get("/v1/meters", params={name: ours.key}).status_code == 401


def test_a_wrong_or_revoked_key_opens_nothing(
    anonymous: TestClient, ours: Seeded, connection: psycopg.Connection
) -> None:
    for key in (ours.key[:-1], ours.key + "x", "x", "hesper_" + "A" * 43):
        assert anonymous.get("/v1/meters", headers={"X-API-Key": key}).status_code == 401
    found = verify(connection, ours.key)
    assert found is not None
    revoke(connection, found.id)
    connection.commit()
    assert anonymous.get("/v1/meters", headers={"X-API-Key": ours.key}).status_code == 401


def test_a_session_opens_the_pages_and_not_the_api(browser: TestClient) -> None:
    assert browser.get("/").status_code == 200
    assert browser.get("/v1/meters").status_code == 401


def test_a_session_ends_with_its_key(
    browser: TestClient, ours: Seeded, connection: psycopg.Connection
) -> None:
    found = verify(connection, ours.key)
    assert found is not None
    revoke(connection, found.id)
    connection.commit()
    assert browser.get("/").headers["location"] == "/sign-in"


def test_a_session_ends_after_its_hours(browser: TestClient, settings: ApiSettings, clock: Clock) -> None:
    clock.now = clock.now.replace(day=22, hour=23)
    assert browser.get("/").status_code == 303


def test_an_altered_session_opens_nothing(browser: TestClient) -> None:
    token = browser.cookies["hesper-session"]
    other = "A" if token[9] != "A" else "B"
    for forged in (f"{token[:9]}{other}{token[10:]}", token[:-1], f"{token}.", "ž", ""):
        browser.cookies.clear()
        answer = browser.get("/", headers={"Cookie": f"hesper-session={forged}".encode()})
        assert answer.status_code == 303, forged


def test_no_route_shows_another_utilitys_rows(
    app: FastAPI, client: TestClient, ours: Seeded, theirs: Seeded
) -> None:
    sign_in(client, ours.key)
    for method, path in addresses(app, theirs):
        if method != "GET" or (method, path) in OPEN:
            continue
        answer = client.get(path)
        if theirs.meters[0] in path or path.endswith(f"/{theirs.bills[0]}"):
            assert answer.status_code == 404, path
        assert answer.status_code in {200, 303, 403, 404}, (path, answer.text)
        for secret in (theirs.code, "Aqua Beta", *theirs.meters):
            if secret not in path:
                assert secret not in answer.text.replace(path, ""), (path, secret)


def test_an_acknowledgement_counts_the_own_utilitys_rows_only(
    client: TestClient, theirs: Seeded, connection: psycopg.Connection
) -> None:
    highest = connection.execute(
        "select max(id) from billing_readings where utility_id = %s", (theirs.id,)
    ).fetchone()
    assert highest is not None
    answer = client.post(
        f"/v1/billing/{PERIOD}/acknowledgements", json={"cursor": highest[0], "count": 5, "totals": {}}
    )
    assert answer.status_code == 409
    assert answer.json()["ours"] < highest[0]


def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(
    anonymous: TestClient, ours: Seeded, settings: ApiSettings
) -> None:
    sign_in(anonymous, ours.key)
    secure = ApiSettings(settings.database_url, settings.session_secret)
    with TestClient(create_app(secure), base_url="https://hesper.test", follow_redirects=False) as client:
        form = client.get("/sign-in")
        token = form.text.split('name="form_token" value="')[1].split('"')[0]
        answer = client.post("/sign-in", data={"key": ours.key, "form_token": token})
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-hesper-session=")
        for attribute in ("HttpOnly", "SameSite=lax", "Secure", "Path=/"):
            assert attribute in cookie
        assert ours.key not in cookie
        assert "max-age=31536000" in answer.headers["strict-transport-security"]


@pytest.mark.parametrize("path", ["/sign-in", "/sign-out", "/account/password", "/account/utility"])
def test_a_form_that_is_not_ours_is_refused(browser: TestClient, ours: Seeded, path: str) -> None:
    answer = browser.post(path, data={"key": ours.key, "form_token": "A" * 43})
    assert answer.status_code == 403
    form = browser.get("/sign-in").text
    token = form.split('name="form_token" value="')[1].split('"')[0]
    cross = browser.post(
        "/sign-in", data={"key": ours.key, "form_token": token}, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert cross.status_code == 403


def test_signing_out_takes_the_session_away(browser: TestClient) -> None:
    page = browser.get("/").text
    token = page.split('name="form_token" value="')[1].split('"')[0]
    answer = browser.post("/sign-out", data={"form_token": token})
    assert answer.headers["location"] == "/sign-in"
    assert browser.get("/").status_code == 303


def test_sign_in_leads_back_to_the_page_but_never_to_another_site(
    anonymous: TestClient, ours: Seeded
) -> None:
    asked = anonymous.get("/months/2026-10?after=x")
    assert asked.headers["location"] == "/sign-in?next=/months/2026-10%3Fafter%3Dx"
    for wanted, reached in {
        "/months/2026-10": "/months/2026-10",
        "//evil.example": "/",
        "/\\evil.example": "/",
        "https://evil.example": "/",
        "javascript:alert(1)": "/",
        "/ok\r\nX: y": "/",
    }.items():
        anonymous.cookies.clear()
        form = anonymous.get("/sign-in").text
        token = form.split('name="form_token" value="')[1].split('"')[0]
        answer = anonymous.post("/sign-in", data={"key": ours.key, "form_token": token, "next": wanted})
        assert answer.headers["location"] == reached


def test_too_many_wrong_keys_have_to_wait(anonymous: TestClient, ours: Seeded, clock: Clock) -> None:
    form = anonymous.get("/sign-in").text
    token = form.split('name="form_token" value="')[1].split('"')[0]

    def attempt(key: str) -> int:
        return anonymous.post("/sign-in", data={"key": key, "form_token": token}).status_code

    assert [attempt(f"hesper_{number}") for number in range(10)] == [401] * 10
    assert attempt(ours.key) == 429
    clock.now = clock.now.replace(minute=clock.now.minute + 6)
    assert attempt(ours.key) == 303


def test_a_page_that_refreshes_itself_is_sent_to_sign_in_as_a_whole(anonymous: TestClient) -> None:
    answer = anonymous.get("/", headers={"HX-Request": "true"})
    assert answer.status_code == 401
    assert answer.headers["hx-redirect"] == "/sign-in"


def test_a_short_session_secret_is_refused_and_a_kept_one_is_kept(
    tmp_path: Path, settings: ApiSettings
) -> None:
    with pytest.raises(SettingsError, match="at least 32"):
        ApiSettings(settings.database_url, b"secret")
    path = tmp_path / "data" / "session-secret"
    first = kept_session_secret(path)
    assert len(first) == 32
    assert kept_session_secret(path) == first
    assert path.stat().st_mode & 0o077 == 0
    assert list(path.parent.iterdir()) == [path]
    assert first.hex() not in repr(ApiSettings(settings.database_url, first))


def test_health_is_open_and_tells_nothing(anonymous: TestClient) -> None:
    answer = anonymous.get("/health")
    assert answer.status_code == 200
    assert answer.json().keys() == {"status", "database", "version"}
    assert answer.json()["database"] == "ok"
