"""The reconciliation statement of an account on screen and on paper, in the reader's language."""

from functools import partial

import psycopg
import pytest
from fastapi.testclient import TestClient

from api.printing.pdf import document
from store.billing.issued import record_acknowledgement
from tests.api.seeding import Seeded, correct
from tests.support.pdf_text import pdf_text

STATEMENT = "/accounts/40001/statement"


def test_accounts_are_found_by_their_number_or_a_flats_name(browser: TestClient, ours: Seeded) -> None:
    everything = browser.get("/accounts").text
    assert "/accounts/40001/statement" in everything
    assert "/accounts/40002/statement" in everything
    found = browser.get("/accounts?q=FLAT 2").text
    assert "/accounts/40002/statement" in found
    assert "/accounts/40001/statement" not in found
    assert "Search for a part of it" in browser.get("/accounts?q=nothing-like-this").text


def test_what_is_not_acknowledged_differs_and_says_why(browser: TestClient, ours: Seeded) -> None:
    page = browser.get(STATEMENT).text
    assert 'data-agreed="false"' in page
    assert "Version 1 is not acknowledged yet." in page
    assert f'href="/billing/{ours.bills[0]}"' in page


def test_both_sides_agree_once_billing_has_acknowledged(
    browser: TestClient, ours: Seeded, connection: psycopg.Connection
) -> None:
    key = connection.execute("select id from api_keys where utility_id = %s", (ours.id,)).fetchone()
    assert key is not None
    record_acknowledgement(
        connection, ours.id, key[0], "2026-10", cursor=ours.bills[-1], readings=len(ours.bills), totals={}
    )
    connection.commit()
    assert 'data-agreed="true"' in browser.get(STATEMENT).text
    correct(connection, ours, by=1_000_000)
    page = browser.get(STATEMENT).text
    assert "Version 2 changes version 1 by 1\u202fm³ and is not acknowledged yet." in page
    connection.execute("alter table billing_readings disable trigger user")
    connection.execute("update billing_readings set true_up = 500000 where version = 2")
    connection.commit()
    page = browser.get(STATEMENT).text  # what is still to be billed, as in the column of differences
    assert "Version 2 changes version 1 by 1.5\u202fm³ and is not acknowledged yet." in page


def test_a_register_that_was_left_out_says_why_in_the_readers_language(browser: TestClient) -> None:
    english = browser.get("/accounts/40002/statement").text
    assert "Left out of accounting: No later reading." in english
    russian = browser.get("/accounts/40002/statement", headers={"Accept-Language": "ru"}).text
    assert "Исключено из учёта" in russian
    assert "Акт сверки" in russian


def test_it_is_printed(browser: TestClient) -> None:
    for language in ("en", "uk"):
        answer = browser.get(f"{STATEMENT}.pdf", headers={"Accept-Language": language})
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/pdf"
        assert answer.content.startswith(b"%PDF-")


def test_the_sheet_says_what_the_page_says(
    browser: TestClient, ours: Seeded, monkeypatch: pytest.MonkeyPatch
) -> None:
    readable = partial(document, compressed=False)
    monkeypatch.setattr("api.pages.delivery.statement.document", readable)
    said = pdf_text(browser.get(f"{STATEMENT}.pdf", headers={"Accept-Language": "uk"}).content)
    whole = " ".join(said.split())
    for part in ("Акт звіряння", "40001", "Flat 1", "Версію 1 ще не підтверджено.", "Сума:", "Надруковано"):
        assert part in whole, part


def test_months_out_of_order_and_unknown_accounts_are_refused(browser: TestClient) -> None:
    assert browser.get(f"{STATEMENT}?from=2026-10&to=2026-01").status_code == 422
    assert browser.get(f"{STATEMENT}?from=1990-01&to=2026-01").status_code == 422
    assert browser.get("/accounts/99999/statement").status_code == 404
    shown = browser.get(f"{STATEMENT}?from=2026-01&to=2026-03").text
    assert "Nothing was issued in these months." in shown
