"""Exports: the same figures as elsewhere, streamed with bounded memory, few at once, and in the audit log."""

import csv
import io
import socket
import sys
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import psycopg
import pyarrow.parquet as pq
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.web.services import Services
from metering.delivery.formats import BILLING_WRITERS, FORMATS, READINGS_WRITERS
from store.delivery import outgoing
from tests.api.seeding import NOW, PERIOD, Seeded, correct
from tests.support.browsing import serving

RANGE = {"from": (NOW - timedelta(days=2)).isoformat(), "to": NOW.isoformat()}
READINGS = "/v1/exports/readings"
BILLING = f"/v1/exports/billing/{PERIOD}"


@pytest.fixture
def many(ours: Seeded, connection: psycopg.Connection) -> dict[str, str]:
    """The range of a meter's 300,000 readings."""
    connection.execute(
        """
        insert into readings (register_id, measured_at, value)
        select %s, %s - n * interval '7 seconds', n::bigint * 1000003 %% 98765432123
        from generate_series(1, 300000) n on conflict do nothing
        """,
        (ours.registers[0], NOW),
    )
    connection.commit()
    start = NOW - timedelta(days=31)
    return {"from": start.isoformat(), "to": NOW.isoformat(), "meter": ours.meters[0]}


def as_it_is(ours: Seeded) -> dict[str, str]:
    """The headers of a program that takes files uncompressed."""
    return {"X-API-Key": ours.key, "Accept-Encoding": "identity"}


def rows_of(answer: Any) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    if answer.headers["content-type"].startswith("text/csv"):
        return list(csv.DictReader(io.StringIO(answer.text)))
    rows: list[dict[str, Any]] = pq.read_table(io.BytesIO(answer.content)).to_pylist()
    return rows


def test_readings_of_a_range_are_those_of_the_meters(
    client: TestClient, ours: Seeded, theirs: Seeded
) -> None:
    exported = rows_of(client.get(f"{READINGS}.csv", params=RANGE))
    assert {row["meter"] for row in exported} == set(ours.meters)
    listed = client.get(f"/v1/meters/{ours.meters[0]}/readings", params=RANGE).json()["readings"]
    mine = [row for row in exported if row["meter"] == ours.meters[0]]
    assert [Decimal(row["value"]) for row in mine] == [Decimal(row["value"]) for row in listed]
    parquet = rows_of(client.get(f"{READINGS}.parquet", params=RANGE))
    assert [(row["meter"], row["obis"], row["value"]) for row in parquet] == [
        (row["meter"], row["obis"], Decimal(row["value"])) for row in exported
    ]


def test_readings_are_narrowed_by_site_medium_and_meter(client: TestClient, ours: Seeded) -> None:
    def meters(**asked: Any) -> set[str]:
        return {row["meter"] for row in rows_of(client.get(f"{READINGS}.csv", params=RANGE | asked))}

    assert meters(medium="heat") == {ours.meters[2], ours.meters[5]}
    assert meters(site="house-1", meter=ours.meters[:2]) == set(ours.meters[:2])
    assert meters(site="elsewhere") == set()
    assert meters(meter="'; drop table readings; --") == set()
    assert meters(site="'; drop table readings; --", medium="heat") == set()


def test_billing_readings_are_the_highest_versions_up_to_a_cursor(
    client: TestClient, ours: Seeded, connection: psycopg.Connection
) -> None:
    pulled = client.get(f"/v1/billing/{PERIOD}").json()
    correct(connection, ours, by=1)
    for file_format in ("csv", "parquet"):
        before = rows_of(client.get(f"{BILLING}.{file_format}", params={"cursor": pulled["next_cursor"]}))
        assert sorted(row["content_hash"] for row in before) == sorted(
            row["content_hash"] for row in pulled["readings"]
        )
        after = rows_of(client.get(f"{BILLING}.{file_format}"))
        assert [int(row["version"]) for row in after].count(2) == 1
        assert len(after) == len(before)
    assert client.get("/v1/exports/billing/2020-01.csv").status_code == 404
    assert client.get(f"{BILLING}.xml").status_code == 422


@pytest.mark.parametrize("name", BILLING_WRITERS)
def test_billing_readings_are_offered_in_every_format(
    client: TestClient, ours: Seeded, connection: psycopg.Connection, name: str
) -> None:
    issue = outgoing.issue(connection, ours.code, PERIOD)
    assert issue is not None
    answer = client.get(f"{BILLING}.{name}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].partition(";")[0] == FORMATS[name].media_type
    assert answer.headers["content-disposition"].endswith(f'.{FORMATS[name].extension}"')
    assert answer.content == b"".join(BILLING_WRITERS[name](issue, outgoing.held(connection, issue)))


@pytest.mark.parametrize("name", READINGS_WRITERS)
def test_readings_are_offered_in_every_format(client: TestClient, ours: Seeded, name: str) -> None:
    answer = client.get(f"{READINGS}.{name}", params=RANGE)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].partition(";")[0] == FORMATS[name].media_type
    assert len(answer.content) > len(client.get(f"{READINGS}.{name}", params=RANGE | {"site": "-"}).content)


