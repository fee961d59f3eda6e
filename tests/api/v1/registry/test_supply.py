"""What a service point is fed through, who pays, how a building balances, and what is wrong with gateways."""

from datetime import UTC, date, datetime

import psycopg
from fastapi.testclient import TestClient

from tests.api.seeding import NOW, Seeded, insert

CODE = "flat-01-8"


def test_fuses_and_contracts_are_told_in_order_of_time(
    client: TestClient, ours: Seeded, theirs: Seeded, connection: psycopg.Connection
) -> None:
    point = connection.execute(
        "select id from service_points where utility_id = %s and code = %s", (ours.id, CODE)
    ).fetchone()
    assert point is not None
    of = {"utility_id": ours.id, "service_point_id": point[0]}
    insert(connection, "fuses", **of, since=date(2025, 1, 1), amperes=35_000_000, phases=3)
    insert(connection, "fuses", **of, since=date(2020, 1, 1), amperes=16_500_000, phases=1)
    began, ended = datetime(2024, 5, 1, tzinfo=UTC), datetime(2025, 5, 1, tzinfo=UTC)
    insert(connection, "contracts", **of, valid_from=ended, account="40001")
    insert(connection, "contracts", **of, valid_from=began, valid_to=ended)
    connection.commit()
    told = client.get(f"/v1/service-points/{CODE}/supply").json()
    assert [(one["since"], one["amperes"], one["phases"]) for one in told["fuses"]] == [
        ("2020-01-01", "16.5", 1),
        ("2025-01-01", "35", 3),
    ]
    assert [one["account"] for one in told["contracts"]] == [None, "40001"]
    assert told["contracts"][0]["valid_to"] == told["contracts"][1]["valid_from"]
    assert client.get("/v1/service-points/nowhere/supply").status_code == 404


def test_a_balance_is_of_whole_local_days_and_bounded(
    client: TestClient, ours: Seeded, connection: psycopg.Connection
) -> None:
    site = connection.execute("select id from sites where utility_id = %s", (ours.id,)).fetchone()
    assert site is not None
    insert(
        connection,
        "balance_days",
        utility_id=ours.id,
        site_id=site[0],
        medium=8,
        obis="8-0:1.0.0",
        unit="m3",
        day=date(2026, 11, 20),
        house=10_000_000,
        points=[1, 2, 3],
        used=[4_000_000, 3_500_000, None],
        measured=[True, False, False],
    )
    connection.commit()
    told = client.get("/v1/sites/house-1/balance").json()
    assert (told["first"], told["last"]) == ("2026-10-21", "2026-11-20")
    (water,) = told["media"]
    assert (water["house"], water["flats"], water["difference"]) == ("10", "7.5", "2.5")
    assert round(water["uncertain_share"], 3) == 0.667
    late = client.get("/v1/sites/house-1/balance", params={"from": "2026-11-21", "to": "2026-11-20"})
    assert late.status_code == 422


def test_findings_of_a_gateway_and_its_lines(
    client: TestClient, ours: Seeded, connection: psycopg.Connection
) -> None:
    gateway = connection.execute(
        "select id from gateways where utility_id = %s and code = 'gw-keller'", (ours.id,)
    ).fetchone()
    assert gateway is not None
    for line, kind in (("", "communication.disk"), ("water", "communication.crc")):
        insert(
            connection,
            "findings",
            utility_id=ours.id,
            gateway_id=gateway[0],
            line=line,
            kind=kind,
            severity="warning",
            started_at=NOW,
            evidence="{}",
        )
    connection.commit()
    told = client.get("/v1/gateways/gw-keller/findings", params={"limit": 1}).json()
    assert [(one["line"], one["kind"]) for one in told["findings"]] == [("water", "communication.crc")]
    rest = client.get("/v1/gateways/gw-keller/findings", params={"cursor": told["next_cursor"]}).json()
    assert [one["line"] for one in rest["findings"]] == [None]
    assert client.get("/v1/gateways/gw-lindenhof/findings").json()["findings"] == []
