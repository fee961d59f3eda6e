"""The pages: nothing inline, nothing unescaped, exact figures, and empty states that say what to do."""

from datetime import UTC, datetime
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient

from metering.billing.differences import step
from store.access.api_keys import issue
from tests.api.conftest import sign_in
from tests.api.seeding import NOW, Seeded

HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}"


class Inline(HTMLParser):
    """Collects what the Content-Security-Policy would not run, and where scripts and styles come from."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.ids: list[str] = []
        self.text = ""
        self._script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._script = tag == "script"
        if tag == "style" or (tag == "script" and not given.get("src")):
            self.faults.append(f"<{tag}>")
        for name, value in attrs:
            if name == "style" or name.startswith(("on", "hx-on")):
                self.faults.append(f"{tag} {name}")
            if name in {"href", "src", "action"} and not (value or "").startswith(("/", "?", "#")):
                self.faults.append(f"{tag} {name}={value}")
            if name == "id":
                self.ids.append(value or "")

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._script and data.strip():
            self.faults.append("text in a script")


def _look(page: str) -> Inline:
    parser = Inline()
    parser.feed(page)
    return parser


def _pages(meter: str) -> list[str]:
    return [
        *("/", "/?q=flat", "/?q=nothing-like-this", "/findings", "/findings?state=all"),
        *("/meters", "/meters?q=nothing", "/sites/house-1"),
        *("/sites/house-1/arrival", "/sites/house-1/balance"),
        *("/verification", "/verification?month=unknown"),
        *("/findings?state=resolved", f"/meters/{meter}", f"/meters/{meter}?range=2d", "/months/2026-10"),
        *("/months/2026-09", "/sign-in"),
    ]


def test_no_page_has_inline_script_or_style(browser: TestClient, ours: Seeded) -> None:
    for path in _pages(ours.meters[0]):
        answer = browser.get(path, headers={"Accept": "text/html"})
        assert answer.status_code == 200, path
        looked = _look(answer.text)
        assert looked.faults == [], path
        assert len(looked.ids) == len(set(looked.ids)), f"an id twice on {path}"


def test_every_page_has_the_security_headers_and_is_not_kept(browser: TestClient, ours: Seeded) -> None:
    for path in (*_pages(ours.meters[0]), "/nowhere", "/static/css/base.css", "/health"):
        headers = browser.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == ("no-cache" if path.startswith("/static") else "no-store")


def test_hostile_names_are_shown_as_text(
    browser: TestClient, ours: Seeded, connection: psycopg.Connection
) -> None:
    connection.execute("update utilities set name = %s where id = %s", (HOSTILE, ours.id))
    connection.execute("update sites set name = %s where utility_id = %s", (HOSTILE, ours.id))
    connection.execute("update meters set model = %s where utility_id = %s", (HOSTILE, ours.id))
    connection.execute("update service_points set name = %s, account = %s", (HOSTILE, HOSTILE))
    connection.execute(
        "update findings set kind = kind || %(text)s, "
        "evidence = jsonb_build_object(%(text)s::text, %(text)s::text)",
        {"text": HOSTILE},
    )
    connection.execute("update billing_exceptions set detail = %s, reason = %s", (HOSTILE, HOSTILE))
    connection.execute("update closes set author = %s", (HOSTILE,))
    connection.execute("update billing_readings set end_method = %s", (HOSTILE,))
    connection.commit()
    asked = (f"/?q={HOSTILE}", f"/meters?q={HOSTILE}", f"/sign-in?next=/{HOSTILE}")
    for path in [*_pages(ours.meters[0]), *asked]:
        page = browser.get(path, headers={"Accept": "text/html"}).text
        assert "<script>alert" not in page, path
        assert "<img" not in page, path
        assert ">49" not in page, path
        assert _look(page).faults == [], path


def test_the_overview_begins_with_what_needs_attention(browser: TestClient, ours: Seeded) -> None:
    page = browser.get("/").text
    assert page.index("Needs attention") < page.index('data-site="house-1"')
    text = _look(page).text
    assert "gw-keller" in text
    assert "Glitch" in text
    assert text.index("Register stuck") < text.index("Glitch"), "alarms before warnings"
    page = browser.get("/sites/house-1").text
    assert page.count('data-state="finding"') == 2
    assert page.count('data-state="good"') == 4
    for meter in ours.meters:
        assert meter in page


def test_a_meter_that_misses_its_readings_is_late(
    browser: TestClient, ours: Seeded, connection: psycopg.Connection
) -> None:
    connection.execute(
        "delete from readings where register_id = %s and measured_at > %s",
        (ours.registers[5], NOW.replace(hour=12)),
    )
    connection.commit()
    page = browser.get("/meters").text
    row = page.split(f'data-meter="{ours.meters[5]}"')[1].split(">")[0]
    assert 'data-state="late"' in row


def test_empty_pages_say_what_to_do(anonymous: TestClient, connection: psycopg.Connection) -> None:
    connection.execute("insert into utilities (code, name, time_zone) values ('new', 'New', 'Asia/Almaty')")
    key = issue(connection, "new", "first")
    connection.commit()
    sign_in(anonymous, key)
    for path, advice in {
        "/": "hesper registry",
        "/findings": "The detectors look",
        "/months/2026-10": "hesper close 2026-10",
    }.items():
        assert advice in anonymous.get(path).text
    assert anonymous.get("/months").headers["location"] == "/months/2026-10"


def test_a_meters_page_names_registers_by_code_and_words(browser: TestClient, ours: Seeded) -> None:
    text = _look(browser.get(f"/meters/{ours.meters[0]}").text).text
    assert "8-0:1.0.0" in text
    assert "cold water volume" in text
    assert "68 30 30 68 08 01 72" in text
    assert "14.408234" in text
    assert "21 Nov 2026, 18:00" in text, "local time of the telegram read at 17:00 UTC"


def test_the_month_page_shows_how_the_close_went(
    browser: TestClient, ours: Seeded, connection: psycopg.Connection
) -> None:
    page = browser.get("/months/2026-10").text
    text = _look(page).text
    assert 'data-close="closed"' in page
    assert 'data-exception="no_reading_after"' in page
    assert "no usable reading for" in text
    assert "37\u202f319" in text
    assert "not yet" in text
    assert browser.get("/months").headers["location"] == "/months/2026-10"


def test_the_chart_has_exact_figures_that_add_up(browser: TestClient, ours: Seeded) -> None:
    path = f"/meters/{ours.meters[0]}/chart"
    for span in ("2d", "7d", "30d", "13m"):
        chart = browser.get(path, params={"range": span}).json()
        points = chart["points"]
        counted = [Decimal(value) for value in points["consumption"] if value is not None]
        first = points["consumption"].index(next(v for v in points["consumption"] if v is not None))
        rise = Decimal(points["value"][-1]) - Decimal(points["value"][first])
        assert sum(counted) - counted[0] == rise
        assert points["at"] == sorted(points["at"])
    finding = browser.get(path, params={"range": "7d"}).json()["findings"][0]
    assert finding["title"] == "Glitch"


def test_the_chart_leaves_out_unusable_readings(
    browser: TestClient, ours: Seeded, connection: psycopg.Connection
) -> None:
    at = datetime(2026, 11, 15, 14, tzinfo=UTC)
    connection.execute(
        "update readings set value = 1 where register_id = %s and measured_at = %s", (ours.registers[0], at)
    )
    connection.commit()
    points = browser.get(f"/meters/{ours.meters[0]}/chart", params={"range": "7d"}).json()["points"]
    assert at.timestamp() not in points["at"]
    assert None not in points["consumption"]


def test_a_day_of_the_chart_ends_with_the_midnight_reading(browser: TestClient, ours: Seeded) -> None:
    points = browser.get(f"/meters/{ours.meters[0]}/chart", params={"range": "30d"}).json()["points"]
    midnight = datetime(2026, 11, 20, 23, tzinfo=UTC)  # 21 Nov 00:00 in Prague
    place = points["at"].index(midnight.timestamp())
    assert points["bucket"][place] == datetime(2026, 11, 19, 23, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("earlier", "later", "capacity", "consumption"),
    [
        (5, 9, None, 4),
        (5, 5, 1000, 0),
        (990, 20, 1000, 30),
        (990, 20, None, None),
        (400, 20, 1000, None),
    ],
)
def test_a_drop_is_consumption_only_where_it_is_a_rollover(
    earlier: int, later: int, capacity: Any, consumption: Any
) -> None:
    assert step(earlier, later, capacity) == consumption


def test_pages_are_compressed_and_files_have_their_licences(browser: TestClient) -> None:
    answer = browser.get("/", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    for licence in ("uplot", "htmx"):
        assert browser.get(f"/static/vendor/{licence}/LICENSE").status_code == 200
