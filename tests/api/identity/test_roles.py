"""Roles and scopes: every route declares what it takes, and each role gets what is listed and no more."""

import re
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.identity.authentication import OPEN, Requires
from api.web.app import create_app
from api.web.settings import ApiSettings
from metering.access import ROLES_OF, Scope, UserRole, scopes_of
from store.access.api_keys import issue
from tests.api.conftest import Clock
from tests.api.identity.test_access import addresses, api_routes
from tests.api.people import enrol, open_session, person
from tests.api.seeding import Seeded

_V, _E, _B, _A, _ADMIN = UserRole
_ALL = set(UserRole)
_LOOKS = {_V, _E, _A}
_BILLS = {_V, _E, _B, _A}

# Written by hand: a new route, or a role that gains a scope, has to be thought about here.
LISTED: dict[tuple[str, str], set[UserRole]] = {
    ("GET", "/v1/openapi.json"): _ALL,
    ("GET", "/v1/meters"): _ALL,
    ("GET", "/v1/meters/{meter_id}"): _ALL,
    # registry, readings and exports
    ("GET", "/v1/meters/{meter_id}/registers"): _ALL,
    ("GET", "/v1/meters/{meter_id}/verifications"): _ALL,
    ("POST", "/v1/meters/{meter_id}/verifications"): {_E},
    ("POST", "/v1/meters"): {_E},
    ("PATCH", "/v1/meters/{meter_id}"): {_E},
    ("GET", "/v1/meters/{meter_id}/consumption"): _LOOKS,
    ("GET", "/v1/sites"): _ALL,
    ("POST", "/v1/sites"): {_E},
    ("GET", "/v1/sites/{site}"): _ALL,
    ("PATCH", "/v1/sites/{site}"): {_E},
    ("GET", "/v1/gateways"): _ALL,
    ("GET", "/v1/gateways/{gateway}"): _ALL,
    ("GET", "/v1/service-points"): _ALL,
    ("POST", "/v1/service-points"): {_E},
    ("GET", "/v1/service-points/{code}"): _ALL,
    ("PATCH", "/v1/service-points/{code}"): {_E},
    ("POST", "/v1/service-points/{code}/installations"): {_E},
    ("POST", "/v1/service-points/{code}/exchanges"): {_E},
    ("GET", "/v1/installations"): _ALL,
    ("GET", "/v1/installations/{installation_id}"): _ALL,
    ("PATCH", "/v1/installations/{installation_id}"): {_E},
    ("GET", "/v1/registry-changes"): _ALL,
    ("GET", "/v1/exports/readings.{file_format}"): _LOOKS,
    ("GET", "/v1/exports/billing/{period}.{file_format}"): _BILLS,
    # readings
    ("GET", "/v1/meters/{meter_id}/readings"): _LOOKS,
    ("GET", "/v1/meters/{meter_id}/findings"): _LOOKS,
    ("GET", "/v1/telegrams/{meter_id}/{measured_at}"): {_E},
    ("GET", "/v1/billing/{period}"): _BILLS,
    ("POST", "/v1/billing/{period}/acknowledgements"): {_B},
    ("GET", "/v1/billing-readings/{reading_id}"): _BILLS,
    ("GET", "/v1/deliveries"): {_E, _B, _A},
    ("GET", "/v1/deliveries/{delivery_id}"): {_E, _B, _A},
    ("POST", "/v1/deliveries/{delivery_id}/acknowledgements"): {_B},
    ("GET", "/v1/accounts/{account}/statement"): _BILLS,
    ("POST", "/v1/service-points/{code}/readings"): {_E},
    ("GET", "/v1/audit"): {_ADMIN},
    # findings, marks, edits, closes, quarantine
    ("GET", "/v1/findings"): _LOOKS,
    ("GET", "/v1/findings/{finding_id}"): _LOOKS,
    ("PATCH", "/v1/findings/{finding_id}"): {_E},
    ("POST", "/v1/findings/changes"): {_E},
    ("GET", "/v1/marks"): _LOOKS,
    ("GET", "/v1/edits"): _LOOKS,
    ("GET", "/v1/edits/{edit_id}"): _LOOKS,
    ("POST", "/v1/edits"): {_E},
    ("POST", "/v1/edits/{edit_id}/approval"): {_A},
    ("GET", "/v1/billing-readings"): _BILLS,
    ("GET", "/v1/closes"): _BILLS,
    ("GET", "/v1/closes/{period}/{run}"): _BILLS,
    ("GET", "/v1/closes/{period}/{run}/exceptions"): _BILLS,
    ("GET", "/v1/closes/{period}/{run}/qualities"): _BILLS,
    ("GET", "/v1/closes/{period}/{run}/outliers"): _BILLS,
    ("POST", "/v1/closes/{period}/draft"): {_B},
    ("DELETE", "/v1/closes/{period}/draft"): {_B},
    ("POST", "/v1/closes/{period}/approval"): {_A},
    ("GET", "/v1/quarantine"): {_E},
    ("GET", "/v1/quarantine/{entry_id}"): {_E},
    ("POST", "/v1/quarantine/replays"): {_E},
    ("POST", "/v1/quarantine/discards"): {_E},
    ("GET", "/v1/new-meters"): _ALL,
    ("POST", "/v1/new-meters/{meter_id}/acceptance"): {_E},
    ("GET", "/v1/requests"): _ALL,
    ("GET", "/v1/requests/{request_id}"): _ALL,
    # Gateways: everybody looks, engineers ask
    ("GET", "/v1/gateways/{gateway}/health"): _ALL,
    ("GET", "/v1/gateways/{gateway}/health/history"): _ALL,
    ("GET", "/v1/gateways/{gateway}/lines"): _ALL,
    ("GET", "/v1/gateways/{gateway}/meters"): _ALL,
    ("GET", "/v1/gateways/{gateway}/commands"): _ALL,
    ("GET", "/v1/gateways/{gateway}/commands/{command_id}"): _ALL,
    ("POST", "/v1/gateways/{gateway}/commands"): {_E},
    ("GET", "/v1/gateways/{gateway}/configurations"): _ALL,
    ("GET", "/v1/gateways/{gateway}/configurations/{version}"): _ALL,
    ("POST", "/v1/gateways/{gateway}/configurations/{version}/restore"): {_E},
    ("GET", "/v1/gateways/{gateway}/configuration"): _ALL,
    ("PUT", "/v1/gateways/{gateway}/configuration"): {_E},
    ("POST", "/v1/gateways/{gateway}/configuration/preview"): {_E},
    ("GET", "/gateways/{gateway}"): _ALL,
    ("GET", "/gateways/{gateway}/trend"): _ALL,
    ("POST", "/gateways/{gateway}/commands"): {_E},
    ("GET", "/gateways/{gateway}/commands/{command_id}"): _ALL,
    ("POST", "/gateways/{gateway}/configurations/preview"): {_E},
    ("POST", "/gateways/{gateway}/configurations"): {_E},
    ("POST", "/gateways/{gateway}/configurations/{version}/restore"): {_E},
    ("GET", "/v1/events"): _ALL,
    ("GET", "/v1/service-points/{code}/supply"): _ALL,
    ("GET", "/v1/sites/{site}/balance"): _LOOKS,
    ("GET", "/v1/gateways/{gateway}/findings"): _LOOKS,
    ("GET", "/events"): _ALL,
    ("GET", "/"): _ALL,
    ("GET", "/meters"): _ALL,
    ("GET", "/sites/{site}"): _ALL,
    ("GET", "/sites/{site}/arrival"): _ALL,
    ("GET", "/sites/{site}/balance"): _LOOKS,
    ("GET", "/verification"): _ALL,
    ("GET", "/findings"): _LOOKS,
    ("GET", "/meters/{meter_id}"): _LOOKS,
    ("GET", "/meters/{meter_id}/chart"): _LOOKS,
    # A meter's page: what it prints, decodes and changes.
    ("GET", "/meters/{meter_id}/year/{year}.pdf"): _LOOKS,
    ("GET", "/meters/{meter_id}/telegrams"): {_E},
    ("POST", "/meters/{meter_id}/edits"): {_E},
    ("POST", "/meters/{meter_id}/edits/{edit_id}/approval"): {_A},
    ("GET", "/quarantine"): {_E},
    ("GET", "/quarantine/{entry_id}"): {_E},
    ("POST", "/quarantine/replay"): {_E},
    ("POST", "/quarantine/discard"): {_E},
    ("POST", "/quarantine/accept"): {_E},
    ("GET", "/months"): _BILLS,
    ("GET", "/months/{period}"): _BILLS,
    ("GET", "/billing/{reading_id}"): _BILLS,
    # findings, months, statements
    ("POST", "/findings"): {_E},
    ("GET", "/findings/{finding_id}"): _LOOKS,
    ("POST", "/findings/{finding_id}"): {_E},
    ("POST", "/months/{period}/draft"): {_B},
    ("POST", "/months/{period}/approve"): {_A},
    ("POST", "/months/{period}/withdraw"): {_B},
    ("POST", "/months/{period}/deliveries"): {_B},
    ("GET", "/accounts"): _BILLS,
    ("GET", "/accounts/{account}/statement"): _BILLS,
    ("GET", "/accounts/{account}/statement.pdf"): _BILLS,
    ("GET", "/account"): _ALL,
    ("POST", "/account/password"): _ALL,
    ("POST", "/account/second-factor"): _ALL,
    ("POST", "/account/second-factor/confirm"): _ALL,
    ("POST", "/account/sessions/end"): _ALL,
    ("POST", "/account/utility"): _ALL,
    ("POST", "/language"): _ALL,
    ("POST", "/sign-out"): _ALL,  # last: it ends the session
}


