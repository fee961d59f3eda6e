"""The page of quarantine and new meters: what waits by reason, and what a person decides about it."""

from collections.abc import Callable

import psycopg
import pytest
from fastapi.testclient import TestClient

from api.pages.quarantine.quarantine import REASONS
from ingest.receive.quarantine import QuarantineReason
from tests.api.seeding import Seeded
from tests.api.v1.billing.test_closing import work

__all__ = ["work"]  # a fixture


def form(browser: TestClient, **fields: str) -> dict[str, str]:
    token = browser.get("/quarantine").text.split('name="form_token" value="')[1].split('"')[0]
    return {"form_token": token, **fields}


def wait(connection: psycopg.Connection, ours: Seeded, reason: str, payload: bytes, count: int = 1) -> int:
    """Entries of this reason; the id of the last."""
    for number in range(count):
        row = connection.execute(
            """
            insert into quarantine (utility_id, topic, reason, detail, payload, payload_hash)
            values (%s, 'hesper/v1/alpha/gw-keller/readings', %s, '<b>odd</b>', %s, %s) returning id
            """,
            (ours.id, reason, payload, b"%d" % number),
        ).fetchone()
    connection.commit()
    assert row is not None
    return int(row[0])


def test_every_reason_is_told_in_words_with_what_to_do() -> None:
    assert set(REASONS) == {reason.value for reason in QuarantineReason}


def test_a_new_meter_is_accepted_with_its_reason(
    browser: TestClient, ours: Seeded, work: Callable[[], None]
) -> None:
    page = browser.get("/quarantine").text
    assert "QDS-00112233" in page
    assert "1 readout waits" in page
    assert '<option value="house-1">Lindenhof 7</option>' in page
    fields = {"meter": "QDS-00112233", "site": "house-1", "why": "put in today"}
    assert (
        browser.post("/quarantine/accept", data=form(browser, **fields)).headers["location"] == "/quarantine"
    )
    assert 'data-request="waiting"' in browser.get("/quarantine").text
    work()
    page = browser.get("/quarantine").text
    assert "put in today" in page
    assert "Stored 1" in page
    assert "Nothing waits" in page
    assert browser.get("/meters/QDS-00112233").status_code == 200


def test_what_waits_is_grouped_by_reason_and_shown_escaped_and_whole(
    browser: TestClient, ours: Seeded, connection: psycopg.Connection
) -> None:
    last = wait(connection, ours, "malformed", b'{"<script>": 1}', count=5)
    wait(connection, ours, "obis", b"\x00\xff")
    page = browser.get("/quarantine").text
    assert page.index("Not readable") < page.index("Not a register")
    assert page.count("&lt;b&gt;odd&lt;/b&gt;") == 4  # three of one reason, one of the other
    assert "<script>" not in page.replace("<script src=", "")
    of_one = browser.get("/quarantine?reason=malformed").text
    assert of_one.count("&lt;b&gt;odd&lt;/b&gt;") == 5
    assert "Not a register" not in of_one
    entry = browser.get(f"/quarantine/{last}").text
    assert "{&#34;&lt;script&gt;&#34;: 1}" in entry
    assert "gw-keller" in entry


def test_the_readouts_of_an_entry_are_decoded(browser: TestClient, ours: Seeded) -> None:
    entry = browser.get(f"/quarantine/{ours.waiting}").text
    assert "12.5" in entry
    assert "<td>68</td>" in entry


@pytest.mark.parametrize("chosen", ["reason", "entry"])
def test_a_person_discards_one_or_all_of_a_reason(
    browser: TestClient, ours: Seeded, connection: psycopg.Connection, work: Callable[[], None], chosen: str
) -> None:
    last = wait(connection, ours, "malformed", b"x", count=2)
    fields = {"why": "an old gateway", chosen: "malformed" if chosen == "reason" else str(last)}
    assert browser.post("/quarantine/discard", data=form(browser, **fields)).status_code == 303
    work()
    rows = connection.execute(
        "select state from quarantine where reason = 'malformed' order by id"
    ).fetchall()
    left = "discarded" if chosen == "reason" else "waiting"
    assert rows == [(left,), ("discarded",)]


def test_a_replay_is_asked_for_in_the_persons_name(
    browser: TestClient, ours: Seeded, connection: psycopg.Connection
) -> None:
    fields = {"why": "gateway registered", "entry": str(ours.waiting)}
    assert browser.post("/quarantine/replay", data=form(browser, **fields)).status_code == 303
    row = connection.execute(
        "select kind, subject, reason, author <> '' from tasks order by id desc limit 1"
    ).fetchone()
    assert row == ("replay", {"ids": [ours.waiting]}, "gateway registered", True)


@pytest.mark.parametrize("fields", [{"why": "w"}, {"reason": "obis", "why": " "}, {"why": "w", "entry": "0"}])
def test_a_form_that_names_nothing_or_no_reason_is_refused(
    browser: TestClient, ours: Seeded, fields: dict[str, str]
) -> None:
    assert browser.post("/quarantine/discard", data=form(browser, **fields)).status_code == 422


def test_nothing_that_waits_says_what_that_means(
    browser: TestClient, ours: Seeded, connection: psycopg.Connection
) -> None:
    connection.execute("update quarantine set state = 'discarded', resolved_at = now()")
    connection.commit()
    page = browser.get("/quarantine").text
    assert "Nothing waits" in page
    assert "is stored" in page
    assert browser.get("/quarantine/999").status_code == 404
