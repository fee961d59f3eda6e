"""Every page that links lead to: WCAG AA by axe in light and dark, and no sideways scrolling on a phone."""

import pytest
from playwright.sync_api import Page

from tests.support.browsing import every_page, settle

_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
_RUN = """async tags => {
    const found = await axe.run(document, {runOnly: {type: "tag", values: tags}});
    return found.violations.map(one => `${one.help}: ${one.nodes.map(node => node.target.join(" "))}`);
}"""
_TOO_WIDE = "() => document.documentElement.scrollWidth > document.documentElement.clientWidth"

pytestmark = pytest.mark.browser


def test_every_page_is_accessible_in_light_and_dark(page: Page, site: str, axe: str) -> None:
    faults = []
    for path in every_page(page, site):
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            page.goto(site + path)
            settle(page)
            page.evaluate(f"() => {{ {axe} }}")
            faults += [f"{path} {scheme}: {fault}" for fault in page.evaluate(_RUN, _TAGS)]
    assert faults == []


def test_no_page_scrolls_sideways_at_360_pixels(page: Page, site: str) -> None:
    paths = every_page(page, site)
    page.set_viewport_size({"width": 360, "height": 740})
    wide = []
    for path in paths:
        page.goto(site + path)
        settle(page)
        if page.evaluate(_TOO_WIDE):
            wide.append(path)
    assert wide == []


@pytest.mark.parametrize(("code", "said"), [("ru", "Выйти"), ("uk", "Вийти")])
def test_a_language_is_chosen_at_the_foot_of_a_page_and_stays(
    page: Page, site: str, code: str, said: str
) -> None:
    page.goto(f"{site}/findings")
    page.locator(f"button[lang={code}]").click()
    page.wait_for_url(f"{site}/findings")
    assert page.locator("html").get_attribute("lang") == code
    assert page.locator("header form button").inner_text() == said
    page.goto(f"{site}/months")
    assert page.locator("html").get_attribute("lang") == code
