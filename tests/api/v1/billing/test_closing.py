"""`/v1/closes`, `/v1/quarantine` and `/v1/requests`: what is asked for, looked at, and decided by two."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient

from hesper.commands.running.worker import accept_meter
from ingest.tasks import TASKS, step
from metering.access import Scope
from store.access.api_keys import issue
from store.billing import locks
from store.billing.locks import Doing
from store.postgres.database import connect
from store.postgres.roles import Role
from store.tasks import TaskKind
from tests.api.conftest import Clock
from tests.api.seeding import NOW, PERIOD, Seeded


@pytest.fixture
def work(database: str, clock: Clock) -> Callable[[], None]:
    """Does all that was asked for."""

    def do() -> None:
        with connect(database, role=Role.ADMIN) as queue, connect(database, role=Role.ADMIN) as session:
            while step(queue, session, {**TASKS, TaskKind.ACCEPT: accept_meter}, clock):
                pass

    return do


@pytest.fixture
def approver(client: TestClient, connection: psycopg.Connection) -> dict[str, str]:
    """The headers of another key, that approves."""
    scopes = {Scope.BILLING_APPROVE, Scope.BILLING_READ}
    key = issue(connection, "alpha", "approver", scopes=scopes)
    connection.commit()
    return {"Authorization": f"Bearer {key}"}


def outcome(client: TestClient, answer: Any) -> dict[str, Any]:
    """What came of a request that was asked for."""
    assert answer.status_code == 202, answer.text
    document: dict[str, Any] = client.get(answer.headers["location"]).json()
    return document


def test_a_month_is_drafted_looked_at_and_approved_by_another(
    client: TestClient, ours: Seeded, work: Callable[[], None], approver: dict[str, str]
) -> None:
    asked = client.post(f"/v1/closes/{PERIOD}/draft")
    assert outcome(client, asked)["state"] == "waiting"
    assert client.post(f"/v1/closes/{PERIOD}/draft").json()["id"] == asked.json()["id"]
    work()
    done = outcome(client, asked)
    assert (done["state"], done["failure"]) == ("done", None)
    draft, first = client.get("/v1/closes").json()["closes"]
    assert (draft["period"], draft["run"], draft["state"]) == (PERIOD, 2, "drafted")
    assert first["state"] == "approved"
    own = client.post(f"/v1/closes/{PERIOD}/approval")
    assert (own.status_code, own.json()["type"]) == (409, "/problems/second-person-needed")
    approved = client.post(f"/v1/closes/{PERIOD}/approval", headers=approver)
    assert approved.status_code == 201, approved.text
    assert client.get("/v1/closes").json()["closes"][0] == approved.json()
    assert approved.json()["run"] == 2
    assert approved.json()["drafted_by"] != approved.json()["approved_by"]
    nothing = client.post(f"/v1/closes/{PERIOD}/approval", headers=approver)
    assert (nothing.status_code, nothing.json()["type"]) == (409, "/problems/nothing-to-approve")
    left = client.get(f"/v1/closes/{PERIOD}/2/exceptions").json()
    assert {one["standing"] for one in left["exceptions"]} == {True, False}


def test_a_draft_is_withdrawn(
    client: TestClient, ours: Seeded, work: Callable[[], None], connection: psycopg.Connection
) -> None:
    client.post(f"/v1/closes/{PERIOD}/draft")
    work()
    assert client.delete(f"/v1/closes/{PERIOD}/draft").status_code == 204
    assert client.delete(f"/v1/closes/{PERIOD}/draft").status_code == 409
    assert [one["run"] for one in client.get("/v1/closes").json()["closes"]] == [1]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has to wait for somebody else is told at once."""
    monkeypatch.setattr(locks, "WAIT", timedelta(milliseconds=100))


@pytest.mark.usefixtures("impatient")
def test_whoever_comes_while_another_approves_is_told_who_it_is(
    client: TestClient,
    ours: Seeded,
    work: Callable[[], None],
    approver: dict[str, str],
    connection: psycopg.Connection,
) -> None:
    client.post(f"/v1/closes/{PERIOD}/draft")
    work()
    with connection.transaction():
        locks.lock_period(connection, ours.id, "2026-12", Doing.APPROVES, "anna")
        busy = client.post(f"/v1/closes/{PERIOD}/approval", headers=approver)
        assert (busy.status_code, busy.json()["type"]) == (409, "/problems/period-busy")
        assert busy.json()["detail"].startswith(f"{PERIOD} has to wait: anna approves 2026-12 right now")
    with connection.transaction():
        locks.lock_period(connection, ours.id, PERIOD, Doing.DRAFTS, "erik")
        busy = client.delete(f"/v1/closes/{PERIOD}/draft")
        assert (busy.status_code, busy.json()["type"]) == (409, "/problems/period-busy")
    assert client.post(f"/v1/closes/{PERIOD}/approval", headers=approver).status_code == 201


def test_a_month_that_has_not_begun_is_refused_and_one_that_goes_on_fails_with_the_reason(
    client: TestClient, ours: Seeded, work: Callable[[], None]
) -> None:
    assert client.post("/v1/closes/2027-01/draft").status_code == 422
    asked = client.post(f"/v1/closes/{NOW:%Y-%m}/draft")
    work()
    assert "close it after that" in outcome(client, asked)["failure"]


