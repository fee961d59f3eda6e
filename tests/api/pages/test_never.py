"""What must never happen (domain/security.md), by the number of its sentence: what API and pages can tell.

Sentences 1 to 3 and 11 are about gateways and messages, 8 about webhooks.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from psycopg.errors import CheckViolation

import api
from api.identity.authentication import Requires
from api.web.settings import ApiSettings, SettingsError
from metering.access import ROLES_OF, Scope, UserRole, scopes_of
from store import audit
from store.access.api_keys import issue
from store.audit import Head
from store.postgres.roles import Role, assume, enter_utility
from store.validation.rule_parameters import set_parameter
from tests.api.conftest import Clock
from tests.api.identity.test_access import OPEN, addresses, api_routes
from tests.api.people import PASSWORD, enrol, open_session, person, post_sign_in
from tests.api.seeding import NOW, PERIOD, Seeded, insert

TEMPLATES = Path(api.__file__).parent / "pages"
# What would be a change of one's own, by the end of the address; elsewhere a reason is enough.
CHANGES = {"verifications": {"verified_on": "2026-01-01", "valid_until": "2030-01-01", "reason": "r"}}


@pytest.fixture
def everything(
    anonymous: TestClient, connection: psycopg.Connection, ours: Seeded, clock: Clock
) -> TestClient:
    """A browser signed in as somebody with every role at alpha; its forms' token is in a header."""
    user_id = person(connection, "anna", "alpha", *UserRole)
    enrol(connection, user_id)
    anonymous.headers["X-Form-Token"] = open_session(anonymous, connection, ours.id, user_id, clock.now)
    anonymous.headers["X-API-Key"] = ours.key
    return anonymous


def test_04_a_user_of_one_utility_never_sees_or_changes_anothers_row(
    app: FastAPI, everything: TestClient, theirs: Seeded, connection: psycopg.Connection
) -> None:
    before = connection.execute("select count(*) from billing_acknowledgements").fetchone()
    connection.commit()
    tried = 0
    for method, path in addresses(app, theirs):
        if theirs.meters[0] in path or path.endswith(f"/{theirs.bills[0]}"):
            body = CHANGES.get(path.rpartition("/")[2], {"reason": "r"}) if method != "GET" else None
            assert everything.request(method, path, json=body).status_code in {403, 404}, path
            tried += 1
    assert tried >= 7
    taken = {"cursor": theirs.bills[-1], "count": len(theirs.bills), "totals": {}}
    assert everything.post(f"/v1/billing/{PERIOD}/acknowledgements", json=taken).status_code == 409
    assert connection.execute("select count(*) from billing_acknowledgements").fetchone() == before
    connection.commit()
    try:
        assume(connection, Role.API)  # what a query that forgot its condition would see
        enter_utility(connection, theirs.id)
        for table in ("registers", "billing_readings", "findings", "audit_log", "sessions", "api_keys"):
            seen = connection.execute(f"select distinct utility_id from {table}").fetchall()
            assert seen in ([(theirs.id,)], []), table
    finally:
        connection.rollback()
        connection.execute("reset role")


def test_05_nothing_starts_with_a_default_secret(
    database: str, connection: psycopg.Connection, anonymous: TestClient
) -> None:
    for table in ("users", "api_keys", "sessions"):
        assert connection.execute(f"select count(*) from {table}").fetchone() == (0,)  # table: of this list
    for secret in (b"", b"secret", b"0" * 31):
        with pytest.raises(SettingsError):
            ApiSettings(database, secret)
    shown = repr(ApiSettings(database, b"x" * 32))
    assert "xxx" not in shown
    assert database not in shown
    for login, password in (("admin", "admin"), ("hesper", "hesper"), ("admin", "")):
        assert post_sign_in(anonymous, login=login, password=password).status_code == 401


