"""A browser on the pages: the app on a free port, Debian's chromium, and a walk that finds every page."""

import re
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from fastapi import FastAPI
from playwright.sync_api import Browser, Page, sync_playwright

from api.web.server import Server

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_EXAMPLE = re.compile(r"[^/]*\d[^/]*")


@contextmanager
def serving(app: FastAPI, port: int = 0) -> Iterator[str]:
    """The app on this port of this machine, else a free one; its address."""
    with socket.create_server(("127.0.0.1", port)) as listening:
        server = Server(app)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def chromium() -> Iterator[Browser]:
    """The installed browser; ends with what to do where there is none."""
    if CHROMIUM is None:
        raise SystemExit("No Chromium is installed. Get it with: sudo apt-get install -y chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def sign_in_with_key(page: Page, url: str, key: str) -> None:
    """Through the form, as a person would."""
    page.goto(f"{url}/sign-in")
    page.locator("#key").fill(key)
    page.locator("form:has(#key) button[type=submit]").click()
    page.wait_for_url(lambda address: "/sign-in" not in address)


def every_page(page: Page, url: str) -> list[str]:
    """A path of each kind of page that links lead to from the first one, in the order of the walk.

    Pages of a kind differ in a part that holds a digit: `/meters/KAM-00000001` stands for all meters.
    """
    waiting, found = ["/"], {_kind("/"): "/"}
    while waiting:
        page.goto(url + waiting.pop(0))
        links = page.eval_on_selector_all("a[href]:not([download])", "all => all.map(one => one.href)")
        for address in links:
            parts = urlsplit(address)
            kind = _kind(parts.path)
            skipped = parts.path.startswith(("/static", "/v1", "/sign-in")) or "." in parts.path
            if f"{parts.scheme}://{parts.netloc}" == url and kind not in found and not skipped:
                found[kind] = parts.path + (f"?{parts.query}" if parts.query else "")
                waiting.append(found[kind])
    return list(found.values())


def settle(page: Page) -> None:
    """Wait until the charts of a page are drawn."""
    for chart in page.locator("[data-source]").all():
        chart.and_(page.locator("[data-drawn]")).wait_for()


def _kind(path: str) -> str:
    return _EXAMPLE.sub("*", path)
