"""The demo as a user meets it: the whole way once, then a living dashboard, and a clean end."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.e2e.conftest import assert_planted_only, wait_until
from tests.support.clock import shifted_to

TODAY = datetime(2026, 5, 1, 4, tzinfo=UTC)  # a first of the month, and never the day on which the test runs

CHROMIUM = shutil.which("chromium")
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass(frozen=True)
class Living:
    """A running demo."""

    process: subprocess.Popen[bytes]
    url: str
    key: str
    broker_port: int


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What both runs of the demo keep."""
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    """In which it is `TODAY` when the first run begins."""
    return {**os.environ, **shifted_to(TODAY)}


@pytest.fixture(scope="module")
def once(folder: Path, environment: dict[str, str]) -> dict[str, Any]:
    """The summary of `hesper demo --once --json` in an empty folder."""
    command = [sys.executable, "-m", "hesper", "demo", "--once", "--json", "--data", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert isinstance(summary, dict)
    return summary


@pytest.fixture(scope="module")
def living(folder: Path, environment: dict[str, str], once: dict[str, Any]) -> Iterator[Living]:
    """`hesper demo` on the folder that the first run left, from a shell that ignores SIGINT (as `&` does)."""
    demo = [sys.executable, "-m", "hesper", "demo", "--data", str(folder)]
    command = ["sh", "-c", "trap '' INT; exec \"$@\"", "sh", *demo]
    log = (folder / "demo.out").open("wb")
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=environment
    )
    try:
        wait_until(lambda: b"Hesper lives" in (folder / "demo.out").read_bytes(), 600, "the demo's address")
        runtime = json.loads((folder / "runtime.json").read_text())
        key = (folder / "demo-key").read_text()
        yield Living(process, runtime["api_url"], key, runtime["broker_port"])
    finally:
        process.terminate()
        try:
            process.wait(60)
        finally:
            process.kill()
            process.wait()
            log.close()