def test_every_route_declares_the_scope_that_it_takes_or_that_it_is_open(app: FastAPI) -> None:
    open_to_all = set()
    for route in api_routes(app):
        declared = [one.dependency for one in route.dependencies]
        scopes = [one.scope for one in declared if isinstance(one, Requires)]
        if OPEN.dependency in declared:
            open_to_all.add(route.path)
        else:
            assert len(scopes) == 1, f"{route.path} declares no scope: dependencies=[requires(Scope...)]"
    assert open_to_all == {
        "/health",
        "/sign-in",
        "/sign-in/start",
        "/sign-in/provider",
        "/problems",
        "/problems/{problem}",
    }


def test_every_scope_is_in_the_table_of_roles() -> None:
    assert set(ROLES_OF) == set(Scope)
    assert all(ROLES_OF.values())


def test_the_operators_page_shows_the_table_as_it_is() -> None:
    page = (Path(__file__).parents[3] / "docs" / "security.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z:]+)`[^|]*\|(.*)\|$", page, re.MULTILINE)
    shown = {
        Scope(name): {role for role, cell in zip(UserRole, cells.split("|"), strict=True) if "x" in cell}
        for name, cells in rows
    }
    assert shown == {scope: roles for scope, roles in ROLES_OF.items() if scope is not Scope.OWN}


