"""The client, against the API as it is served: what is lost on the way is asked again and happens once."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import httpx
import psycopg
import pyarrow.parquet as pq
import pytest
from fastapi import FastAPI

from api.web.app import create_app
from api.web.settings import ApiSettings
from hesper_client import Client, ProblemError
from tests.api.conftest import Clock
from tests.api.seeding import NOW, PERIOD, Seeded
from tests.support.browsing import serving

WATER = "8-0:1.0.0"


class LosesAnswers(httpx.HTTPTransport):
    """Sends requests, and loses the first answers."""

    def __init__(self, lost: int) -> None:
        super().__init__()
        self.lost = lost

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = super().handle_request(request)
        if not self.lost:
            return answer
        self.lost -= 1
        answer.close()
        raise httpx.ReadTimeout("nothing came", request=request)


@pytest.fixture
def url(app: FastAPI, ours: Seeded) -> Iterator[str]:
    with serving(app) as address:
        yield address


@pytest.fixture
def hesper(url: str, ours: Seeded) -> Iterator[Client]:
    with Client(url, ours.key) as client:
        yield client


def test_lists_are_followed_to_their_end(hesper: Client, ours: Seeded) -> None:
    assert [meter.id for meter in hesper.meters(limit=2)] == sorted(ours.meters)
    (first,) = hesper.meters(service_point="flat-01-8", fields="verified_until")
    assert (first.id, first.verified_until, first.model) == (ours.meters[0], date(2031, 12, 31), "")
    assert [site.code for site in hesper.sites()] == ["house-1"]
    assert len(list(hesper.service_points(account="40001"))) == 3
    assert {one.meter for one in hesper.installations(limit=4)} == set(ours.meters)
    readings = list(hesper.readings(ours.meters[0], NOW - timedelta(days=2), NOW, limit=7))
    assert len(readings) == 48
    assert isinstance(readings[0].value, Decimal)
    days = hesper.consumption(ours.meters[0], "day", date(2026, 11, 19), date(2026, 11, 21))
    assert sum(day.consumption or 0 for day in days) == days[-1].last.value - days[0].first.value


def test_a_change_is_made_to_what_was_seen(hesper: Client, ours: Seeded) -> None:
    seen = hesper.meter(ours.meters[0])
    changed = hesper.change_meter(seen, model="Multical 403", reason="wrong label")
    assert changed.document.model == "Multical 403"
    with pytest.raises(ProblemError, match="412") as caught:
        hesper.change_meter(seen, model="another", reason="r")
    assert caught.value.name == "changed-meanwhile"
    hesper.record_verification(ours.meters[0], date(2026, 11, 1), date(2032, 11, 1), reason="done")
    assert hesper.meter(ours.meters[0]).document.verified_until == date(2032, 11, 1)
    last = list(hesper.readings(ours.meters[0], NOW - timedelta(days=1), NOW))[-1].value
    done = hesper.exchange_meter(
        hesper.service_point("flat-01-8"),
        "KAM-99",
        NOW,
        end_values={WATER: last},
        start_values={WATER: Decimal(0)},
        reason="broken display",
    )
    assert [one.meter for one in done.document.installations] == [ours.meters[0], "KAM-99"]


def test_a_change_whose_answer_was_lost_is_made_once(
    url: str, ours: Seeded, connection: psycopg.Connection
) -> None:
    waits: list[float] = []
    with Client(url, ours.key, transport=LosesAnswers(0), sleep=waits.append) as hesper:
        readings = list(hesper.billing_readings(PERIOD))
        totals: dict[str, Decimal] = {}
        for one in readings:
            name = f"{one.obis} {one.unit}"
            totals[name] = totals.get(name, Decimal(0)) + one.consumption
    with Client(url, ours.key, transport=LosesAnswers(2), sleep=waits.append) as hesper:
        kept = hesper.acknowledge(PERIOD, cursor=readings[-1].cursor, count=len(readings), totals=totals)
    assert kept.totals == totals
    assert waits == [1.0, 2.0]
    assert connection.execute("select count(*) from billing_acknowledgements").fetchone() == (1,)
    with (
        Client(url, ours.key, transport=LosesAnswers(99), sleep=waits.append) as hesper,
        pytest.raises(httpx.ReadTimeout),
    ):
        hesper.meter(ours.meters[0])


def test_it_waits_as_long_as_the_server_says(settings: ApiSettings, ours: Seeded, clock: Clock) -> None:
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        clock.now += timedelta(seconds=seconds)

    slow = create_app(replace(settings, caller_rate=0.2, caller_burst=1), clock=clock)
    with serving(slow) as url, Client(url, ours.key, sleep=sleep) as hesper:
        assert len(list(hesper.meters(limit=3))) == 6
    assert waits
    assert all(5 <= wait <= 6 for wait in waits)


def test_a_file_is_there_whole_or_not_at_all(hesper: Client, ours: Seeded, tmp_path: Path) -> None:
    hesper.export_billing_readings(tmp_path / "october.parquet", PERIOD)
    assert pq.read_table(tmp_path / "october.parquet").num_rows == 5
    hesper.export_readings(tmp_path / "days.csv", NOW - timedelta(days=2), NOW, medium="heat")
    assert len((tmp_path / "days.csv").read_text().splitlines()) == 1 + 2 * 48
    hesper.export_billing_readings(tmp_path / "october.xml", PERIOD, file_format="espi")
    assert b"naesb.org/espi" in (tmp_path / "october.xml").read_bytes()
    with pytest.raises(ProblemError, match="404"):
        hesper.export_billing_readings(tmp_path / "never.csv", "2020-01")
    files = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert files == dict.fromkeys(("october.parquet", "october.xml", "days.csv"), 0o600)
