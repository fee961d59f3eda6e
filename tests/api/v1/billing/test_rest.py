"""`/v1`: exact figures, pages that give each row once, and acknowledgements that have to add up."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient

from tests.api.seeding import NOW, PERIOD, Seeded, billing_reading


def _all(client: TestClient, path: str, name: str, **params: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    while True:
        page = client.get(path, params=params).json()
        rows += page[name]
        if page["next_cursor"] is None:
            return rows
        params["cursor"] = page["next_cursor"]


def _pull(client: TestClient, cursor: int = 0, limit: int = 2) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    while True:
        page = client.get(f"/v1/billing/{PERIOD}", params={"cursor": cursor, "limit": limit}).json()
        rows += page["readings"]
        cursor = page["next_cursor"]
        if page["complete"]:
            return rows


def _control(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What a billing system that keeps the highest version of everything would acknowledge."""
    kept = {(row["service_point"]["code"], row["obis"]): row for row in rows}
    totals: dict[str, Decimal] = {}
    for row in kept.values():
        name = f"{row['obis']} {row['unit']}"
        totals[name] = totals.get(name, Decimal(0)) + Decimal(row["consumption"])
    return {
        "cursor": rows[-1]["cursor"],
        "count": len(kept),
        "totals": {name: str(total) for name, total in totals.items()},
    }


def test_pages_of_meters_give_each_meter_once_in_order(client: TestClient, ours: Seeded) -> None:
    ids = [row["id"] for row in _all(client, "/v1/meters", "meters", limit=4)]
    assert ids == sorted(ours.meters)


def test_meters_are_found_by_medium_site_and_words(client: TestClient, ours: Seeded) -> None:
    def ids(**params: str) -> set[str]:
        return {row["id"] for row in _all(client, "/v1/meters", "meters", **params)}

    assert ids(medium="cold water") == {ours.meters[0], ours.meters[3]}
    assert ids(site="house-1") == set(ours.meters)
    assert ids(site="elsewhere") == set()
    assert ids(q="FLAT 2") == set(ours.meters[3:])
    assert ids(q="40001") == set(ours.meters[:3])
    assert ids(q="%") == set()
    refused = client.get("/v1/meters", params={"medium": "beer"})
    assert refused.status_code == 422
    assert "cold water" in refused.json()["detail"]


def test_a_meter_comes_with_its_registers_and_places(client: TestClient, ours: Seeded) -> None:
    meter = client.get(f"/v1/meters/{ours.meters[0]}").json()
    assert meter["medium"] == "cold water"
    assert meter["service_point"]["name"] == "Flat 1"
    assert meter["verified_until"] == "2031-12-31"
    assert meter["registers"][0]["name"] == "cold water volume"
    registers = client.get(f"/v1/meters/{ours.meters[0]}/registers").json()["registers"]
    assert registers[0]["last"]["measured_at"] == "2026-11-21T17:00:00Z"
    assert meter["installations"][0] == {
        "service_point": {"code": "flat-01-8", "name": "Flat 1", "account": "40001"},
        "valid_from": "2024-03-01T09:00:00Z",
        "valid_to": None,
        "multiplier": "1",
    }


def test_pages_of_readings_give_each_reading_once(
    client: TestClient, ours: Seeded, connection: psycopg.Connection
) -> None:
    path = f"/v1/meters/{ours.meters[0]}/readings"
    rows = _all(client, path, "readings", limit=100, to=NOW.isoformat())
    instants = [row["measured_at"]["utc"] for row in rows]
    assert instants == sorted(set(instants))
    stored = connection.execute(
        "select count(*) from readings where register_id = %s and measured_at >= %s and measured_at < %s",
        (ours.registers[0], NOW - timedelta(days=31), NOW),
    ).fetchone()
    assert stored == (len(rows),)


def test_pages_do_not_lose_registers_read_at_the_same_instant(
    client: TestClient, ours: Seeded, connection: psycopg.Connection
) -> None:
    connection.execute(
        """
        with added as (
            insert into registers (utility_id, meter_id, obis, unit, kind)
            select utility_id, meter_id, '8-0:2.0.0', 'm3/h', 'gauge' from registers where id = %s
            returning id)
        insert into readings select added.id, r.measured_at, -1, 0, r.received_at
        from added, readings r where r.register_id = %s
        """,
        (ours.registers[0], ours.registers[0]),
    )
    connection.commit()
    path = f"/v1/meters/{ours.meters[0]}/readings"
    rows = _all(client, path, "readings", limit=7, **{"from": (NOW - timedelta(days=2)).isoformat()})
    seen = [(row["measured_at"]["utc"], row["obis"]) for row in rows]
    assert len(seen) == len(set(seen)) == 96
    assert {row["value"] for row in rows if row["obis"] == "8-0:2.0.0"} == {"-0.000001"}
    assert {row["obis"] for row in _all(client, path, "readings", obis="8-0:2.0.0")} == {"8-0:2.0.0"}


