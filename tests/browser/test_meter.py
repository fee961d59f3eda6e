"""A meter's page in a browser: looking closer, why a reading was left out, an edit, and news as they come."""

import re
from datetime import timedelta

import psycopg
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.api.seeding import NOW, Seeded

pytestmark = pytest.mark.browser


@pytest.fixture
def meter(page: Page, site: str, ours: Seeded) -> str:
    """The page of a meter one of whose readings the rules left out, six days ago; its address."""
    address = f"{site}/meters/{ours.meters[0]}"
    page.goto(f"{address}?range=30d")
    expect(drawn(page)).to_be_visible()
    return address


def drawn(page: Page) -> Locator:
    return page.locator("#chart[data-drawn]")


def drag(page: Page, start: float, end: float) -> None:
    """Over a part of the upper pane, given in shares of its width."""
    box = page.locator(".u-over").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * start, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * end, box["y"] + 70, steps=4)
    page.mouse.up()


def test_a_dragged_time_is_shown_closer_and_the_whole_comes_back(page: Page, meter: str) -> None:
    expect(page.get_by_role("heading", name="Consumption a day")).to_be_visible()
    drag(page, 0.5, 0.6)
    expect(page.get_by_role("heading", name="Consumption an hour")).to_be_visible()
    page.get_by_role("button", name="Whole time").click()
    expect(page.get_by_role("heading", name="Consumption a day")).to_be_visible()
    expect(page.get_by_role("button", name="Whole time")).to_have_count(0)


def test_the_chart_is_used_by_the_keyboard_alone(page: Page, meter: str) -> None:
    page.locator("#chart").focus()
    readout = page.locator(".readout")
    expect(readout).to_contain_text("21 Nov 2026, 18:00")
    page.keyboard.press("ArrowLeft")
    expect(readout).to_contain_text("21 Nov 2026, 00:00")
    page.keyboard.press("Home")
    expect(readout).to_contain_text("23 Oct 2026, 00:00")
    page.keyboard.press("+")
    expect(page.get_by_role("button", name="Whole time")).to_be_visible()
    page.locator("#chart").focus()
    page.keyboard.press("0")
    expect(page.get_by_role("button", name="Whole time")).to_have_count(0)


def test_why_a_reading_was_left_out_is_told_on_the_axis_and_in_the_table(page: Page, meter: str) -> None:
    expect(page.locator(".legend [data-sign=excluded]")).to_have_text("left out of accounting")
    glitch = page.locator(".event", has=page.locator(".sign-finding, .sign-excluded")).first
    glitch.focus()
    note = page.get_by_role("tooltip")
    expect(note).to_contain_text("left out of accounting: Glitch")
    expect(glitch).to_have_accessible_name(re.compile("left out of accounting: Glitch"))
    page.keyboard.press("Escape")
    expect(note).to_be_hidden()
    page.get_by_text("The figures as a table").first.click()
    expect(page.locator("tr.row-excluded")).to_contain_text("left out of accounting: Glitch")
    expect(page.locator("[data-figures] tr", has_text="Billing boundary")).to_contain_text("October 2026")


def test_an_engineer_leaves_a_reading_out_from_the_table(page: Page, meter: str) -> None:
    page.get_by_text("The figures as a table").first.click()
    page.get_by_role("link", name="Change the reading of 19 Nov 2026, 00:00").click()
    expect(page.get_by_role("heading", name="The reading of 19 Nov 2026, 00:00")).to_be_visible()
    page.get_by_label("Reason").first.fill("the dial was fogged")
    page.get_by_role("button", name="Save the edit").click()
    expect(page.locator("[data-edit=exclude]")).to_contain_text("the dial was fogged")
    expect(page.locator("[data-edit=exclude]")).to_have_attribute("data-state", "holds")
    expect(drawn(page)).to_be_visible()
    page.get_by_text("The figures as a table").first.click()
    expect(page.locator("tr.row-excluded", has_text="the dial was fogged")).to_be_visible()


def test_what_arrives_is_shown_without_loading_the_page_again(
    page: Page, meter: str, connection: psycopg.Connection, ours: Seeded
) -> None:
    page.evaluate("document.body.dataset.stays = 'true'")
    connection.execute(
        "insert into readings (register_id, measured_at, value) values (%s, %s, 987654321)",
        (ours.registers[0], NOW - timedelta(minutes=5)),
    )
    connection.commit()
    page.evaluate("htmx.trigger('#live', 'live')")
    expect(page.locator("#live")).to_contain_text("987.654321")
    expect(page.locator(".readout")).to_contain_text("987.654321")
    assert page.evaluate("document.body.dataset.stays") == "true"
