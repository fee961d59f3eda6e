"""A month in a browser: a draft is asked for, a figure is explained, a statement is found and printed."""

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


def test_a_draft_is_asked_for_and_waits_for_a_worker(page: Page, site: str) -> None:
    page.goto(f"{site}/months/2026-09")
    page.get_by_role("button", name="Draft this month").click()
    expect(page.locator("[data-asked=waiting]")).to_be_visible()


def test_a_few_clicks_lead_from_the_first_page_to_why_a_figure_is_what_it_is(page: Page, site: str) -> None:
    page.goto(site)
    page.locator("header nav a[href='/months']").click()
    page.locator("#readings a[href^='/billing/']").first.click()
    expect(page.locator("[data-boundary]")).to_have_count(2)
    expect(page.locator("h2", has_text="comes about")).to_be_visible()


def test_an_accounts_statement_is_found_and_printed(page: Page, site: str) -> None:
    page.goto(f"{site}/months")
    page.locator("a[href='/accounts']").click()
    page.locator("main input[name=q]").fill("Flat 2")
    page.locator("main form button").click()
    page.locator("a[href='/accounts/40002/statement']").click()
    expect(page.locator("[data-agreed=false]")).to_be_visible()
    with page.expect_download() as downloading:
        page.locator("a[download]").click()
    assert downloading.value.suggested_filename.endswith(".pdf")