@pytest.mark.parametrize(
    ("micro", "text"),
    [
        (0, "0"),
        (1, "0.000001"),
        (-1, "-0.000001"),
        (10_000_000, "10"),
        (56_108_000, "56.108"),
        (8_999_999_999_999_999, "8999999999.999999"),
        (9_007_199_254_740_993, "9007199254.740993"),
    ],
)
def test_values_are_exact_decimal_strings(
    client: TestClient, ours: Seeded, connection: psycopg.Connection, micro: int, text: str
) -> None:
    at = NOW - timedelta(minutes=1)
    connection.execute("insert into readings values (%s, %s, %s)", (ours.registers[0], at, micro))
    connection.commit()
    page = client.get(f"/v1/meters/{ours.meters[0]}/readings", params={"from": at.isoformat()}).json()
    assert [row["value"] for row in page["readings"]] == [text]


def test_a_reading_says_its_quality_status_and_local_time(
    client: TestClient, ours: Seeded, connection: psycopg.Connection
) -> None:
    connection.execute(
        "update readings set status = 3 where register_id = %s and measured_at = %s",
        (ours.registers[0], NOW.replace(minute=0)),
    )
    connection.commit()
    path = f"/v1/meters/{ours.meters[0]}/readings"
    rows = {row["measured_at"]["utc"]: row for row in _all(client, path, "readings")}
    marked = rows["2026-11-15T14:00:00Z"]
    assert marked["quality"] == {"code": 10, "label": "questionable"}
    assert marked["marks"] == ["glitch"]
    assert marked["measured_at"]["local_offset"] == "+01:00"
    assert rows["2026-11-15T13:00:00Z"]["quality"] == {"code": 0, "label": "valid"}
    newest = rows["2026-11-21T17:00:00Z"]
    assert newest["quality"] == {"code": 14, "label": "raw"}
    assert newest["status"] == ["power low", "permanent error"]
    assert rows["2026-10-24T23:00:00Z"]["measured_at"]["local_offset"] == "+02:00"
    telegram = client.get(newest["telegram"]).json()
    assert telegram["raw"].startswith("6830306808")
    assert telegram["gateway"] == "gw-lindenhof"
    missing = client.get(marked["telegram"])
    assert missing.status_code == 404


@pytest.mark.parametrize(
    "params",
    [
        {"limit": 5001},
        {"limit": 0},
        {"limit": "many"},
        {"from": "2026-11-01T00:00:00"},
        {"from": "2020-01-01T00:00:00Z"},
        {"from": "2026-11-02T00:00:00Z", "to": "2026-11-01T00:00:00Z"},
        {"cursor": "999999999999999999.1"},
        {"cursor": "'; drop table readings"},
        {"obis": "1.8.0"},
    ],
)
def test_questions_without_bounds_or_sense_are_refused(
    client: TestClient, ours: Seeded, params: dict[str, str]
) -> None:
    answer = client.get(f"/v1/meters/{ours.meters[0]}/readings", params=params)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


def test_findings_of_a_meter_come_in_pages(client: TestClient, ours: Seeded) -> None:
    rows = _all(client, f"/v1/meters/{ours.meters[0]}/findings", "findings", limit=1)
    assert [row["kind"] for row in rows] == ["negative_step.glitch"]
    assert rows[0]["evidence"]["before"] == "412.318"
    closed = client.get(f"/v1/meters/{ours.meters[0]}/findings", params={"state": "resolved"}).json()
    assert closed["findings"] == []


