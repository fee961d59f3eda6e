"""The registry over `/v1`: listed, looked at, and changed with a reason by who has seen what is there."""

from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient

from tests.api.seeding import Seeded

WATER = "8-0:1.0.0"


def tag(client: TestClient, path: str) -> dict[str, str]:
    """The header with which a change of what is at `path` is sent."""
    return {"If-Match": client.get(path).headers["etag"]}


def refused(answer: Any, status: int, name: str) -> str:
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{name}"), answer.text
    detail: str = answer.json()["detail"]
    return detail


def test_a_site_is_registered_changed_and_has_parts(client: TestClient, ours: Seeded) -> None:
    made = client.post("/v1/sites", json={"code": "house-2", "parent": "house-1", "reason": "built"})
    assert made.status_code == 201
    path = made.headers["location"]
    assert client.get(path).json() == made.json()
    assert client.get(path).headers["etag"] == made.headers["etag"]
    assert made.json() == {"code": "house-2", "name": "house-2", "address": "", "parent": "house-1"}
    change = {"name": "Lindenhof 9", "reason": "named"}
    changed = client.patch(path, json=change, headers=tag(client, path))
    assert changed.json() == {"code": "house-2", "name": "Lindenhof 9", "address": "", "parent": "house-1"}
    assert client.get(path).headers["etag"] == changed.headers["etag"] != made.headers["etag"]
    parts = client.get("/v1/sites", params={"parent": "house-1", "fields": "name"}).json()["sites"]
    assert parts == [{"code": "house-2", "name": "Lindenhof 9"}]
    again = client.post("/v1/sites", json={"code": "house-2", "reason": "again"})
    assert path in refused(again, 409, "already-registered")


def test_a_site_is_no_part_of_itself(client: TestClient, ours: Seeded) -> None:
    client.post("/v1/sites", json={"code": "wing", "parent": "house-1", "reason": "built"})
    path = "/v1/sites/house-1"
    for parent in ("wing", "house-1"):
        answer = client.patch(path, json={"parent": parent, "reason": "r"}, headers=tag(client, path))
        assert "no part of it" in refused(answer, 422, "registry-refused")
    unknown = client.patch(path, json={"parent": "nowhere", "reason": "r"}, headers=tag(client, path))
    assert "there is no site nowhere" in refused(unknown, 422, "registry-refused")
    assert client.get(path).json()["parent"] is None


def test_a_change_is_made_to_what_was_seen_or_not_at_all(client: TestClient, ours: Seeded) -> None:
    path = f"/v1/meters/{ours.meters[0]}"
    seen = tag(client, path)
    change = {"model": "Multical 403", "reason": "wrong label"}
    refused(client.patch(path, json=change), 428, "if-match-required")
    assert client.patch(path, json=change, headers=seen).status_code == 200
    stale = client.patch(path, json={"model": "mine", "reason": "r"}, headers=seen)
    refused(stale, 412, "changed-meanwhile")
    assert stale.headers["etag"] == client.get(path).headers["etag"]
    weak = {"If-Match": f"W/{stale.headers['etag']}"}
    refused(client.patch(path, json={"model": "mine", "reason": "r"}, headers=weak), 412, "changed-meanwhile")
    assert (
        client.patch(path, json={"model": "x", "reason": "r"}, headers={"If-Match": "*"}).status_code == 200
    )


def test_a_repeated_change_is_answered_as_it_was_though_its_etag_is_stale_by_then(
    client: TestClient, ours: Seeded
) -> None:
    path = f"/v1/meters/{ours.meters[0]}"
    headers = tag(client, path) | {"Idempotency-Key": "one"}
    first, again = (
        client.patch(path, json={"model": "M2", "reason": "label"}, headers=headers) for _ in range(2)
    )
    assert first.status_code == 200
    assert (again.content, again.headers["etag"]) == (first.content, first.headers["etag"])


def test_every_change_of_the_registry_is_in_its_history_and_in_the_audit_log(
    client: TestClient, ours: Seeded, connection: psycopg.Connection
) -> None:
    path = f"/v1/meters/{ours.meters[0]}"
    client.patch(path, json={"model": "Multical 403", "reason": "wrong label"}, headers=tag(client, path))
    (change,) = client.get("/v1/registry-changes", params={"entry": ours.meters[0], "limit": 1}).json()[
        "changes"
    ]
    assert (change["author"].split()[0], change["reason"], change["kind"]) == ("key", "wrong label", "meters")
    assert (change["before"], change["after"]) == ({"model": "Multical 21"}, {"model": "Multical 403"})
    logged = connection.execute(
        "select actor, action, subject from audit_log where utility_id = %s order by id desc limit 2",
        (ours.id,),
    ).fetchall()
    assert {action for _, action, _ in logged} == {"added", "asked for a change"}
    assert {subject.split()[0] for *_, subject in logged} == {"registry_history", path}
    assert {actor for actor, *_ in logged} == {change["author"]}


