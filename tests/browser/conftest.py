"""The seeded utility's pages on a real port, and a signed-in browser whose console has to stay silent."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, BrowserContext, Page

from api.web.app import create_app
from api.web.settings import ApiSettings
from metering.access import ROLES_OF
from store.access.api_keys import issue
from tests.api.conftest import (  # noqa: F401 - fixtures of the app
    Clock,
    clock,
    connection,
    database,
    ours,
    seeded,
    settings,
)
from tests.api.seeding import Seeded
from tests.support.browsing import CHROMIUM, chromium, serving, sign_in_with_key

_AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's chromium."""
    if CHROMIUM is None:
        pytest.skip("needs chromium (apt-get install chromium)")
    with chromium() as started:
        yield started


@pytest.fixture
def app(settings: ApiSettings, clock: Clock) -> FastAPI:  # noqa: F811
    """The app for a browser: its clock stands still, so that no bucket of requests fills again."""
    return create_app(replace(settings, address_burst=1_000_000), clock=clock)


@pytest.fixture
def site(app: FastAPI) -> Iterator[str]:
    """The address of the pages."""
    with serving(app) as url:
        yield url


@pytest.fixture
def key(ours: Seeded, connection) -> str:  # type: ignore[no-untyped-def]  # noqa: F811
    """A key that opens everything of the seeded utility."""
    made = issue(connection, ours.code, "all", scopes=set(ROLES_OF))
    connection.commit()
    return made


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A profile of its own for each test."""
    fresh = browser.new_context(viewport={"width": 1280, "height": 900})
    yield fresh
    fresh.close()


@pytest.fixture
def page(context: BrowserContext, site: str, key: str) -> Iterator[Page]:
    """A tab, signed in; an error in its console fails the test."""
    tab = context.new_page()
    errors: list[str] = []
    tab.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    tab.on("pageerror", lambda error: errors.append(str(error)))
    sign_in_with_key(tab, site, key)
    yield tab
    assert not errors


@pytest.fixture(scope="session")
def axe() -> str:
    """The script of axe-core, which judges by WCAG."""
    if not _AXE.exists():
        pytest.skip("needs axe-core (make setup brings it, with Node.js)")
    return _AXE.read_text(encoding="utf-8")