def test_billing_pages_give_each_row_once_and_say_when_it_was_the_last(
    client: TestClient, ours: Seeded
) -> None:
    rows = _pull(client)
    cursors = [row["cursor"] for row in rows]
    assert cursors == sorted(set(cursors))
    assert len(rows) == 5
    row = rows[0]
    assert row["starts_at"] == {"utc": "2026-09-30T22:00:00Z", "local_offset": "+02:00"}
    assert row["ends_at"] == {"utc": "2026-10-31T23:00:00Z", "local_offset": "+01:00"}
    assert row["meters"] == [ours.meters[0]]
    assert row["methods"] == {"start": "set_day", "end": "reading"}
    assert Decimal(row["end_value"]) - Decimal(row["start_value"]) == Decimal(row["consumption"])
    assert row["consumption"] == "14.408234"
    assert len(row["content_hash"]) == 64
    assert _pull(client, cursor=cursors[-1]) == []


def test_a_correction_comes_behind_the_cursor_and_replaces_in_the_totals(
    client: TestClient, ours: Seeded, connection: psycopg.Connection
) -> None:
    rows = _pull(client)
    before = _control(rows)
    path = f"/v1/billing/{PERIOD}/acknowledgements"
    assert client.post(path, json=before).status_code == 201
    point, close = connection.execute(
        "select service_point_id, close_id from billing_readings where id = %s", (rows[0]["cursor"],)
    ).fetchone() or (0, 0)
    billing_reading(
        *(connection, ours.id, close, point),
        obis="8-0:1.0.0",
        unit="m3",
        start=0,
        consumption=1_000_001,
        version=2,
    )
    connection.commit()
    corrections = _pull(client, cursor=rows[-1]["cursor"])
    assert [(row["version"], row["consumption"]) for row in corrections] == [(2, "1.000001")]
    after = _control(rows + corrections)
    assert after["count"] == before["count"]
    assert client.post(path, json=before).status_code == 201, "what was true up to that cursor stays true"
    assert client.post(path, json={**before, "cursor": after["cursor"]}).status_code == 409
    stored = client.post(path, json=after)
    assert stored.status_code == 201
    assert stored.json()["totals"] == after["totals"]


@pytest.mark.parametrize("spoil", ["count", "totals", "missing", "unit"])
def test_an_acknowledgement_that_does_not_add_up_is_refused_with_both_sides(
    client: TestClient, connection: psycopg.Connection, spoil: str
) -> None:
    taken = _control(_pull(client))
    right = {"count": taken["count"], "totals": dict(taken["totals"])}
    if spoil == "count":
        taken["count"] += 1
    elif spoil == "totals":
        name = next(iter(taken["totals"]))
        taken["totals"][name] = str(Decimal(taken["totals"][name]) + Decimal("0.000001"))
    elif spoil == "missing":
        taken["totals"].popitem()
    else:
        taken["totals"] = {f"{name}x": total for name, total in taken["totals"].items()}
    answer = client.post(f"/v1/billing/{PERIOD}/acknowledgements", json=taken)
    assert answer.status_code == 409
    problem = answer.json()
    assert problem["type"] == "/problems/control-totals-differ"
    assert problem["yours"] == taken
    assert problem["ours"]["count"] == right["count"]
    assert {name: Decimal(total) for name, total in problem["ours"]["totals"].items()} == {
        name: Decimal(total) for name, total in right["totals"].items()
    }
    assert connection.execute("select count(*) from billing_acknowledgements").fetchone() == (0,)


def test_totals_may_be_written_with_trailing_zeros(client: TestClient) -> None:
    taken = _control(_pull(client))
    taken["totals"] = {name: f"{Decimal(total):.6f}" for name, total in taken["totals"].items()}
    assert client.post(f"/v1/billing/{PERIOD}/acknowledgements", json=taken).status_code == 201


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"cursor": 1, "count": 1},
        {"cursor": -1, "count": 1, "totals": {}},
        {"cursor": 1, "count": 1, "totals": {"8-0:1.0.0 m3": 1.5}},
        {"cursor": 1, "count": 1, "totals": {"8-0:1.0.0 m3": "NaN"}},
        {"cursor": 1, "count": 1, "totals": {"8-0:1.0.0 m3": "1e999999"}},
        {"cursor": 1, "count": 1, "totals": {}, "note": "x"},
        [],
    ],
)
def test_an_acknowledgement_without_sense_is_refused(client: TestClient, body: Any) -> None:
    answer = client.post(f"/v1/billing/{PERIOD}/acknowledgements", json=body)
    assert answer.status_code == 422


def test_the_description_of_the_api_is_for_those_with_a_key(client: TestClient) -> None:
    paths = client.get("/v1/openapi.json").json()["paths"]
    assert "/v1/billing/{period}/acknowledgements" in paths
    assert not any(path.startswith("/sign") for path in paths)
