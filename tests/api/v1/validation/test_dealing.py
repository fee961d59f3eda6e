"""`/v1/findings`, `/v1/marks`, `/v1/edits`: what is found and said of readings, what people make of it."""

from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient

from metering.access import Scope, UserRole
from store.access.api_keys import issue
from tests.api.people import person
from tests.api.seeding import NOW, Seeded

HOUR = timedelta(hours=1)


def ids(answer: Any) -> list[int]:
    return [one["id"] for one in answer.json()["findings"]]


def audited(connection: psycopg.Connection, subject: str) -> list[str]:
    connection.commit()
    rows = connection.execute(
        "select actor from audit_log where subject like %s || '%%' order by id", (subject,)
    )
    return [actor for (actor,) in rows]


def test_findings_are_listed_by_what_they_are(client: TestClient, ours: Seeded) -> None:
    everything = client.get("/v1/findings").json()["findings"]
    assert [one["kind"] for one in everything] == ["negative_step.rollover", "stuck", "negative_step.glitch"]
    for query, kinds in {
        "state=open": ["stuck", "negative_step.glitch"],
        "severity=alarm": ["stuck"],
        "kind=negative_step": ["negative_step.rollover", "negative_step.glitch"],
        "kind=negative": [],
        "medium=heat": ["negative_step.rollover"],
        "site=house-1": ["negative_step.rollover", "stuck", "negative_step.glitch"],
        "site=elsewhere": [],
        "assignee=": ["negative_step.rollover", "stuck", "negative_step.glitch"],
        "assignee=anna": [],
    }.items():
        found = client.get(f"/v1/findings?{query}").json()["findings"]
        assert [one["kind"] for one in found] == kinds, query
    first = client.get("/v1/findings?limit=2").json()
    rest = client.get("/v1/findings", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [one["id"] for one in first["findings"] + rest["findings"]] == [one["id"] for one in everything]
    assert rest["next_cursor"] is None
    assert client.get("/v1/findings?fields=kind").json()["findings"][0].keys() == {"id", "kind"}


def test_a_finding_is_dealt_with_by_whoever_saw_it_as_it_is(
    client: TestClient, ours: Seeded, connection: psycopg.Connection
) -> None:
    person(connection, "anna", "alpha", UserRole.ENGINEER)
    connection.commit()
    path = f"/v1/findings/{ours.finding}"
    seen = client.get(path)
    assert seen.json()["evidence"]["before"] == "412.318"
    change = {"state": "acknowledged", "assignee": "anna", "note": "on my way"}
    assert client.patch(path, json=change).status_code == 428
    tag = {"If-Match": seen.headers["etag"]}
    done = client.patch(path, json=change, headers=tag)
    assert (done.json()["state"], done.json()["assignee"]) == ("acknowledged", "anna")
    (history,) = done.json()["history"]
    assert (history["note"], history["state"]) == ("on my way", "acknowledged")
    assert history["author"].startswith("key ")
    stale = client.patch(path, json={"state": "open"}, headers=tag)
    assert (stale.status_code, stale.json()["type"]) == (412, "/problems/changed-meanwhile")
    again = client.patch(path, json={"state": "open"}, headers={"If-Match": done.headers["etag"]})
    assert again.json()["state"] == "open"
    assert ids(client.get("/v1/findings?assignee=anna")) == [ours.finding]
    assert len(audited(connection, "finding_changes")) == 2


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, "nothing to change"),
        ({"state": "resolved"}, "with a note"),
        ({"assignee": "nobody-here"}, "nobody here signs in"),
    ],
)
def test_a_change_that_says_too_little_is_refused_with_what_to_do(
    client: TestClient, ours: Seeded, change: dict[str, str], told: str
) -> None:
    answer = client.patch(f"/v1/findings/{ours.finding}", json=change, headers={"If-Match": "*"})
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/finding-change-refused")
    assert told in answer.json()["detail"]


def test_many_findings_are_changed_at_once_each_with_its_result(
    client: TestClient, ours: Seeded, theirs: Seeded
) -> None:
    mine = ids(client.get("/v1/findings?state=open"))
    change = {"ids": [*mine, theirs.finding], "state": "false alarm", "note": "test of the pumps"}
    answer = client.post("/v1/findings/changes", json=change)
    assert {one["id"]: one["outcome"] for one in answer.json()["results"]} == {
        **dict.fromkeys(mine, "changed"),
        theirs.finding: "unknown",
    }
    assert client.get("/v1/findings?state=open").json()["findings"] == []
    assert client.post("/v1/findings/changes", json=change | {"ids": [1] * 501}).status_code == 422
    assert client.get(f"/v1/findings/{theirs.finding}").status_code == 404