def test_the_openapi_document_lists_the_formats(client: TestClient) -> None:
    paths = client.get("/v1/openapi.json").json()["paths"]
    for kind, path in (
        (BILLING_WRITERS, "/v1/exports/billing/{period}.{file_format}"),
        (READINGS_WRITERS, "/v1/exports/readings.{file_format}"),
    ):
        (wanted,) = [each for each in paths[path]["get"]["parameters"] if each["name"] == "file_format"]
        assert wanted["schema"]["enum"] == list(kind)
        types = paths[path]["get"]["responses"]["200"]["content"]
        assert {FORMATS[name].media_type for name in kind} <= types.keys()


def test_a_register_that_a_format_has_no_words_for_is_refused(
    client: TestClient, ours: Seeded, connection: psycopg.Connection
) -> None:
    connection.execute("alter table billing_readings disable trigger user")
    connection.execute("update billing_readings set unit = 'Cel'")
    connection.commit()
    answer = client.get(f"{BILLING}.espi")
    assert answer.status_code == 422
    assert "use csv" in answer.json()["detail"]


def test_an_export_is_in_the_audit_log_with_its_range(
    client: TestClient, ours: Seeded, connection: psycopg.Connection
) -> None:
    client.get(f"{READINGS}.csv", params=RANGE)
    client.get(f"{BILLING}.csv")
    noted = connection.execute(
        "select action, subject, detail::jsonb -> 'query' from audit_log order by id desc limit 2"
    ).fetchall()
    assert noted == [
        ("read billing data", f"{BILLING}.csv", {}),
        ("read personal data", f"{READINGS}.csv", RANGE),
    ]


@pytest.mark.parametrize(
    ("days", "asked"), [(32, {}), (401, {"site": "house-1"}), (401, {"meter": "KAM-1"}), (0, {}), (-1, {})]
)
def test_a_range_has_its_limits(client: TestClient, ours: Seeded, days: int, asked: dict[str, str]) -> None:
    bounds = {"from": (NOW - timedelta(days=days)).isoformat(), "to": NOW.isoformat()}
    assert client.get(f"{READINGS}.csv", params=bounds | asked).status_code == 422


def test_without_pyarrow_csv_is_offered(
    client: TestClient, ours: Seeded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for address, asked in ((READINGS, RANGE), (BILLING, {})):
        answer = client.get(f"{address}.parquet", params=asked)
        assert answer.status_code == 422
        assert "ask for csv" in answer.json()["detail"]


def test_few_exports_run_at_once_and_one_that_is_broken_off_makes_room(
    app: FastAPI, ours: Seeded, many: dict[str, str]
) -> None:
    small = httpx.HTTPTransport(socket_options=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)])
    with (
        serving(app) as url,
        httpx.Client(base_url=url, headers=as_it_is(ours), transport=small) as client,
    ):
        shared: Services = app.state.services
        with (
            client.stream("GET", f"{READINGS}.csv", params=many) as one,
            client.stream("GET", f"{READINGS}.csv", params=many) as two,
        ):
            assert (one.status_code, two.status_code) == (200, 200)
            refused = client.get(f"{READINGS}.csv", params=RANGE)
            assert (refused.status_code, refused.json()["type"]) == (429, "/problems/exports-busy")
            assert int(refused.headers["retry-after"]) > 0
        for _ in range(2):  # nobody reads the two any more
            assert shared.exports.acquire(timeout=10)
        shared.exports.release(2)
        assert client.get(f"{READINGS}.csv", params=RANGE).status_code == 200


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_a_file_leaves_in_pieces_as_the_database_sends_it(
    app: FastAPI, ours: Seeded, many: dict[str, str], file_format: str
) -> None:
    with (
        serving(app) as url,
        httpx.Client(base_url=url, headers=as_it_is(ours)) as client,
        client.stream("GET", f"{READINGS}.{file_format}", params=many) as answer,
    ):
        assert answer.headers["transfer-encoding"] == "chunked"
        assert "attachment" in answer.headers["content-disposition"]
        sizes = [len(piece) for piece in answer.iter_raw()]
    assert len(sizes) >= 3
    assert max(sizes) < sum(sizes) / 2
