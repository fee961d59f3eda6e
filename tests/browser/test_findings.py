"""Findings are worked off in a browser, with the keyboard, without a reload, and without JavaScript."""

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browsing import sign_in_with_key

pytestmark = pytest.mark.browser


def test_chosen_findings_are_resolved_with_the_keyboard_and_without_a_reload(page: Page, site: str) -> None:
    page.goto(f"{site}/findings")
    page.evaluate("window.kept = true")
    first = page.locator(".tick").first
    first.focus()
    page.keyboard.press("Space")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    expect(page.locator("[data-chosen]")).to_have_text("chosen: 2")
    page.locator(".work-bar .note").fill("Meter exchanged, protocol 17.")
    page.locator(".work-bar button[value=resolve]").click()
    expect(page.locator("[data-finding]")).to_have_count(0)
    assert page.evaluate("window.kept"), "the page was not loaded anew"
    page.locator(".page-head a", has_text="resolved").click()
    expect(page.locator("[data-finding=stuck]")).to_contain_text("Meter exchanged, protocol 17.")


def test_one_box_chooses_all_on_the_page(page: Page, site: str) -> None:
    page.goto(f"{site}/findings")
    page.locator("[data-choose-all] input").check()
    page.locator(".work-bar button[value=acknowledge]").click()
    expect(page.locator("[data-finding]")).to_have_count(0)


def test_the_list_is_narrowed_as_soon_as_something_is_chosen(page: Page, site: str) -> None:
    page.goto(f"{site}/findings")
    page.locator("select[name=severity]").select_option("alarm")
    expect(page.locator("[data-finding]")).to_have_count(1)
    page.wait_for_url("**severity=alarm**")


def test_it_works_without_javascript(browser: Browser, site: str, key: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    sign_in_with_key(tab, site, key)
    tab.goto(f"{site}/findings")
    tab.locator(".tick").first.check()
    tab.locator(".work-bar button[value=acknowledge]").click()
    expect(tab.locator("[data-finding]")).to_have_count(1)
    tab.goto(f"{site}/findings?state=acknowledged")
    expect(tab.locator("[data-finding=stuck]")).to_be_visible()
    context.close()
