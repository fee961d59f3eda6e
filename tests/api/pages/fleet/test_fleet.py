"""The fleet: a tree with sums, one search, arrival with its reasons, and the verification calendar."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import psycopg
import pytest
from fastapi.testclient import TestClient

from api.pages.fleet.arrival import MISSED, level
from api.web.adaptive_cache import AdaptiveCache
from store.fleet.tree import SiteCounts, arrived, search, site_counts, tree
from store.fleet.verification import due, ending, months
from store.postgres.roles import enter_utility
from store.readings import completeness, misses
from store.readings.arrival_days import DayCell, meter_days
from store.readings.misses import MissedPoll
from store.readings.raw import mark_for_validation
from telemetry.wire import MissReason
from tests.api.seeding import NOW, ZONE, Seeded, insert

TODAY = NOW.astimezone(ZONE).date()


def _site(id_: int, parent: int | None, name: str, meters: int = 1) -> SiteCounts:
    return SiteCounts(id_, parent, f"s{id_}", name, "", meters, id_, 0, 0)


def test_a_tree_sums_over_what_is_below_and_counts_names_as_people_do() -> None:
    (town,) = tree([_site(2, 1, "Flat 10"), _site(3, 1, "Flat 2"), _site(1, None, "Town", meters=0)])
    assert [branch.site.name for branch in town.walk()] == ["Town", "Flat 2", "Flat 10"]
    assert (town.meters, town.alarms) == (2, 6)
    assert [branch.depth for branch in town.walk()] == [0, 1, 1]


def test_sites_in_a_circle_are_shown_once_each() -> None:
    branches = tree([_site(1, 2, "A"), _site(2, 1, "B"), _site(3, 9, "C")])
    shown = [branch.site.id for root in branches for branch in root.walk()]
    assert sorted(shown) == [1, 2, 3]


def test_counts_of_a_site_are_of_its_own_utility(
    connection: psycopg.Connection, ours: Seeded, theirs: Seeded
) -> None:
    connection.execute(
        "update meters set verified_until = %s where code = %s", (TODAY - timedelta(days=1), ours.meters[0])
    )
    (site,) = site_counts(connection, ours.id, TODAY)
    assert (site.name, site.meters, site.expired) == ("Lindenhof 7", 6, 1)
    assert (site.alarms, site.warnings) == (1, 1)


@pytest.mark.parametrize(
    ("text", "kind"), [("lindenhof", "site"), ("FLAT-01-8", "account"), ("40001", "account")]
)
def test_a_search_finds_addresses_places_and_accounts(
    connection: psycopg.Connection, ours: Seeded, text: str, kind: str
) -> None:
    assert kind in {hit.kind for hit in search(connection, ours.id, text)}


def test_a_search_finds_a_serial_number_of_ones_own(
    connection: psycopg.Connection, ours: Seeded, theirs: Seeded
) -> None:
    serial = ours.meters[2].partition("-")[2]
    assert [hit.code for hit in search(connection, ours.id, serial)] == [ours.meters[2]]
    assert search(connection, theirs.id, serial) == []
    assert search(connection, ours.id, "%") == [], "a wildcard is a text like any other"


def test_a_found_meter_is_one_click_away(browser: TestClient, ours: Seeded) -> None:
    page = browser.get("/", params={"q": ours.meters[3][4:]}).text
    assert f'href="/meters/{ours.meters[3]}"' in page
    assert "Nothing has that in it" in browser.get("/", params={"q": "no such thing"}).text


def count_arrivals(connection: psycopg.Connection, ours: Seeded) -> None:
    connection.execute(
        "update registers set expected_interval = interval '1 hour' where utility_id = %s", (ours.id,)
    )
    rows = connection.execute(
        "select register_id, measured_at from readings where register_id = any(%s)", (ours.registers,)
    ).fetchall()
    ids = np.array([row[0] for row in rows], np.int32)
    at = np.array([int(row[1].timestamp() * 1_000_000) for row in rows], np.int64)
    mark_for_validation(connection, ids, at)
    connection.commit()
    while completeness.count(connection):
        pass


def test_a_day_has_what_was_due_and_what_came(connection: psycopg.Connection, ours: Seeded) -> None:
    gone = datetime(2026, 11, 18, 3, tzinfo=UTC)
    connection.execute(
        "delete from readings where register_id = %s and measured_at = %s", (ours.registers[0], gone)
    )
    count_arrivals(connection, ours)
    rows = meter_days(connection, ours.id, "house-1", (date(2026, 11, 17), TODAY), now=NOW, limit=100)
    assert {row.code for row in rows} == set(ours.meters)
    by_day = {cell.day: cell for row in rows if row.code == ours.meters[0] for cell in row.days}
    assert (by_day[date(2026, 11, 17)].due, by_day[date(2026, 11, 17)].arrived) == (24, 24)
    assert (by_day[date(2026, 11, 18)].due, by_day[date(2026, 11, 18)].arrived) == (24, 23)
    assert by_day[TODAY].due == 18, "of today only the hours that are over"
    page = meter_days(connection, ours.id, "house-1", (TODAY, TODAY), now=NOW, limit=2, after=rows[1].code)
    assert [row.code for row in page] == [rows[2].code, rows[3].code]


def test_the_fleet_counts_as_the_arrival_shares_do(
    connection: psycopg.Connection, ours: Seeded, theirs: Seeded
) -> None:
    connection.execute(
        "delete from readings where register_id = %s and measured_at > %s",
        (ours.registers[5], NOW - timedelta(hours=40)),
    )
    count_arrivals(connection, ours)
    (site,) = arrived(connection, ours.id, NOW, NOW - timedelta(hours=36))
    (share,) = completeness.shares(connection, ours.code, NOW, completeness.ArrivalGroup.SITE)
    assert (site.site, site.meters, site.late) == ("house-1", 6, 1)
    assert (site.today_due, site.today) == (share.today_due, share.today_arrived)
    assert site.today_due > site.today > 0
    assert (site.yesterday_due, site.in_time) == (share.yesterday_due, share.yesterday_arrived)
    assert site.yesterday - site.in_time == share.yesterday_late
    enter_utility(connection, ours.id)
    (evening,) = arrived(connection, ours.id, NOW, NOW - timedelta(hours=1))
    assert evening.late == 1, "what came today after that instant is looked up"


def test_what_takes_long_to_count_is_kept_for_a_while_and_what_fails_is_not() -> None:
    now = [0.0]
    counted: list[int] = []

    def slowly() -> int:
        now[0] += 0.5
        counted.append(len(counted))
        return counted[-1]

    kept: AdaptiveCache[int] = AdaptiveCache(lambda: now[0])
    assert [kept.get("a", slowly) for _ in range(3)] == [0, 0, 0]
    assert kept.get("b", slowly) == 1, "of another utility"
    now[0] += 20
    assert kept.get("a", slowly) == 2
    assert [kept.get("c", lambda: len(counted)) for _ in range(2)] == [3, 3]
    with pytest.raises(ZeroDivisionError):
        kept.get("d", lambda: 1 // 0)
    assert kept.get("d", slowly) == 3


def test_a_cell_opens_its_reason(browser: TestClient, ours: Seeded, connection: psycopg.Connection) -> None:
    gone = datetime(2026, 11, 18, 3, tzinfo=UTC)
    connection.execute(
        "delete from readings where register_id = %s and measured_at = %s", (ours.registers[0], gone)
    )
    meter, gateway = connection.execute(
        "select m.id, m.gateway_id from meters m where m.code = %s", (ours.meters[0],)
    ).fetchone() or (0, 0)
    misses.insert(
        connection, [MissedPoll(meter, int(gone.timestamp()) * 1_000_000, gateway, MissReason.NO_ANSWER)]
    )
    count_arrivals(connection, ours)
    page = browser.get("/sites/house-1/arrival", params={"meter": ours.meters[0], "day": "2026-11-18"}).text
    assert "23 of 24 readings that were due arrived." in page
    assert 'data-missed="no answer"' in page
    assert MISSED["no answer"] in page
    nowhere = browser.get("/sites/house-1/arrival", params={"meter": "KAM-1", "day": "2026-11-18"})
    assert nowhere.status_code == 200
    assert "data-reason" not in nowhere.text


@pytest.mark.parametrize(
    ("due_", "arrived", "said"),
    [(0, 0, "undue"), (24, 24, "all"), (96, 95, "most"), (24, 23, "some"), (24, 0, "nothing")],
)
def test_levels_of_arrival(due_: int, arrived: int, said: str) -> None:
    assert level(DayCell(TODAY, due_, arrived, 0)) == said


def test_every_reason_of_a_missed_poll_is_explained() -> None:
    assert set(MISSED) == set(MissReason)


def test_the_calendar_has_every_meter_in_place_once(
    browser: TestClient, ours: Seeded, connection: psycopg.Connection
) -> None:
    days = [TODAY - timedelta(days=40), TODAY, TODAY + timedelta(days=60), date(2031, 5, 1), None, None]
    for code, day in zip(ours.meters, days, strict=True):
        connection.execute("update meters set verified_until = %s where code = %s", (day, code))
    removed = insert(connection, "meters", utility_id=ours.id, code="KAM-77777777", medium=8)
    point = connection.execute("select id from service_points where utility_id = %s", (ours.id,)).fetchone()
    assert point is not None
    insert(
        connection,
        "installations",
        service_point_id=point[0],
        meter_id=removed,
        valid_from=NOW - timedelta(days=100),
        valid_to=NOW - timedelta(days=50),
    )
    connection.commit()
    assert sum(one.meters for one in months(connection, ours.id)) == 6
    assert ending(connection, ours.id, (None, TODAY)) == 1, "on its last day a meter still counts"
    first = due(connection, ours.id, first=None, until=TODAY, limit=9)
    assert [meter.code for meter in first] == [ours.meters[0]]
    assert len(due(connection, ours.id, first=None, until=None, limit=9)) == 2
    unknown = due(connection, ours.id, first=None, until=None, limit=1)
    rest = due(connection, ours.id, first=None, until=None, limit=9, after=unknown[0].code)
    assert {unknown[0].code, rest[0].code} == set(ours.meters[4:])
    page = browser.get("/verification").text
    assert f'data-meter="{ours.meters[0]}"' in page
    assert "40 days ago" in page
    assert f'data-meter="{ours.meters[3]}"' in browser.get("/verification?month=later").text