def test_06_no_token_travels_in_an_address(everything: TestClient, ours: Seeded) -> None:
    token, form = everything.cookies["hesper-session"], everything.headers["X-Form-Token"]
    everything.headers.pop("X-Form-Token")
    for name in ("hesper-session", "session", "token", "form_token", "X-Form-Token"):
        assert everything.post(f"/sign-out?{name}={form}").status_code == 403
    page = everything.get("/account")
    assert token not in page.text
    assert not re.findall(rf'(?:href|action|src)="[^"]*(?:{re.escape(form)}|{ours.key})', page.text)
    everything.cookies.clear()
    for name in ("hesper-session", "session", "token"):
        assert everything.get("/account", params={name: token}).status_code == 303


def test_06_no_session_cookie_without_httponly_samesite_and_secure(
    settings: ApiSettings, ours: Seeded, connection: psycopg.Connection, clock: Clock
) -> None:
    from api.web.app import create_app

    person(connection, "anna", "alpha", UserRole.VIEWER)
    secure = replace(settings, secure_cookies=True)
    with TestClient(
        create_app(secure, clock=clock), base_url="https://hesper.test", follow_redirects=False
    ) as client:
        answers = [client.get("/sign-in"), post_sign_in(client, login="anna", password=PASSWORD)]
        page = client.get("/account").text
        token = page.split('name="form_token" value="')[1].split('"')[0]
        fields = {"form_token": token, "current": PASSWORD, "password": "another passphrase"}
        answers += [client.post("/account/password", data=fields), client.get("/sign-in/start")]
        cookies = [cookie for answer in answers for cookie in answer.headers.get_list("set-cookie")]
        assert len(cookies) >= 4
        for cookie in cookies:
            assert cookie.startswith("__Host-hesper-")
            for attribute in ("HttpOnly", "SameSite=lax", "Secure", "Path=/"):
                assert attribute in cookie, cookie


def test_06_no_form_and_no_unsafe_request_goes_without_its_token(
    app: FastAPI, everything: TestClient
) -> None:
    forms = 0
    for template in TEMPLATES.rglob("*.html"):
        for form in re.findall(
            r'<form method="post".*?</form>', template.read_text(encoding="utf-8"), re.DOTALL
        ):
            assert 'name="form_token" value="{{ form_token }}"' in form, template.name
            forms += 1
    assert forms >= 7
    right = everything.headers.pop("X-Form-Token")
    unsafe = 0
    for route in api_routes(app):
        if route.methods == {"GET"} or route.path.startswith("/v1/") or ("POST", route.path) in OPEN:
            continue
        for wrong in ("", right[:-1], "A" * 43):
            answer = everything.post(route.path, data={"form_token": wrong})
            assert answer.status_code == 403, route.path
            assert answer.json()["type"] == "/problems/form-expired"
        cross = everything.post(
            route.path, data={"form_token": right}, headers={"Sec-Fetch-Site": "cross-site"}
        )
        assert cross.status_code == 403
        unsafe += 1
    assert unsafe >= 6


