"""The gateway page: what it shows of a gateway's word, what it offers to whom, and what it takes."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient

from api.web.app import create_app
from api.web.settings import ApiSettings
from hesper.gateway_check import check_configuration
from metering.access import UserRole
from store.gateways import downlink
from store.gateways.downlink import GatewayReply
from tests.api.conftest import Clock, sign_in
from tests.api.gateways import GATEWAY, MINUTE, TOML, keep_health, told
from tests.api.people import form_token, open_session, person
from tests.api.seeding import NOW, Seeded

PAGE = f"/gateways/{GATEWAY}"
HTMX = {"HX-Request": "true"}


@pytest.fixture
def judging(
    settings: ApiSettings, clock: Clock, connection: psycopg.Connection, ours: Seeded
) -> Iterator[TestClient]:
    """A browser that is signed in at an API which can judge configurations."""
    app = create_app(settings, clock=clock, check=check_configuration)
    with TestClient(app, base_url="http://127.0.0.1", follow_redirects=False) as client:
        sign_in(client, ours.key)
        yield client


def post(client: TestClient, path: str, *, htmx: bool = False, **fields: Any) -> Any:
    token = form_token(client.get(PAGE).text)
    return client.post(f"{PAGE}/{path}", data={"form_token": token, **fields}, headers=HTMX if htmx else None)


def gateway_id(connection: psycopg.Connection) -> int:
    row = connection.execute("select id from gateways where code = %s", (GATEWAY,)).fetchone()
    assert row is not None
    return int(row[0])


def answer(connection: psycopg.Connection, state: Any, detail: str, result: dict[str, Any]) -> None:
    """Let the gateway answer the newest command."""
    row = connection.execute("select wire_id from gateway_commands order by id desc limit 1").fetchone()
    assert row is not None
    reply = GatewayReply(str(row[0]), NOW, state, detail, result)
    assert downlink.keep_reply(connection, "alpha", GATEWAY, reply)
    connection.commit()


def test_it_shows_lines_meters_backlog_disk_temperature_clock_and_versions(
    browser: TestClient, ours: Seeded
) -> None:
    page = browser.get(PAGE).text
    for part in (
        'data-connection="online"',
        "near its capacity",
        "has room",
        "94\u202f%",
        "20.0\u202f%",  # of the last meter's polls
        "4 failures in a row",
        "64\u202f%",  # of the disk
        "11.4 GB free",
        "48\u202f°C",
        "synchronised",
        "3.46.1",
        "version 1",
        "no meter answers any more",
    ):
        assert part in page, part
    worst, best = (page.index(f'data-meter="{ours.meters[n]}"') for n in (-1, 0))
    assert worst < best, "who fails comes first"


def test_what_is_wrong_is_said_in_words(
    browser: TestClient, connection: psycopg.Connection, ours: Seeded
) -> None:
    changes: list[tuple[dict[str, Any], str]] = [
        ({"buffer_full": True}, "what comes now is lost"),
        ({"clock_synchronised": False}, "check its time server"),
        ({"cpu_celsius": 84.0}, "too hot"),
        ({"disk_free_bytes": 10**9}, "97\u202f%"),
        ({"lines": []}, "It has no line"),
        ({"cpu_celsius": None, "disk_total_bytes": None, "memory_bytes": None}, "Readouts that wait"),
    ]
    for number, (change, said) in enumerate(changes):
        at = NOW + timedelta(seconds=number)
        keep_health(connection, gateway_id(connection), told(ours.meters, at, **change), at)
        connection.commit()
        assert said in browser.get(PAGE).text


def test_a_gateway_that_is_silent_or_was_never_heard_says_what_to_do(
    browser: TestClient, clock: Clock
) -> None:
    assert "data-silent" not in browser.get(PAGE).text
    clock.now += 11 * MINUTE
    assert "data-silent" in browser.get(PAGE).text
    empty = browser.get("/gateways/gw-keller").text
    for name in ("health", "meters", "commands", "configurations"):
        assert f'data-empty="{name}"' in empty
    assert browser.get("/gateways/nowhere", headers={"accept": "text/html"}).status_code == 404


def test_two_gateways_under_its_name_are_told_on_its_page(
    browser: TestClient, ours: Seeded, connection: psycopg.Connection
) -> None:
    assert "data-copies" not in browser.get(PAGE).text
    connection.execute(
        "insert into gateway_hours (gateway_id, utility_id, hour, returns) "
        "values (%s, %s, date_trunc('hour', now()), 2) "
        "on conflict (gateway_id, hour) do update set returns = 2",
        [gateway_id(connection), ours.id],
    )
    connection.commit()
    page = browser.get(PAGE).text
    assert "data-copies" in page
    assert "Two gateways under one name" in page


def test_the_charts_have_a_point_for_each_stretch_of_time_and_gaps_where_nothing_was_told(
    browser: TestClient, connection: psycopg.Connection
) -> None:
    connection.execute(
        "delete from gateway_health where at between %s and %s", (NOW - 300 * MINUTE, NOW - 100 * MINUTE)
    )
    connection.commit()
    for span, points in (("day", 97), ("week", 85), ("month", 91)):
        trend = browser.get(f"{PAGE}/trend", params={"range": span}).json()
        assert len(trend["at"]) == points
        assert [pane["unit"] for pane in trend["panes"]] == ["%", "", "%", "°C"]
    day = browser.get(f"{PAGE}/trend").json()
    heat, water = day["panes"][0]["series"]
    assert (heat["label"], set(heat["values"])) == ("heat", {94.0, None})
    assert water["values"].count(31.0) in range(30, 60)
    assert browser.get("/gateways/gw-keller/trend").json()["empty"]


def test_reading_now_answers_with_the_command_which_asks_for_its_reply(
    browser: TestClient, connection: psycopg.Connection, ours: Seeded
) -> None:
    sent = post(browser, "commands", htmx=True, command="read-now", meter=ours.meters[0])
    assert (sent.status_code, 'data-state="queued"' in sent.text) == (200, True)
    poll = sent.text.split('hx-get="')[1].split('"')[0]
    values = {"values": {"8-0:1.0.0": "1234.5 m3"}}
    answer(connection, "done", "1 readouts, 0 meters failed", {"values": {ours.meters[0]: values}})
    done = browser.get(poll, headers=HTMX).text
    assert "1\u202f234.5\u202fm³" in done
    assert "hx-get" not in done, "it is over"


def test_without_scripts_a_command_leads_back_to_the_page(browser: TestClient) -> None:
    sent = post(browser, "commands", command="scan", line="water", reason="new meters")
    assert (sent.status_code, sent.headers["location"]) == (303, f"{PAGE}#commands")
    page = browser.get(PAGE).text
    assert "new meters" in page
    assert 'data-state="queued"' in page


def test_a_hostile_reply_neither_breaks_the_page_nor_speaks_html(
    browser: TestClient, connection: psycopg.Connection
) -> None:
    results: list[dict[str, Any]] = [
        {"values": "all"},
        {"values": {"KAM-1": 5, "KAM-2": {"values": ["x"]}, "KAM-3": {"values": {"0": None}}}},
        {"found": [1, {"address": {}}], "failed": []},
        {"found": 7, "toml": 3, "version": None},
        {"values": {"<script>alert(1)</script>": {"values": {"<b>": "<i>1 m3</i>"}}}},
    ]
    for result in results:
        post(browser, "commands", command="show-config")
        answer(connection, "done", "<script>alert(2)</script>", result)
    page = browser.get(PAGE)
    assert page.status_code == 200
    for raw in ("<script>alert", "<b>", "<i>"):
        assert raw not in page.text


def test_who_only_looks_is_offered_nothing_and_gets_nothing_done(
    anonymous: TestClient, connection: psycopg.Connection, ours: Seeded, clock: Clock
) -> None:
    token = open_session(
        anonymous, connection, ours.id, person(connection, "vera", "alpha", UserRole.VIEWER), clock.now
    )
    page = anonymous.get(PAGE).text
    assert f'action="{PAGE}' not in page
    assert "412.318" not in page, "what meters showed is asked for, which the audit log shows"
    assert "412.318" in anonymous.get(f"{PAGE}/commands/1").text
    noted = "select count(*) from audit_log where action = 'read personal data' and subject = %s"
    assert connection.execute(noted, (f"{PAGE}/commands/1",)).fetchone() == (1,)
    refused = anonymous.post(f"{PAGE}/commands", data={"form_token": token, "command": "show-config"})
    assert refused.status_code == 403
    token = open_session(
        anonymous, connection, ours.id, person(connection, "bill", "alpha", UserRole.BILLING), clock.now
    )
    assert "412.318" not in anonymous.get(f"{PAGE}/commands/1").text, "no interval data, here neither"
    assert connection.execute(noted, (f"{PAGE}/commands/1",)).fetchone() == (1,)


def test_a_preview_shows_what_changes_and_sends_nothing(judging: TestClient, ours: Seeded) -> None:
    text = TOML.format(utility="alpha", meter=ours.meters[0]).replace("15min", "1h")
    page = post(judging, "configurations/preview", toml=text.replace("\n", "\r\n")).text
    assert "<del>-schedule = &#34;15min&#34;</del>" in page
    assert "<ins>+schedule = &#34;1h&#34;</ins>" in page
    assert 'data-fits="true"' in page
    assert "data-send" in page
    assert 'data-version="3"' not in judging.get(PAGE).text

    wrong = post(judging, "configurations/preview", toml=text.replace("mbus", "morse")).text
    assert "morse" in wrong.split('id="preview"')[1]
    assert "data-send" not in wrong


def test_a_configuration_is_sent_over_the_one_that_was_seen(judging: TestClient, ours: Seeded) -> None:
    text = TOML.format(utility="alpha", meter=ours.meters[0]).replace("15min", "1h")
    sent = post(judging, "configurations", toml=text, after=2, reason="hourly is enough")
    assert (sent.status_code, sent.headers["location"]) == (303, f"{PAGE}#configuration")
    page = judging.get(PAGE).text
    assert 'data-version="3" data-state="queued"' in page
    assert "hourly is enough" in page
    assert post(judging, "configurations", toml=text, after=2).status_code == 412
    refused = post(judging, "configurations", toml=text.replace("mbus", "morse"), after=3)
    assert (refused.status_code, "morse" in refused.text) == (422, True)
    assert post(judging, "configurations/1/restore", after=3).status_code == 303
    assert "The text of version 1 again." in judging.get(PAGE).text
    assert post(judging, "configurations", toml="", after=4).status_code == 303
    assert "Back to the installer's file." in judging.get(PAGE).text


def test_a_form_that_another_site_made_changes_nothing(browser: TestClient) -> None:
    for path, fields in (
        ("commands", {"command": "show-config"}),
        ("configurations", {"toml": "", "after": "2"}),
        ("configurations/1/restore", {"after": "2"}),
    ):
        assert browser.post(f"{PAGE}/{path}", data={"form_token": "x", **fields}).status_code == 403
