"""What needs attention comes first and by name; gaps, exchanges and unbilled months are told as such."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import psycopg
import pytest
from fastapi.testclient import TestClient

from api.pages.meters.spans import chart_of
from store.validation.finding_list import FindingFilter, ListedFinding, gravest_findings
from tests.api.seeding import NOW, Seeded, insert

PRAGUE = ZoneInfo("Europe/Prague")


def rows_of(page: str) -> list[tuple[str, str]]:
    """(meter, state) of the table of meters, in its order."""
    rows = page.split('<tr data-meter="')[1:]
    return [(row.split('"')[0], row.split('data-state="')[1].split('"')[0]) for row in rows]


def exchange(connection: psycopg.Connection, ours: Seeded) -> str:
    """Replace the first meter by a new one 20 days ago; answers the new one's id."""
    at = NOW - timedelta(days=20)
    point, old = connection.execute(
        "update installations i set valid_to = %s from meters m where m.id = i.meter_id and m.code = %s "
        "returning i.service_point_id, i.meter_id",
        (at, ours.meters[0]),
    ).fetchone() or (0, 0)
    connection.execute(
        "insert into meters (utility_id, site_id, code, medium) "
        "select utility_id, site_id, 'KAM-99000001', medium from meters where id = %s",
        (old,),
    )
    new = connection.execute("select id from meters where code = 'KAM-99000001'").fetchone()
    assert new is not None
    insert(connection, "installations", service_point_id=point, meter_id=new[0], valid_from=at)
    connection.commit()
    return "KAM-99000001"


def test_troubled_meters_lead_their_site_and_removed_ones_end_it(
    browser: TestClient, ours: Seeded, connection: psycopg.Connection
) -> None:
    rows = rows_of(browser.get("/meters").text)
    assert rows[:2] == [(ours.meters[1], "finding"), (ours.meters[0], "finding")], (
        "the alarm, then the warning"
    )
    exchange(connection, ours)
    rows = rows_of(browser.get("/meters").text)
    assert rows[-1] == (ours.meters[0], "removed")


def test_a_removed_meter_is_not_missed(
    browser: TestClient, ours: Seeded, connection: psycopg.Connection
) -> None:
    exchange(connection, ours)
    connection.execute("delete from readings where register_id = %s", (ours.registers[0],))
    connection.commit()
    assert '5<span class="of"> of 6</span>' in browser.get("/").text, "only the new one has no reading yet"


def test_findings_are_named_by_the_place_of_their_meter(browser: TestClient, ours: Seeded) -> None:
    attention = browser.get("/").text.split("Needs attention")[1].split("</section>")[0]
    assert "<strong>Flat 1</strong>" in attention
    assert "1 register could not be billed" in attention
    assert "Flat 1" in browser.get("/findings").text


def test_pages_of_findings_neither_repeat_nor_leave_out_any(
    ours: Seeded, connection: psycopg.Connection
) -> None:
    for day in range(7):
        insert(
            connection,
            "findings",
            utility_id=ours.id,
            register_id=ours.registers[3],
            kind="stuck",
            severity=("info", "warning", "alarm")[day % 3],
            started_at=NOW - timedelta(days=day // 2, hours=day % 2),
            evidence="{}",
        )
    whole = [finding.id for finding in gravest_findings(connection, ours.id, FindingFilter(), limit=50)]
    paged: list[int] = []
    while found := gravest_findings(
        connection, ours.id, FindingFilter(), limit=2, after=paged[-1] if paged else None
    ):
        paged += [finding.id for finding in found]
    assert paged == whole
    assert len(set(whole)) == len(whole) >= 7


def test_an_exchanged_meter_leads_to_the_one_before_and_after_it(
    browser: TestClient, ours: Seeded, connection: psycopg.Connection
) -> None:
    new = exchange(connection, ours)
    assert f'data-exchange="{ours.meters[0]}"' in browser.get(f"/meters/{new}").text
    old = browser.get(f"/meters/{ours.meters[0]}").text
    assert f'data-exchange="{new}"' in old
    assert "<dt>Removed</dt>" in old


def test_a_month_without_a_bill_says_why(browser: TestClient, ours: Seeded) -> None:
    unbilled = ours.meters[4]  # flat 2, hot water
    assert 'data-unbilled="no_reading_after"' in browser.get(f"/meters/{unbilled}").text


def test_a_gap_in_the_readings_is_marked_and_keeps_its_sum(
    browser: TestClient, ours: Seeded, connection: psycopg.Connection
) -> None:
    path = f"/meters/{ours.meters[0]}/chart?range=30d"
    assert not any(browser.get(path).json()["points"]["gap"])
    connection.execute(
        "delete from readings where register_id = %s and measured_at between %s and %s",
        (ours.registers[0], NOW - timedelta(days=12), NOW - timedelta(days=8)),
    )
    connection.commit()
    points = browser.get(path).json()["points"]
    place = points["gap"].index(True)
    assert points["gap"].count(True) == 1
    assert points["at"][place] - points["since"][place] > timedelta(days=4).total_seconds()
    assert points["consumption"][place] is not None


def test_a_reading_some_seconds_after_midnight_closes_the_day_before(
    browser: TestClient, ours: Seeded, connection: psycopg.Connection
) -> None:
    """A gateway begins its round at the full hour and reads meter after meter."""
    connection.execute(
        "update readings set measured_at = measured_at + interval '25 seconds' where register_id = %s",
        (ours.registers[0],),
    )
    connection.commit()
    points = browser.get(f"/meters/{ours.meters[0]}/chart?range=30d").json()["points"]
    read = datetime(2026, 11, 20, 23, 0, 25, tzinfo=UTC)  # 21 Nov 00:00:25 in Prague
    place = points["at"].index(read.timestamp())
    assert points["bucket"][place] == datetime(2026, 11, 19, 23, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(("days", "span"), [(0.0, "7d"), (10.0, "30d"), (46.0, "90d"), (200.0, "13m")])
def test_a_finding_leads_to_a_chart_that_shows_all_of_it(days: float, span: str) -> None:
    started = NOW - timedelta(days=300)
    finding = ListedFinding(
        *(1, "KAM-1", 8, "8-0:1.0.0", "m3", None, None, None, "stuck", "info", "open", "", started),
        *(started + timedelta(days=days), NOW, {}),
    )
    query = parse_qs(urlsplit(chart_of(finding, NOW, PRAGUE)).query)
    assert query["range"] == [span]
    assert query["to"][0] > (started + timedelta(days=days)).date().isoformat()
