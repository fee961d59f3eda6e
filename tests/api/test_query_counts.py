"""No N+1: what a page or a list asks of the database does not grow with what it shows."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.web.app import create_app
from api.web.settings import ApiSettings
from bench.recording import recorded
from metering.access import Scope, UserRole
from store.access.api_keys import issue
from tests.api.conftest import Clock
from tests.api.identity.test_access import addresses, api_routes
from tests.api.people import enrol, open_session, person
from tests.api.seeding import NOW, Seeded, seed

# They stream, show no rows, or one that is made for the second utility alone.
NOT_COUNTED = {
    "/events",
    "/v1/events",
    "/v1/openapi.json",
    "/sign-in/start",
    "/sign-in/provider",
    "/v1/deliveries/{delivery_id}",
}

# The second utility has none of these, or the answer leads elsewhere.
NOTHING_THERE = {
    "/months",
    "/gateways/{gateway}/commands/{command_id}",
    "/v1/gateways/{gateway}/commands/{command_id}",
}

FEW, MANY = 1, 4  # flats, of three meters each


@pytest.fixture
def signed_in(settings: ApiSettings, clock: Clock) -> Iterator[TestClient]:
    unlimited = replace(settings, caller_burst=10**6, address_burst=10**6)
    with TestClient(
        create_app(unlimited, clock=clock), base_url="http://127.0.0.1", follow_redirects=False
    ) as client:
        yield client


def more_of_everything(connection: psycopg.Connection, seeded: Seeded) -> None:
    """What the seeding makes once, and lists show: findings, marks, edits, requests, things in quarantine."""
    for number in range(1, 6):
        shift = timedelta(minutes=number)
        for statement in (
            """
            insert into findings (utility_id, register_id, kind, severity, started_at, evidence)
            select utility_id, register_id, kind, severity, started_at + %(shift)s, evidence
            from findings where id = %(finding)s
            """,
            """
            insert into finding_changes (utility_id, finding_id, note, author)
            select utility_id, id, 'n', 'anna' from findings where utility_id = %(utility)s
            """,
            """
            insert into marks (register_id, measured_at, rule, quality, usable, evidence)
            select id, %(now)s - %(shift)s, 'spike', 10, false, '{}' from registers
            where utility_id = %(utility)s
            """,
            """
            insert into edits (utility_id, register_id, measured_at, action, author, reason, needs_approval)
            select utility_id, register_id, measured_at, action, author, reason, true
            from edits where id = %(edit)s
            """,
            """
            insert into quarantine (utility_id, topic, reason, detail, meter, payload, payload_hash)
            select utility_id, topic, k, detail, 'QDS-' || k || %(number)s, payload, (k || %(number)s)::bytea
            from quarantine cross join unnest(array['unknown_meter', 'obis', 'unit']) k where id = %(waiting)s
            """,
            """
            with d as (
                insert into destinations (utility_id, url, secret, author)
                values (%(utility)s, 'https://billing.example/' || %(number)s, 's', 'anna') returning *
            )
            insert into outbox
                (utility_id, destination_id, close_id, period, first_reading, last_reading, readings)
            select d.utility_id, d.id, c.id, c.period, 1, 1, 1
            from d join closes c on c.utility_id = d.utility_id
            """,
            """
            insert into tasks (utility_id, kind, subject, author)
            select utility_id, kind, subject, author from tasks where id = %(request)s
            """,
        ):
            connection.execute(
                statement,
                {
                    "shift": shift,
                    "now": NOW,
                    "number": number,
                    "utility": seeded.id,
                    "finding": seeded.finding,
                    "edit": seeded.edit,
                    "waiting": seeded.waiting,
                    "request": seeded.request,
                },
            )
    connection.commit()


def counted(client: TestClient, app: FastAPI, whose: Seeded) -> dict[str, int]:
    """How many statements the answer of each route took, by its pattern."""
    counts = {}
    patterns = [(method, route.path) for route in api_routes(app) for method in sorted(route.methods)]
    for (method, pattern), (_, path) in zip(patterns, addresses(app, whose), strict=True):
        if method != "GET" or pattern in NOT_COUNTED:
            continue
        client.get(path)  # the use of a key and of a session are noted once a minute
        with recorded() as sent:
            answer = client.get(path)
        if pattern not in NOTHING_THERE:
            assert answer.status_code == 200, (pattern, answer.text)
        counts[pattern] = len(sent)
    return counts


def test_no_route_asks_for_each_row_by_itself(
    signed_in: TestClient, connection: psycopg.Connection, clock: Clock
) -> None:
    counts = []
    for code, flats in (("few", FEW), ("many", MANY)):
        seeded = seed(connection, code, flats=flats)
        if flats == MANY:
            more_of_everything(connection, seeded)
        user_id = person(connection, f"anna-{code}", code, *UserRole)
        enrol(connection, user_id)
        open_session(signed_in, connection, seeded.id, user_id, clock.now)
        signed_in.headers["X-API-Key"] = issue(connection, code, "all", scopes=frozenset(Scope))
        connection.commit()
        app = signed_in.app
        assert isinstance(app, FastAPI)
        counts.append(counted(signed_in, app, seeded))
    few, many = counts
    grown = {path: (few[path], many[path]) for path in few if many[path] > few[path]}
    assert grown == {}
    assert len(few) > 40
    assert max(many.values()) <= 40