def test_a_meter_is_moved_to_a_line_of_its_gateway_only(
    client: TestClient, ours: Seeded, connection: psycopg.Connection
) -> None:
    connection.execute(
        """
        insert into lines (utility_id, gateway_id, code, protocol) select utility_id, id, 'mbus-1', 'mbus'
        from gateways where code = 'gw-lindenhof'
        """
    )
    connection.commit()
    gateway = client.get("/v1/gateways/gw-lindenhof").json()
    assert gateway["lines"] == [{"code": "mbus-1", "protocol": "mbus", "address": ""}]
    assert gateway["state"] == "online"
    path = f"/v1/meters/{ours.meters[0]}"
    change = {"line": "mbus-1", "qmax": "2.5", "reason": "wired"}
    changed = client.patch(path, json=change, headers=tag(client, path)).json()
    assert (changed["line"], changed["qmax"]) == ("mbus-1", "2.5")
    change = {"imax": "60", "phases": 3, "reason": "read off the plate"}
    changed = client.patch(path, json=change, headers=tag(client, path)).json()
    assert (changed["imax"], changed["phases"], changed["qmax"]) == ("60", 3, "2.5")
    change = {"gateway": "gw-keller", "reason": "moved"}
    answer = client.patch(path, json=change, headers=tag(client, path))
    assert "no line mbus-1" in refused(answer, 422, "registry-refused")
    change = {"gateway": "gw-keller", "line": None, "reason": "moved"}
    assert client.patch(path, json=change, headers=tag(client, path)).json()["gateway"] == "gw-keller"


def test_meters_are_found_by_where_they_are_and_what_is_due(client: TestClient, ours: Seeded) -> None:
    def ids(**asked: str) -> set[str]:
        answer = client.get("/v1/meters", params={"fields": "id", **asked})
        assert answer.status_code == 200, answer.text
        return {meter["id"] for meter in answer.json()["meters"]}

    assert ids(gateway="gw-lindenhof") == set(ours.meters)
    assert ids(gateway="gw-keller") == set()
    assert ids(service_point="flat-01-8") == {ours.meters[0]}
    assert ids(account="40002") == set(ours.meters[3:])
    assert ids(account="40002", medium="heat") == {ours.meters[5]}
    assert ids(account="40001", service_point="flat-02-8") == set()
    assert ids(verification_due_before="2031-12-31") == set()
    assert ids(verification_due_before="2032-01-01") == set(ours.meters)


def test_a_verification_is_recorded_with_the_days_between_which_it_holds(
    client: TestClient, ours: Seeded
) -> None:
    path = f"/v1/meters/{ours.meters[0]}/verifications"
    new = {"verified_on": "2026-11-20", "valid_until": "2032-11-20", "certificate": "S-1", "reason": "done"}
    made = client.post(path, json=new)
    assert made.status_code == 201
    assert made.json()["verified_until"] == "2032-11-20"
    assert made.json()["verifications"] == [
        {"verified_on": "2026-11-20", "valid_until": "2032-11-20", "certificate": "S-1"}
    ]
    earlier = new | {"verified_on": "2020-11-20", "valid_until": "2026-11-20"}
    assert client.post(path, json=earlier).json()["verified_until"] == "2032-11-20"
    refused(client.post(path, json=new), 409, "already-registered")
    backwards = new | {"verified_on": "2026-11-21", "valid_until": "2026-11-20"}
    assert "`until` lie after" in refused(client.post(path, json=backwards), 422, "registry-refused")
    assert len(client.get(path).json()["verifications"]) == 2


def test_a_service_point_is_registered_and_gets_a_meter(client: TestClient, ours: Seeded) -> None:
    new = {"code": "cellar-8", "medium": "cold water", "site": "house-1", "account": "7", "reason": "new"}
    made = client.post("/v1/service-points", json=new)
    path = made.headers["location"]
    assert (
        client.post("/v1/meters", json={"id": "KAM-1", "medium": "cold water", "reason": "bought"}).json()[
            "registers"
        ]
        == []
    )
    meter = {
        "meter": "KAM-1",
        "valid_from": "2026-11-01T00:00:00+01:00",
        "start_values": {WATER: "0.5"},
        "reason": "installed",
    }
    installed = client.post(f"{path}/installations", json=meter, headers={"If-Match": made.headers["etag"]})
    assert installed.status_code == 201
    (there,) = installed.json()["installations"]
    assert there["valid_from"] == {"utc": "2026-10-31T23:00:00Z", "local_offset": "+01:00"}
    assert (there["valid_to"], there["start_values"]) == (None, {WATER: "0.5"})
    again = client.post(f"{path}/installations", json=meter, headers=tag(client, path))
    refused(again, 409, "already-registered")
    assert client.get("/v1/meters/KAM-1").json()["service_point"]["code"] == "cellar-8"
    assert "cold water" in refused(
        client.post("/v1/service-points", json=new | {"code": "x", "medium": "beer"}), 422, "invalid-request"
    )
    points = client.get("/v1/service-points", params={"account": "7", "fields": "medium"}).json()
    assert points["service_points"] == [{"code": "cellar-8", "medium": "cold water"}]


