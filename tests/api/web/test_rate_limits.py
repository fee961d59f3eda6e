"""Rates and lock-outs on a clock of the test's own."""

from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
from fastapi.testclient import TestClient

from api.web.app import create_app
from api.web.rate_limits import TokenBuckets, network_of
from api.web.settings import ApiSettings
from tests.api.conftest import Clock
from tests.api.seeding import Seeded, seed


@pytest.fixture
def ours(connection: psycopg.Connection) -> Seeded:
    """A small utility: nothing here looks at its readings."""
    return seed(connection, "alpha", flats=1, days=1)


def test_a_bucket_gives_a_burst_and_then_its_rate(clock: Clock) -> None:
    buckets = TokenBuckets(2, 3, clock)
    assert [buckets.take("a") for _ in range(4)] == [None, None, None, timedelta(seconds=0.5)]
    assert buckets.take("b") is None
    clock.now += timedelta(seconds=0.5)
    assert buckets.take("a") is None
    assert buckets.take("a") == timedelta(seconds=0.5)
    clock.now += timedelta(hours=1)
    assert [buckets.take("a") for _ in range(4)] == [None, None, None, timedelta(seconds=0.5)]


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
    ],
)
def test_an_ipv6_customer_is_counted_as_one(address: str, network: str) -> None:
    assert network_of(address) == network


def test_who_asks_too_often_is_told_when_to_come_back(
    settings: ApiSettings, clock: Clock, ours: Seeded
) -> None:
    for rates in ({"caller_rate": 0.5, "caller_burst": 2}, {"address_rate": 0.5, "address_burst": 2}):
        limited = replace(settings, **rates)
        with TestClient(create_app(limited, clock=clock), base_url="http://127.0.0.1") as client:
            client.headers["X-API-Key"] = ours.key
            assert [client.get("/v1/meters").status_code for _ in range(3)] == [200, 200, 429]
            refused = client.get("/v1/meters")
            assert refused.headers["content-type"] == "application/problem+json"
            assert refused.headers["retry-after"] == "3"
            assert refused.json()["type"] == "/problems/too-many-requests"
            assert "content-security-policy" in refused.headers
            clock.now += timedelta(seconds=3)
            assert client.get("/v1/meters").status_code == 200