def test_marks_are_listed_by_register_instant_and_rule(
    client: TestClient, ours: Seeded, connection: psycopg.Connection
) -> None:
    for hour in range(3):
        connection.execute(
            """
            insert into marks (register_id, measured_at, rule, quality, usable, evidence)
            values (%s, %s, 'spike', 10, false, '{}')
            """,
            (ours.registers[1], NOW - (hour + 1) * HOUR),
        )
    connection.commit()
    everything = client.get("/v1/marks").json()["marks"]
    assert [one["rule"] for one in everything] == ["glitch", "spike", "spike", "spike"]
    assert everything[0]["meter"] == ours.meters[0]
    assert everything[0]["quality"] == {"code": 10, "label": "questionable"}
    found, cursor = [], None
    while True:
        page = client.get("/v1/marks", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        found += page["marks"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == everything
    for query, count in {
        f"meter={ours.meters[1]}": 3,
        "rule=glitch": 1,
        "obis=8-0:1.0.0": 1,
        f"from={(NOW - 2 * HOUR).strftime('%Y-%m-%dT%H:%M:%SZ')}": 2,
    }.items():
        assert len(client.get(f"/v1/marks?{query}").json()["marks"]) == count, query
    assert client.get("/v1/marks?from=2020-01-01T00:00:00Z").status_code == 422
    assert client.get("/v1/marks?cursor=x").status_code == 422


def edit(ours: Seeded, action: str, at: datetime, **more: str) -> dict[str, str]:
    return {
        "meter": ours.meters[0],
        "obis": "8-0:1.0.0",
        "measured_at": at.isoformat(),
        "action": action,
        "reason": "seen on site",
        **more,
    }


def test_a_reading_is_left_out_restored_and_entered_over_the_api(
    client: TestClient, ours: Seeded, connection: psycopg.Connection
) -> None:
    at = NOW.replace(minute=0)
    made = client.post("/v1/edits", json=edit(ours, "exclude", at))
    assert (made.status_code, made.json()["waits"]) == (201, False)
    (mark,) = client.get("/v1/marks?rule=edit").json()["marks"]
    assert (mark["usable"], mark["author"]) == (False, made.json()["author"])
    undone = client.post("/v1/edits", json=edit(ours, "restore", at)).json()
    assert undone["undoes"] == made.json()["id"]
    assert client.get("/v1/marks?rule=edit").json()["marks"] == []
    entered = client.post("/v1/edits", json=edit(ours, "enter", at + HOUR / 2, value="600.5"))
    assert entered.json()["value"] == "600.5"
    path = f"/v1/meters/{ours.meters[0]}/readings"
    since = (at + HOUR / 4).strftime("%Y-%m-%dT%H:%M:%SZ")
    (reading,) = client.get(f"{path}?from={since}").json()["readings"]
    assert (reading["value"], reading["status"]) == ("600.5", ["manual"])
    assert len(audited(connection, "edits ")) == 4  # the seeded one too


@pytest.mark.parametrize(
    ("change", "status", "told"),
    [
        ({"action": "enter"}, 422, "takes a value"),
        ({"value": "1"}, 422, "no other action"),
        ({"measured_at": "2030-01-01T00:00:00Z"}, 422, "not come yet"),
        ({"meter": "KAM-00000000"}, 404, "register"),
        ({"measured_at": "2026-11-21T17:00:01Z"}, 409, "no reading of"),
        ({"action": "restore"}, 409, "could be undone"),
        ({"reason": " "}, 422, "reason"),
    ],
)
def test_an_edit_that_is_not_possible_says_why(
    client: TestClient, ours: Seeded, change: dict[str, str], status: int, told: str
) -> None:
    answer = client.post("/v1/edits", json=edit(ours, "exclude", NOW.replace(minute=0)) | change)
    assert answer.status_code == status, answer.text
    assert told in answer.json()["detail"]


def test_an_edit_of_a_closed_month_waits_for_another_key(
    client: TestClient, ours: Seeded, connection: psycopg.Connection
) -> None:
    at = NOW.replace(month=10, minute=0)
    made = client.post("/v1/edits", json=edit(ours, "exclude", at)).json()
    assert made["waits"]
    assert made["id"] in [one["id"] for one in client.get("/v1/edits?waiting=true").json()["edits"]]
    own = client.post(f"/v1/edits/{made['id']}/approval")
    assert (own.status_code, own.json()["type"]) == (409, "/problems/edit-refused")
    assert "second person" in own.json()["detail"]
    other = issue(connection, "alpha", "approver", scopes={Scope.BILLING_APPROVE, Scope.READINGS_READ})
    connection.commit()
    client.headers["Authorization"] = f"Bearer {other}"
    approved = client.post(f"/v1/edits/{made['id']}/approval")
    assert (approved.status_code, approved.json()["waits"]) == (201, False)
    assert approved.json()["approved_by"] != approved.json()["author"]
    assert client.get(f"/v1/edits/{made['id']}").json() == approved.json()
    assert len(audited(connection, "edit_approvals")) == 1