@pytest.fixture
def page() -> Iterator[Page]:
    """Debian's chromium; an error in the console of a page fails the test."""
    if CHROMIUM is None:
        pytest.skip("needs chromium (apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        tab = browser.new_page()
        errors: list[str] = []
        tab.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        tab.on("pageerror", lambda error: errors.append(str(error)))
        yield tab
        browser.close()
        assert not errors


@pytest.mark.e2e
def test_once_brings_every_reading_and_every_meter_through(once: dict[str, Any]) -> None:
    assert once["meters_read"] == once["meters"] == 100
    assert once["readings_stored"] >= once["readings_sent"] > 900_000
    assert once["quarantined"] == 0


@pytest.mark.e2e
def test_once_finds_the_planted_faults_and_nothing_else(once: dict[str, Any]) -> None:
    assert_planted_only(once["kinds"])


@pytest.mark.e2e
def test_once_closes_the_last_month_with_a_reading_or_a_reason_for_each_meter(once: dict[str, Any]) -> None:
    assert once["billing_readings"] + once["exceptions"] >= 101
    # the reset, and what was silent at the month's end: no month before is closed to estimate by
    assert once["exceptions"] >= 2


@pytest.mark.e2e
def test_a_second_start_goes_on_with_what_was_kept(living: Living, once: dict[str, Any]) -> None:
    headers = {"Authorization": f"Bearer {living.key}"}
    with httpx.Client(base_url=living.url, headers=headers, timeout=20) as client:
        assert client.get("/health").status_code == 200
        meters = client.get("/v1/meters", params={"limit": 200}).raise_for_status().json()
        assert len(meters["meters"]) == once["meters"] + 2  # a dead one, and one that was swapped
        billing = client.get(f"/v1/billing/{once['period']}").raise_for_status().json()
        assert billing["readings"]
    assert httpx.get(f"{living.url}/v1/meters", timeout=20).status_code == 401


@pytest.mark.e2e
@pytest.mark.browser
def test_the_dashboard_shows_the_building_a_meter_and_the_month(living: Living, page: Page) -> None:
    page.goto(living.url)
    page.get_by_label("API key").fill(living.key)
    page.get_by_role("button", name="Sign in with the key").click()
    expect(page.locator("tr[data-site]").first).to_be_visible()
    expect(page.locator("[data-finding=stuck]").first).to_be_visible()
    page.locator("tr[data-site=linden-street-4] a").first.click()
    expect(page.locator("tr[data-meter]").first).to_be_visible()

    page.goto(f"{living.url}/meters/ZRI-20001507")  # the stuck one, flat 11
    expect(page.locator("#chart[data-drawn]")).to_be_visible()
    expect(page.locator("[data-finding=stuck]").first).to_be_visible()

    page.goto(f"{living.url}/months")
    expect(page.locator("[data-close=closed]").first).to_be_visible()


@pytest.mark.e2e
@pytest.mark.browser
def test_a_click_leads_from_the_first_page_to_each_thing_that_is_wrong(living: Living, page: Page) -> None:
    page.goto(living.url)
    page.get_by_label("API key").fill(living.key)
    page.get_by_role("button", name="Sign in with the key").click()

    page.locator("[data-finding=leak] a").click()
    expect(page.locator("h1")).to_contain_text("Flat 7, cold water")
    expect(page.locator("#findings [data-finding=leak]")).to_be_visible()

    page.goto(living.url)
    page.locator("[data-finding=missing] a", has_text="Flat 18, hot water").click()
    expect(page.locator("h1")).to_contain_text("Flat 18, hot water")
    expect(page.locator("#findings [data-finding=missing]")).to_contain_text("until now")

    page.goto(living.url)
    page.locator("[data-expired] a").click()
    row = page.locator("tr[data-meter]", has_text="Flat 12, heat")
    expect(row).to_contain_text("54 days ago")
    row.get_by_role("link").click()
    expect(page.locator("h1")).to_contain_text("Flat 12, heat")


@pytest.mark.e2e
@pytest.mark.browser
def test_a_meter_is_read_now_from_the_gateways_page(living: Living, page: Page) -> None:
    page.goto(f"{living.url}/gateways/house-1")
    page.get_by_label("API key").fill(living.key)
    page.get_by_role("button", name="Sign in with the key").click()
    expect(page.locator("#trends[data-drawn]")).to_be_visible()
    row = page.locator("tr[data-meter=EAS-20300137]")  # the electricity of flat 1
    row.get_by_role("button").click()
    expect(row.locator("[data-state=done]")).to_contain_text("1-0:1.8.0", timeout=20_000)
    page.reload()
    asked = page.locator("#commands [data-command=read-now]").first
    asked.get_by_role("link").click()
    expect(asked).to_contain_text("1-0:1.8.0")


@pytest.mark.e2e
@pytest.mark.browser
def test_a_few_clicks_lead_from_the_first_page_to_why_a_flat_was_billed_by_estimate(
    living: Living, page: Page
) -> None:
    page.goto(living.url)
    page.get_by_label("API key").fill(living.key)
    page.get_by_role("button", name="Sign in with the key").click()
    page.locator("header nav a[href='/months']").click()
    page.locator("[data-tile=readings] a").click()  # those by estimate
    estimated = page.locator("tr[data-service-point=flat-08-el]")  # silent across the month's end
    estimated.locator("a[href^='/billing/']").first.click()
    end = page.locator("[data-boundary=average]")
    expect(end.locator("[data-tried] li").first).to_be_visible()
    expect(end.locator("[data-basis]")).to_contain_text("In the measured months")
    expect(page.locator("[data-boundary]").first).to_contain_text("this value")


@pytest.mark.e2e
def test_ctrl_c_ends_every_process(living: Living) -> None:
    children = psutil.Process(living.process.pid).children(recursive=True)
    assert len(children) >= 7  # database, broker, ingester, validator, API, building, gateway
    os.kill(living.process.pid, signal.SIGINT)
    assert living.process.wait(60) == 0
    left = [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    assert not left