def _parameters(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for operation in methods.values():
            for parameter in operation.get("parameters", []):
                yield path, parameter["name"], parameter["schema"]


def test_07_no_parameter_is_without_bounds(client: TestClient) -> None:
    seen = 0
    document = client.get("/v1/openapi.json").json()
    for path, name, schema in _parameters(document):
        for one in schema.get("anyOf", [schema]):
            if "$ref" in one:
                one = document["components"]["schemas"][one["$ref"].rpartition("/")[2]]  # noqa: PLW2901
            if one["type"] in {"null", "boolean"}:
                continue
            seen += 1
            if one["type"] == "array":
                assert "maxItems" in one, (path, name)
                one = one["items"]  # noqa: PLW2901
            if one["type"] in {"integer", "number"}:
                assert {"minimum", "maximum"} <= one.keys(), (path, name)
            else:
                assert one.keys() & {"maxLength", "pattern", "enum", "format"}, (path, name)
            if name == "limit":
                assert one["maximum"] <= 5000
                assert schema["default"] <= 500
    assert seen >= 20


def test_07_no_page_range_or_body_is_without_bounds(
    client: TestClient, settings: ApiSettings, ours: Seeded
) -> None:
    assert client.get("/v1/meters?limit=1001").status_code == 422
    readings = f"/v1/meters/{ours.meters[0]}/readings"
    assert client.get(f"{readings}?from=2020-01-01T00:00:00Z").status_code == 422
    body = b"[" + b"0," * settings.max_body_bytes
    assert client.post(f"/v1/billing/{PERIOD}/acknowledgements", content=body).status_code == 413
    assert settings.caller_burst <= 1000
    assert settings.address_burst <= 1000


def _log(connection: psycopg.Connection) -> list[tuple[str, str, str, str]]:
    rows = connection.execute("select actor, action, subject, detail from audit_log order by id").fetchall()
    connection.rollback()
    return [tuple(row) for row in rows]  # type: ignore[misc]  # four columns were asked for


def test_09_every_read_of_personal_data_and_every_change_is_in_the_audit_log(
    app: FastAPI, everything: TestClient, ours: Seeded, connection: psycopg.Connection
) -> None:
    personal = {Scope.READINGS_READ, Scope.TELEGRAMS_READ, Scope.BILLING_READ, Scope.AUDIT_READ}
    scope_of = {
        (method, route.path): one.dependency.scope
        for route in api_routes(app)
        for method in route.methods
        for one in route.dependencies
        if isinstance(one.dependency, Requires)
    }
    noted = 0
    paths = [route.path for route in api_routes(app) for _ in route.methods]
    for pattern, (method, path) in zip(paths, addresses(app, ours), strict=True):
        if (method, pattern) not in scope_of or (method == "POST" and pattern == "/sign-out"):
            continue
        before = len(_log(connection))
        answer = everything.request(method, path, params={"span": "day"})
        after = _log(connection)[before:]
        if answer.status_code >= 400:  # nothing was shown or changed
            continue
        if scope_of[method, pattern] in personal or method != "GET":
            (actor, _action, _subject, detail) = next(row for row in after if row[2] == path)
            assert actor in {"anna", f"key 1 ({ours.code})"} or actor.startswith("key "), actor
            assert json.loads(detail) == {"method": method, "query": {"span": "day"}}
            noted += 1
        elif pattern == "/v1/gateways/{gateway}/commands/{command_id}":  # its reply says what a meter shows
            assert [row[1] for row in after] == ["read personal data"]
        else:
            # an answer of a gateway may hold readings: its route says so itself
            assert all(row[1:3] == ("read personal data", path) for row in after), path
    assert noted >= 10
    chains = audit.verify(connection)
    assert all(isinstance(chain, Head) for chain in chains), chains


def test_09_refusals_and_sign_ins_are_in_the_audit_log_too(
    anonymous: TestClient, connection: psycopg.Connection, ours: Seeded
) -> None:
    person(connection, "anna", "alpha", UserRole.ADMINISTRATOR)
    secret = "my password in the wrong field"
    post_sign_in(anonymous, login=secret, password="x")
    post_sign_in(anonymous, login="anna", password="x")
    post_sign_in(anonymous, login="anna", password=PASSWORD)
    anonymous.get("/findings")
    anonymous.get("/v1/meters", headers={"X-API-Key": "hesper_wrong"})
    assert [(actor, action, subject) for actor, action, subject, _ in _log(connection)[-5:]] == [
        ("nobody", "sign-in refused", "an unknown login"),
        ("nobody", "sign-in refused", "anna"),
        ("anna", "signed in", "/sign-in"),
        ("anna", "refused", "/findings"),
        ("nobody", "refused", "/v1/meters"),
    ]
    whole = str(_log(connection))
    assert secret not in whole
    assert "hesper_wrong" not in whole


def test_09_a_change_that_fails_leaves_no_word_of_it(
    client: TestClient, connection: psycopg.Connection
) -> None:
    before = _log(connection)
    taken = {"cursor": 0, "count": 99, "totals": {}}
    assert client.post(f"/v1/billing/{PERIOD}/acknowledgements", json=taken).status_code == 409
    assert _log(connection) == before


def test_09_an_edit_a_rule_change_a_close_and_an_approval_are_in_the_audit_log(
    client: TestClient, ours: Seeded, connection: psycopg.Connection
) -> None:
    approver = issue(connection, "alpha", "approver", scopes={Scope.BILLING_APPROVE})
    connection.commit()
    noted = {"state": "resolved", "note": "mended"}
    for method, path, body, key in (
        ("POST", "/v1/edits", _edit(ours), ours.key),
        ("POST", f"/v1/edits/{ours.edit}/approval", None, approver),
        ("POST", "/v1/findings/changes", {"ids": [ours.finding], **noted}, ours.key),
        ("POST", f"/v1/closes/{PERIOD}/draft", None, ours.key),
    ):
        answer = client.request(method, path, json=body, headers={"Authorization": f"Bearer {key}"})
        assert answer.is_success, answer.text
    with connection.transaction():
        set_parameter(
            connection,
            ours.id,
            medium=8,
            obis=None,
            name="leak.days",
            value="5",
            valid_from=NOW.date(),
            author="anna",
            reason="old pipes",
        )
        step = {"period": PERIOD, "run": 2, "state": "approved", "author": "zoe"}
        insert(connection, "close_events", utility_id=ours.id, **step)
    told = {subject.partition(" ")[0]: actor for actor, _, subject, _ in _log(connection)}
    assert {"edits", "edit_approvals", "finding_changes", "tasks"} <= told.keys()
    assert (told["rule_parameters"], told["close_events"]) == ("anna", "zoe")
    assert told["edits"] != told["edit_approvals"] != "hesper_api"
    assert "closes" in told


def test_04_no_change_reaches_another_utilitys_finding_edit_or_quarantine(
    client: TestClient, ours: Seeded, theirs: Seeded, connection: psycopg.Connection
) -> None:
    change = {"state": "acknowledged"}
    foreign = client.patch(f"/v1/findings/{theirs.finding}", json=change, headers={"If-Match": "*"})
    assert foreign.status_code == 404
    assert client.post(f"/v1/edits/{theirs.edit}/approval").status_code == 404
    assert client.post("/v1/edits", json=_edit(theirs)).status_code == 404
    assert client.get(f"/v1/quarantine/{theirs.waiting}").status_code == 404
    assert client.get(f"/v1/requests/{theirs.request}").status_code == 404
    connection.commit()
    counts = connection.execute(
        "select (select count(*) from finding_changes), (select count(*) from edit_approvals)"
    ).fetchone()
    assert counts == (0, 0)


def test_07_what_is_changed_at_once_is_bounded(client: TestClient, ours: Seeded) -> None:
    path, change, ids = "/v1/findings/changes", {"state": "acknowledged"}, list(range(1, 1002))
    assert client.post(path, json=change | {"ids": ids[:501]}).status_code == 422
    assert client.post(path, json=change | {"ids": [1], "note": "x" * 2001}).status_code == 422
    task = {"reason": "r", "entries": {"ids": ids}}
    assert client.post("/v1/quarantine/discards", json=task).status_code == 422


def test_10_nobody_approves_their_own_edit_after_the_close(
    client: TestClient, ours: Seeded, connection: psycopg.Connection
) -> None:
    made = client.post("/v1/edits", json=_edit(ours, at=NOW.replace(month=10, minute=0))).json()
    assert made["waits"]
    path = f"/v1/edits/{made['id']}/approval"
    assert client.post(path).status_code == 409  # the key has both rights, and is one person still
    with pytest.raises(CheckViolation), connection.transaction():  # nor past the API
        insert(connection, "edit_approvals", edit_id=made["id"], utility_id=ours.id, author=made["author"])
    other = issue(connection, "alpha", "other", scopes={Scope.BILLING_APPROVE})
    connection.commit()
    approved = client.post(path, headers={"Authorization": f"Bearer {other}"})
    assert (approved.status_code, approved.json()["waits"]) == (201, False)


_LAST_HOUR = NOW.replace(minute=0)


def _edit(whose: Seeded, at: datetime = _LAST_HOUR) -> dict[str, str]:
    return {
        "meter": whose.meters[0],
        "obis": "8-0:1.0.0",
        "measured_at": at.isoformat(),
        "action": "exclude",
        "reason": "seen on site",
    }


def test_10_no_role_alone_edits_or_closes_and_approves_too() -> None:
    decides = {Scope.READINGS_WRITE, Scope.REGISTRY_WRITE, Scope.BILLING_CLOSE}
    for role in UserRole:
        scopes = scopes_of({role})
        assert Scope.BILLING_APPROVE not in scopes or not scopes & decides, role
    assert ROLES_OF[Scope.BILLING_APPROVE] == {UserRole.APPROVER}


@pytest.mark.expects_log("Expected boundary character")
@examples(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.binary(max_size=200),
    kind=st.sampled_from(
        [
            "application/json",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "text/html",
            "ž",
        ]
    ),
    path=st.sampled_from(
        [
            f"/v1/billing/{PERIOD}/acknowledgements",
            "/sign-in",
            "/account/password",
            "/account/utility",
            "/v1/%00",
        ]
    ),
)
def test_12_no_hostile_body_is_more_than_an_error(
    everything: TestClient, body: bytes, kind: str, path: str
) -> None:
    answer = everything.post(path, content=body, headers={"Content-Type": kind.encode()})
    assert 400 <= answer.status_code < 500, answer.text
    assert everything.get("/health").status_code == 200


def test_12_characters_that_the_database_refuses_are_an_error_of_the_sender(
    everything: TestClient, ours: Seeded
) -> None:
    assert post_sign_in(everything, login="a\0b", password="x").status_code == 422
    assert everything.get("/v1/meters", params={"q": "\0"}).status_code == 422
    assert everything.get("/", params={"q": "\0"}).status_code == 422
    for header in ("Authorization", "Cookie", "X-API-Key"):
        for value in (b"Bearer \xff\xfe", b"hesper-session=\xff", b"\x01", b"hesper_" + b"x" * 5000):
            assert everything.get("/v1/meters", headers={header: value}).status_code in {200, 401}


def test_13_no_sql_and_no_html_is_made_from_input(
    everything: TestClient, connection: psycopg.Connection, ours: Seeded
) -> None:
    for injection in ("' or 1=1 --", "'; drop table users; --", "%", "\\"):
        found = everything.get("/v1/meters", params={"q": injection})
        assert found.json()["meters"] == [], injection
        assert post_sign_in(everything, login=injection, password=injection).status_code in {401, 429}
    hostile = '"><script>alert(1)</script>'
    connection.execute("update users set name = %s", (hostile,))
    connection.execute("update utilities set name = %s where id = %s", (hostile, ours.id))
    connection.commit()
    for path in ("/", "/account", "/findings", f"/meters/{ours.meters[0]}"):
        page = everything.get(path, params={"q": hostile})
        assert page.status_code == 200
        assert "<script>alert" not in page.text, path
        policy = page.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy


def test_13_no_template_trusts_input_or_has_a_script_of_its_own() -> None:
    for template in TEMPLATES.rglob("*.html"):
        text = template.read_text(encoding="utf-8")
        assert not re.search(r"\|\s*safe|autoescape|Markup", text), template.name
        assert not re.search(r"<script(?![^>]*\ssrc=)|\son\w+=|javascript:|style=", text), template.name