@pytest.mark.parametrize("role", UserRole)
def test_a_role_gets_what_is_listed_of_its_own_utility_and_nothing_of_another(
    *,
    app: FastAPI,
    anonymous: TestClient,
    connection: psycopg.Connection,
    ours: Seeded,
    theirs: Seeded,
    clock: Clock,
    role: UserRole,
) -> None:
    user_id = person(connection, role, "alpha", role)
    enrol(connection, user_id)
    form = {"form_token": open_session(anonymous, connection, ours.id, user_id, clock.now)}
    key = {"X-API-Key": issue(connection, "alpha", role, scopes=scopes_of({role}))}
    connection.commit()
    seen = set()
    patterns = [(method, route.path) for route in api_routes(app) for method in sorted(route.methods)]
    own = zip(patterns, addresses(app, ours), addresses(app, theirs), strict=True)
    for pattern, (method, path), (_, foreign) in sorted(own, key=lambda one: one[0][1] == "/sign-out"):
        if OPEN.dependency in [one.dependency for one in _route(app, pattern).dependencies]:
            continue
        seen.add(pattern)
        allowed = role in LISTED.get(pattern, set())
        for address in (foreign, path):  # what is one's own comes second: it may end the session
            answer = anonymous.request(method, address, headers=key, data=form if method == "POST" else None)
            if not allowed:
                assert answer.status_code == 403, (pattern, answer.text)
                assert answer.json()["type"] == "/problems/forbidden"
                continue
            assert answer.status_code not in {401, 500}, (pattern, answer.text)
            assert "/problems/forbidden" not in answer.text, pattern
            assert not answer.headers.get("location", "").startswith("/sign-in?"), pattern
            if address == foreign and foreign != path and method == "GET":
                assert answer.status_code == 404, (pattern, answer.text)
            tried = theirs.meters if pattern[1] != "/v1/audit" else []  # it tells what was asked for
            for secret in ("Aqua Beta", *tried):
                assert secret not in answer.text.replace(address, ""), (pattern, secret)
            if pattern == ("POST", "/sign-out"):
                break
    assert seen == set(LISTED)


