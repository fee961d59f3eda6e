"""Readings raw and effective, and consumption by the local calendar, across days of 23 and 25 hours."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient

from tests.api.conftest import Clock
from tests.api.seeding import NOW, ZONE, Seeded

LITRE = 1000  # micro-m3


@pytest.fixture
def steady(ours: Seeded, connection: psycopg.Connection) -> str:
    """A meter whose register counts a litre an hour, a minute after each full hour, all through 2025."""
    connection.execute("delete from marks; delete from findings")
    connection.execute("delete from readings where register_id = %s", (ours.registers[0],))
    first = datetime(2024, 12, 30, 0, 1, tzinfo=UTC)
    with connection.cursor().copy("copy readings (register_id, measured_at, value) from stdin") as copy:
        for hour in range(24 * 370):
            copy.write_row((ours.registers[0], first + timedelta(hours=hour), hour * LITRE))
    connection.commit()
    return ours.meters[0]


def consumption(client: TestClient, meter: str, by: str, **asked: str) -> list[dict[str, Any]]:
    answer = client.get(f"/v1/meters/{meter}/consumption", params={"by": by, **asked})
    assert answer.status_code == 200, answer.text
    periods: list[dict[str, Any]] = answer.json()["periods"]
    return periods


def test_a_day_is_a_local_day_also_where_it_has_23_or_25_hours(client: TestClient, steady: str) -> None:
    for first, end, expected in (
        ("2025-03-29", "2025-04-01", ["0.024", "0.023", "0.024"]),
        ("2025-10-25", "2025-10-28", ["0.024", "0.025", "0.024"]),
    ):
        days = consumption(client, steady, "day", **{"from": first, "to": end})
        assert [day["consumption"] for day in days] == expected
    march = consumption(client, steady, "day", **{"from": "2025-03-30", "to": "2025-03-31"})
    assert (march[0]["starts_at"], march[0]["ends_at"]) == (
        {"utc": "2025-03-29T23:00:00Z", "local_offset": "+01:00"},
        {"utc": "2025-03-30T22:00:00Z", "local_offset": "+02:00"},
    )
    assert march[0]["first"]["at"]["utc"] == "2025-03-29T23:01:00Z"
    assert march[0]["last"]["at"]["utc"] == "2025-03-30T22:01:00Z"


def test_the_hour_that_comes_twice_is_two_hours(client: TestClient, steady: str) -> None:
    hours = consumption(client, steady, "hour", **{"from": "2025-10-26", "to": "2025-10-27"})
    assert len(hours) == 25
    assert {hour["consumption"] for hour in hours} == {"0.001"}
    starts = [(hour["starts_at"]["utc"], hour["starts_at"]["local_offset"]) for hour in hours[2:4]]
    assert starts == [("2025-10-26T00:00:00Z", "+02:00"), ("2025-10-26T01:00:00Z", "+01:00")]


def test_months_and_years_add_up_to_their_days(client: TestClient, steady: str) -> None:
    months = consumption(client, steady, "month", **{"from": "2025-01-15", "to": "2026-01-01"})
    assert [Decimal(month["consumption"]) * 1000 for month in months] == [
        24 * days + {3: -1, 10: 1}.get(number, 0)
        for number, days in enumerate((31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31), 1)
    ]
    (year,) = consumption(client, steady, "year", **{"from": "2025-06-01", "to": "2026-01-01"})
    assert year["consumption"] == "8.76"
    assert year["starts_at"]["utc"] == "2024-12-31T23:00:00Z"
    assert year["ends_at"]["utc"] == "2025-12-31T23:00:00Z"
    days = consumption(client, steady, "day", **{"from": "2025-01-01", "to": "2026-01-01"})
    assert sum(Decimal(day["consumption"]) for day in days) == Decimal(year["consumption"])


def test_an_interval_has_both_its_ends(client: TestClient, steady: str) -> None:
    first, *_ = consumption(client, steady, "reading", **{"from": "2025-10-26", "to": "2025-10-27"})
    assert (first["starts_at"], first["ends_at"]) == (first["first"]["at"], first["last"]["at"])
    assert first["ends_at"]["utc"] == "2025-10-25T22:01:00Z"


def test_what_a_gap_hides_is_counted_once_and_a_fall_is_not_counted(
    client: TestClient, ours: Seeded, steady: str, connection: psycopg.Connection
) -> None:
    connection.execute(
        "delete from readings where register_id = %s and measured_at between '2025-06-02' and '2025-06-04'",
        (ours.registers[0],),
    )
    connection.execute("update registers set capacity = null where id = %s", (ours.registers[0],))
    connection.execute(
        "update readings set value = value - 1000000 where register_id = %s and measured_at > '2025-06-10'",
        (ours.registers[0],),
    )
    connection.commit()
    days = consumption(client, steady, "day", **{"from": "2025-06-01", "to": "2025-06-12"})
    used = {day["starts_at"]["utc"][:10]: day["consumption"] for day in days}
    assert "2025-06-02" not in used
    assert used["2025-06-03"] == "0.071"  # the hours since the last reading before the gap
    assert used["2025-06-09"] is None


def test_what_rules_or_people_found_unusable_is_raw_and_not_effective(
    client: TestClient, ours: Seeded, connection: psycopg.Connection
) -> None:
    path = f"/v1/meters/{ours.meters[0]}/readings"
    marked = NOW.replace(minute=0) - timedelta(days=6, hours=3)  # as the seeding marks it
    asked = {
        "from": (marked - timedelta(hours=1)).isoformat(),
        "to": (marked + timedelta(hours=2)).isoformat(),
    }
    raw = client.get(path, params=asked).json()
    effective = client.get(path, params=asked | {"view": "effective"}).json()
    assert (raw["view"], effective["view"]) == ("raw", "effective")
    assert [one["marks"] for one in raw["readings"]] == [[], ["glitch"], []]
    assert effective["readings"] == [raw["readings"][0], raw["readings"][2]]
    day = marked.astimezone(ZONE).date()
    hours = consumption(
        client, ours.meters[0], "hour", **{"from": str(day), "to": str(day + timedelta(days=1))}
    )
    assert len(hours) == 23


def test_without_bounds_it_is_the_last_31_days_of_the_first_billed_register(
    client: TestClient, ours: Seeded, clock: Clock
) -> None:
    answer = client.get(f"/v1/meters/{ours.meters[0]}/consumption").json()
    assert (answer["obis"], answer["from"], answer["to"]) == ("8-0:1.0.0", "2026-10-22", "2026-11-22")
    assert len(answer["periods"]) == 31


@pytest.mark.parametrize(
    "asked",
    [
        {"from": "2025-06-01", "to": "2025-06-01"},
        {"by": "hour", "from": "2025-01-01", "to": "2025-06-01"},
        {"by": "year", "from": "2005-01-01", "to": "2025-06-01"},
        {"from": "0001-01-01", "to": "9999-12-31"},
        {"obis": "1-0:1.8.0"},
        {"by": "week"},
    ],
)
def test_a_range_or_register_that_cannot_be_is_refused(
    client: TestClient, ours: Seeded, asked: dict[str, str]
) -> None:
    answer = client.get(f"/v1/meters/{ours.meters[0]}/consumption", params=asked)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-request")