def test_a_meter_is_exchanged_once_with_both_readings(
    client: TestClient, ours: Seeded, connection: psycopg.Connection
) -> None:
    path = "/v1/service-points/flat-01-8"
    seen = tag(client, path)
    last = client.get(f"/v1/meters/{ours.meters[0]}/registers").json()["registers"][0]["last"]["value"]
    exchange = {"installed": "KAM-99", "at": "2026-11-21T18:00:00+01:00", "reason": "broken display"}
    missing = client.post(f"{path}/exchanges", json=exchange | {"end_values": {}}, headers=seen)
    assert f"no end reading of {WATER}" in refused(missing, 422, "registry-refused")
    exchange |= {"start_values": {WATER: "0"}}
    low = client.post(f"{path}/exchanges", json=exchange | {"end_values": {WATER: "1"}}, headers=seen)
    assert "below what" in refused(low, 422, "registry-refused")
    exchange |= {"end_values": {WATER: last}}
    done = client.post(f"{path}/exchanges", json=exchange, headers=seen)
    assert done.status_code == 201, done.text
    before, after = done.json()["installations"]
    assert (before["meter"], before["end_values"]) == (ours.meters[0], {WATER: last})
    assert before["valid_to"] == after["valid_from"]
    assert (after["meter"], after["start_values"]) == ("KAM-99", {WATER: "0"})
    refused(client.post(f"{path}/exchanges", json=exchange, headers=seen), 412, "changed-meanwhile")
    there = client.get(
        "/v1/installations", params={"service_point": "flat-01-8", "at": "2026-11-21T18:00:00Z"}
    )
    assert [one["meter"] for one in there.json()["installations"]] == ["KAM-99"]


def test_an_installation_is_corrected_and_what_it_was_stays_known(client: TestClient, ours: Seeded) -> None:
    listed = client.get("/v1/installations", params={"meter": ours.meters[2]}).json()["installations"]
    path = f"/v1/installations/{listed[0]['id']}"
    change = {"multiplier": "40", "reason": "transformers were forgotten"}
    corrected = client.patch(path, json=change, headers=tag(client, path))
    assert corrected.json() == listed[0] | {"multiplier": "40"}
    ended = {"valid_to": "2024-01-01T00:00:00Z", "reason": "r"}
    answer = client.patch(path, json=ended, headers=tag(client, path))
    assert "valid_to lie after" in refused(answer, 422, "registry-refused")
    changes = client.get("/v1/registry-changes", params={"entry": "flat-01-6"}).json()["changes"]
    assert changes[0]["before"] == {"multiplier": 1}
    assert changes[0]["reason"] == "transformers were forgotten"


@pytest.mark.parametrize(
    ("path", "name", "total"),
    [
        ("/v1/installations", "installations", 6),
        ("/v1/service-points", "service_points", 6),
        ("/v1/gateways", "gateways", 2),
        ("/v1/registry-changes", "changes", 28),
    ],
)
def test_pages_give_each_entry_once(
    client: TestClient, ours: Seeded, path: str, name: str, total: int
) -> None:
    rows: list[Any] = []
    asked: dict[str, Any] = {"limit": 4}
    while True:
        page = client.get(path, params=asked).json()
        rows += page[name]
        if page["next_cursor"] is None:
            break
        asked["cursor"] = page["next_cursor"]
    keys = [row.get("id", row.get("code")) for row in rows]
    assert len(keys) == len(set(keys))
    assert len(keys) >= total


def test_a_change_that_names_what_is_not_known_says_so(client: TestClient, ours: Seeded) -> None:
    path = "/v1/service-points/flat-01-8"
    for change in ({"medium": "heat"}, {"accounts": "1"}, {"name": None}, {"reason": ""}):
        answer = client.patch(path, json={"reason": "r"} | change, headers=tag(client, path))
        refused(answer, 422, "invalid-request")
    far = client.patch(
        path, json={"ended_at": "9999-12-31T23:59:59-23:00", "reason": "r"}, headers=tag(client, path)
    )
    assert "after 2200" in refused(far, 422, "invalid-request")
    assert refused(client.get("/v1/sites/nowhere"), 404, "not-found")
    assert refused(client.get("/v1/gateways/nowhere"), 404, "not-found")
    assert refused(client.get("/v1/installations/2147483647"), 404, "not-found")