def _route(app: FastAPI, pattern: tuple[str, str]) -> object:
    return next(
        route for route in api_routes(app) if route.path == pattern[1] and pattern[0] in route.methods
    )


def test_noting_a_refusal_waits_for_no_second_connection(
    settings: ApiSettings, connection: psycopg.Connection, ours: Seeded, clock: Clock
) -> None:
    key = issue(connection, "alpha", "map", scopes={Scope.METERS_READ})
    connection.commit()
    one = create_app(replace(settings, workers=1), clock=clock)
    with TestClient(one, base_url="http://127.0.0.1", headers={"X-API-Key": key}) as client:
        began = time.monotonic()
        assert client.get("/v1/audit").status_code == 403
        assert time.monotonic() - began < 5  # the pool would be waited for twice as long


def test_what_a_role_does_not_read_is_not_on_its_overview_either(
    anonymous: TestClient, connection: psycopg.Connection, ours: Seeded, clock: Clock
) -> None:
    shown = {}
    for role in (UserRole.VIEWER, UserRole.ADMINISTRATOR):
        user_id = person(connection, role, "alpha", role)
        enrol(connection, user_id)
        open_session(anonymous, connection, ours.id, user_id, clock.now)
        shown[role] = anonymous.get("/").text + anonymous.get("/meters").text
    for part in ('class="spark"', 'data-tile="month"', 'href="/findings"'):
        assert part in shown[UserRole.VIEWER], part
    assert 'class="spark"' not in shown[UserRole.ADMINISTRATOR]
    assert 'data-tile="month"' not in shown[UserRole.ADMINISTRATOR]


def test_rights_over_money_and_people_count_with_a_second_factor_only(
    anonymous: TestClient, connection: psycopg.Connection, ours: Seeded, clock: Clock
) -> None:
    user_id = person(connection, "anna", "alpha", UserRole.APPROVER)
    open_session(anonymous, connection, ours.id, user_id, clock.now)
    assert anonymous.get("/months/2026-10").status_code == 403
    assert "approver: counts once you have a second factor" in anonymous.get("/account").text
    enrol(connection, user_id)
    assert anonymous.get("/months/2026-10").status_code == 200


def test_a_key_does_what_its_scopes_say_until_it_expires(
    anonymous: TestClient, connection: psycopg.Connection, ours: Seeded
) -> None:
    meters = issue(connection, "alpha", "map", scopes={Scope.METERS_READ})
    past = issue(connection, "alpha", "old", expires_at=datetime(2026, 1, 1, tzinfo=UTC))
    connection.commit()
    assert anonymous.get("/v1/meters", headers={"X-API-Key": meters}).status_code == 200
    refused = anonymous.get("/v1/billing/2026-10", headers={"X-API-Key": meters})
    assert refused.status_code == 403
    assert "`billing:read`" in refused.json()["detail"]
    assert anonymous.get("/v1/meters", headers={"X-API-Key": past}).status_code == 401


def test_a_key_from_before_there_were_scopes_does_what_a_billing_system_does(
    anonymous: TestClient, connection: psycopg.Connection, ours: Seeded
) -> None:
    connection.execute("update api_keys set scopes = default where name like '%billing'")
    connection.commit()
    key = {"X-API-Key": ours.key}
    for path in ("meters", f"meters/{ours.meters[0]}/readings", "billing/2026-10"):
        assert anonymous.get(f"/v1/{path}", headers=key).status_code == 200
    assert anonymous.get("/v1/audit", headers=key).status_code == 403
