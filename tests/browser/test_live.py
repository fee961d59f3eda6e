"""Pages that keep themselves up to date: one stream for all tabs, and a word where it is gone."""

import re
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlsplit

import psycopg
import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, BrowserContext, Page, expect

from api.web.app import create_app
from api.web.settings import ApiSettings
from api.web.streams import ChangeStreams
from store.postgres.notices import ChangeTopic, announce
from tests.api.conftest import Clock
from tests.api.seeding import Seeded
from tests.support.browsing import serving, sign_in_with_key

LIVE = "[data-live~=findings]"


def streams(app: FastAPI) -> int:
    """How many streams the server holds open."""
    held: ChangeStreams = app.state.services.streams
    return held.count


def until(condition: Callable[[], bool], page: Page) -> None:
    for _ in range(150):
        if condition():
            return
        page.wait_for_timeout(100)
    pytest.fail("it did not come true within 15 s")


def refreshed(tab: Page) -> None:
    """Notes in the tab when one of its parts is told to refresh."""
    tab.evaluate(
        f"""() => {{
          window.refreshed = 0;
          document.querySelectorAll("{LIVE}").forEach(
            (part) => part.addEventListener("live", () => window.refreshed++));
        }}"""
    )


@pytest.fixture
def app(settings: ApiSettings, clock: Clock) -> FastAPI:
    """The app, with streams that last."""
    return create_app(replace(settings, address_burst=10**6, stream_seconds=300), clock=clock)


def test_eight_tabs_hear_of_changes_through_one_stream(  # noqa: PLR0917 - fixtures
    page: Page, context: BrowserContext, site: str, app: FastAPI, ours: Seeded, connection: psycopg.Connection
) -> None:
    errors: list[str] = []

    def told(tabs: list[Page]) -> bool:
        announce(connection, [ours.id], ChangeTopic.FINDINGS)
        connection.commit()
        page.wait_for_timeout(300)
        return all(tab.evaluate("window.refreshed > 0") for tab in tabs)

    tabs = [page, *(context.new_page() for _ in range(7))]
    for tab in tabs:
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.goto(f"{site}/findings")
        refreshed(tab)
    until(lambda: told(tabs), page)
    assert streams(app) == 1
    assert all(tab.locator("#lost").is_hidden() for tab in tabs)
    for tab in tabs[1:]:
        tab.close()
    page.reload()
    refreshed(page)
    until(lambda: told([page]), page)
    assert errors == []


def test_a_page_says_since_when_it_is_not_live_and_no_more_when_it_is(
    browser: Browser, settings: ApiSettings, clock: Clock, key: str
) -> None:
    lasting = replace(settings, address_burst=10**6, stream_seconds=300)
    with browser.new_context() as context:
        tab = context.new_page()
        with serving(create_app(lasting, clock=clock)) as url:
            sign_in_with_key(tab, url, key)
            tab.goto(f"{url}/findings")
            tab.wait_for_timeout(500)
            lost = tab.locator("#lost")
            expect(lost).to_be_hidden()
        expect(lost).to_be_visible(timeout=60_000)
        expect(lost).to_have_text(re.compile(r"Not live since \d+:\d\d:\d\d"))
        with serving(create_app(lasting, clock=clock), port=urlsplit(url).port or 0):
            expect(lost).to_be_hidden(timeout=30_000)