def test_exceptions_qualities_and_outliers_of_a_close_are_told(client: TestClient, ours: Seeded) -> None:
    path = f"/v1/closes/{PERIOD}/1"
    assert client.get(path).json()["approved_at"]
    (exception,) = client.get(f"{path}/exceptions").json()["exceptions"]
    assert exception["service_point"] == {"code": "flat-02-9", "name": "Flat 2", "account": "40002"}
    assert "no usable reading for 2026-10-31T23:00:00Z" in exception["detail"]
    assert client.get(f"{path}/exceptions").json()["counts"] == {"no_reading_after": 1}
    assert client.get(f"{path}/exceptions?reason=other").json()["exceptions"] == []
    shares = client.get(f"{path}/qualities").json()["shares"]
    assert sum(one["readings"] for one in shares) == len(ours.bills)
    assert client.get(f"{path}/outliers").json() == {"outliers": [], "next_cursor": None}
    for part in ("", "/exceptions", "/qualities", "/outliers"):
        assert client.get(f"/v1/closes/{PERIOD}/9{part}").status_code == 404
    assert client.get("/v1/closes?cursor=x").status_code == 422
    assert client.get(f"/v1/closes?cursor={PERIOD}.1").json()["closes"] == []


def test_billing_readings_are_found_by_service_point_account_and_period(
    client: TestClient, ours: Seeded
) -> None:
    everything = client.get("/v1/billing-readings").json()["readings"]
    assert [one["cursor"] for one in everything] == ours.bills
    for query, codes in {
        "service_point=flat-01-8": {"flat-01-8"},
        "account=40002": {"flat-02-8", "flat-02-6"},
        "period=2026-09": set(),
    }.items():
        found = client.get(f"/v1/billing-readings?{query}").json()["readings"]
        assert {one["service_point"]["code"] for one in found} == codes, query
    page = client.get("/v1/billing-readings?limit=2").json()
    rest = client.get(f"/v1/billing-readings?cursor={page['next_cursor']}").json()
    assert page["readings"] + rest["readings"] == everything


def test_what_waits_is_told_with_what_it_says(
    client: TestClient, ours: Seeded, connection: psycopg.Connection
) -> None:
    listed = client.get("/v1/quarantine").json()
    assert listed["counts"] == {"unknown_meter": 1}
    (entry,) = listed["entries"]
    assert (entry["meter"], entry["gateway"]) == ("QDS-00112233", "gw-lindenhof")
    detail = client.get(f"/v1/quarantine/{entry['id']}").json()
    (readout,) = detail["readouts"]
    assert readout["values"] == [{"obis": "8-0:1.0.0", "value": 12.5, "unit": None}]
    assert readout["raw"] == "68"
    connection.execute("update quarantine set payload = %s", (b"\x00\xff" * 5000,))
    connection.commit()
    raw = client.get(f"/v1/quarantine/{entry['id']}").json()
    assert raw["readouts"] == []
    assert raw["text"].startswith("00 ff 00 ff")
    assert raw["text"].endswith("5904 bytes more")
    assert client.get("/v1/quarantine?state=discarded").json()["entries"] == []


def test_what_waits_is_discarded_with_a_reason(
    client: TestClient, ours: Seeded, work: Callable[[], None], connection: psycopg.Connection
) -> None:
    nothing = client.post("/v1/quarantine/discards", json={"entries": {}, "reason": "noise"})
    assert nothing.status_code == 422
    asked = client.post(
        "/v1/quarantine/discards", json={"entries": {"ids": [ours.waiting]}, "reason": "a meter of the shop"}
    )
    work()
    told = outcome(client, asked)
    assert (told["outcome"], told["reason"]) == ({"discarded": 1}, "a meter of the shop")
    assert client.get("/v1/quarantine").json()["entries"] == []
    row = connection.execute(
        "select actor from audit_log where subject = %s", (f"tasks {told['id']}",)
    ).fetchone()
    assert row == (told["author"],)


def test_a_new_meter_is_accepted_with_what_waited_of_it(
    client: TestClient, ours: Seeded, work: Callable[[], None]
) -> None:
    (new,) = client.get("/v1/new-meters").json()["meters"]
    assert (new["meter"], new["readouts"]) == ("QDS-00112233", 1)
    path = f"/v1/new-meters/{new['meter']}/acceptance"
    asked = client.post(path, json={"model": "Qundis Q", "site": "house-1", "reason": "put in today"})
    work()
    assert outcome(client, asked)["outcome"] == {"readouts": 1, "stored": 1, "waiting": 0}
    assert client.get(f"/v1/meters/{new['meter']}").json()["model"] == "Qundis Q"
    assert client.post(path, json={"reason": "again"}).status_code == 404
    assert client.get("/v1/new-meters").json()["meters"] == []


def test_a_new_meter_at_an_unknown_site_stays_new_and_the_request_says_why(
    client: TestClient, ours: Seeded, work: Callable[[], None]
) -> None:
    asked = client.post(
        "/v1/new-meters/QDS-00112233/acceptance", json={"site": "nowhere", "reason": "put in today"}
    )
    work()
    told = outcome(client, asked)
    assert told["state"] == "failed"
    assert "nowhere" in told["failure"]
    assert len(client.get("/v1/new-meters").json()["meters"]) == 1
