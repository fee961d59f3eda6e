"""The fleet's pages in a browser: a search leads to a meter, and a cell of the heatmap opens where it is."""

import psycopg
import pytest
from playwright.sync_api import Page, expect

from tests.api.pages.fleet.test_fleet import count_arrivals
from tests.api.seeding import Seeded

pytestmark = pytest.mark.browser


def test_a_search_leads_to_the_meter(page: Page, site: str, ours: Seeded) -> None:
    page.goto(site)
    page.get_by_role("searchbox").fill(ours.meters[1][4:])
    page.keyboard.press("Enter")
    page.locator("[data-hit=meter] a").first.click()
    expect(page.locator("h1")).to_contain_text("Flat 1")


def test_a_cell_of_the_heatmap_opens_its_reason_without_a_reload(
    page: Page, site: str, ours: Seeded, connection: psycopg.Connection
) -> None:
    count_arrivals(connection, ours)
    page.goto(f"{site}/sites/house-1/arrival")
    page.evaluate("window.stayed = true")
    expect(page.locator("#reason")).to_be_hidden()
    page.locator("td.cell a").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("[data-reason]")).to_contain_text("due arrived")
    assert page.evaluate("window.stayed"), "the page was loaded anew"
