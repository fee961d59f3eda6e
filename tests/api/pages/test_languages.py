"""Nothing on a page stays English for whoever reads Russian or Ukrainian: not a text that somebody forgot to
mark, not a word of the database, not an error."""

import ast
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import psycopg
import pytest
from fastapi.testclient import TestClient

from metering.access import ROLES_OF
from store.access.api_keys import issue
from tests.api.conftest import sign_in
from tests.api.seeding import Seeded

_PAGES = Path(__file__).parents[3] / "api" / "pages"
_WORD = re.compile(r"[A-Za-z][a-z]{2,}")
_UNSEEN = {"script", "style", "code", "pre", "q"}  # code and pre: what machines read; q: what people wrote
_SPOKEN = {"title", "alt", "placeholder", "aria-label", "data-none", "data-some"}
_VOID = {"input", "meta", "link", "br", "img", "use", "path", "hr", "col"}
# Names that are the same in every language.
_NAMES = {"Hesper", "English", "Java", "Script"}
_RAISES = {"Problem", "ProblemError", "not_found", "invalid"}
# What programs send and read, in the problems that speak of it.
_PROTOCOL = {"Retry", "After", "Allow", "Match", "Tag", "Idempotency", "Key", "obis"}
_LINES = {"heat", "water"}  # of the seeded gateway
# What the utility calls its things, and what people wrote: data, not words of ours.
_DATA = """
    select string_agg(text, ' ') from (
        select concat_ws(' ', code, name, time_zone) as text from utilities
        union all select concat_ws(' ', code, name, address) from sites
        union all select code from gateways
        union all select concat_ws(' ', code, model) from meters
        union all select concat_ws(' ', code, name, account) from service_points
        union all select concat_ws(' ', author, reason) from edits
        union all select name from api_keys
    ) words
"""


class Words(HTMLParser):
    """English words that a page shows or says, and where its links lead."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.links: list[str] = []
        self._hidden: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if not self._hidden:
            self.text += [given[name] for name in _SPOKEN & given.keys()]
        if (
            self._hidden or tag in _UNSEEN or given.get("lang") == "en" or given.get("translate") == "no"
        ) and tag not in _VOID:
            self._hidden.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._hidden and self._hidden[-1] == tag:
            self._hidden.pop()

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.text.append(data)


def _english(page: str, known: set[str]) -> tuple[set[str], list[str]]:
    looked = Words()
    looked.feed(page)
    shown = re.sub(r"`[^`]*`|/\S+", "", " ".join(looked.text))
    return set(_WORD.findall(shown)) - known, looked.links


def _crawl(browser: TestClient, known: set[str]) -> dict[str, set[str]]:
    """The English words of each page that links lead to; of pages of one kind, of the first few."""
    waiting, seen, found = ["/"], {"/"}, {}
    kinds: dict[str, int] = {}
    while waiting:
        path = waiting.pop(0)
        kind = re.sub(r"[\w-]*\d[\w-]*", "*", path.partition("?")[0])
        kinds[kind] = kinds.get(kind, 0) + 1
        if kinds[kind] > 4:
            continue
        answer = browser.get(path, headers={"Accept": "text/html"}, follow_redirects=True)
        assert answer.status_code == 200, path
        if not answer.headers["content-type"].startswith("text/html"):
            continue
        words, links = _english(answer.text, known)
        if words:
            found[path] = words
        for link in links:
            target = urlsplit(urljoin(path, link))
            address = target.path + (f"?{target.query}" if target.query else "")
            if not target.netloc and address not in seen:
                seen.add(address)
                waiting.append(address)
    assert len(kinds) > 12, "the pages are linked with each other"
    return found


@pytest.fixture
def known(connection: psycopg.Connection, ours: Seeded) -> set[str]:
    row = connection.execute(_DATA).fetchone()
    assert row is not None
    return _NAMES | _LINES | set(_WORD.findall(row[0]))


@pytest.mark.parametrize("code", ["ru", "uk"])
def test_no_page_has_an_english_word(
    anonymous: TestClient, connection: psycopg.Connection, ours: Seeded, known: set[str], code: str
) -> None:
    key = issue(connection, ours.code, "all", scopes=set(ROLES_OF))
    connection.commit()
    anonymous.cookies.set("language", code)
    sign_in(anonymous, key)
    found = [
        f"{path}: {', '.join(sorted(words))}"
        for path, words in _crawl(anonymous, known | {"all", "anna"}).items()
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("code", ["ru", "uk"])
def test_no_error_has_an_english_word(browser: TestClient, ours: Seeded, known: set[str], code: str) -> None:
    browser.cookies.set("language", code)
    asked = {
        "/nowhere": 404,
        "/meters/KAM-00000000": 404,
        f"/meters/{ours.meters[0]}?register=1-1:1.1.1": 404,
        "/findings/999999": 404,
        "/quarantine/999999": 404,
        "/billing/999999": 404,
        "/accounts/none/statement": 404,
        "/accounts/40002/statement?from=2026-10&to=2026-09": 422,
        f"/meters/{ours.meters[0]}/telegrams?at=2020-01-01T00:00:00Z": 404,
        "/problems/none": 404,
        "/problems": 200,
        "/problems/forbidden": 200,
    }
    found = []
    for path, status in asked.items():
        answer = browser.get(path, headers={"Accept": "text/html"})
        assert answer.status_code == status, path
        words, _ = _english(answer.text, known | _PROTOCOL)
        found += [f"{path}: {', '.join(sorted(words))}"] if words else []
    assert not found, "\n".join(found)


def test_no_template_has_a_text_that_is_not_marked() -> None:
    """Also of states that the seeded utility is not in."""
    found = []
    for path in sorted(_PAGES.rglob("*.html")):
        text = re.sub(
            r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", "", path.read_text(encoding="utf-8"), flags=re.DOTALL
        )
        words, _ = _english(text, _NAMES)
        found += [f"{path.name}: {', '.join(sorted(words))}"] if words else []
    assert not found, "\n".join(found)


def test_every_problem_that_a_page_raises_is_marked_for_translation() -> None:
    found = []
    for path in sorted(_PAGES.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or getattr(node.func, "id", "") not in _RAISES:
                continue
            found += [
                f"{path.name}:{given.lineno}"
                for given in node.args
                if isinstance(given, ast.JoinedStr)
                or (isinstance(given, ast.Constant) and " " in str(given.value))
            ]
    assert not found, "\n".join(found)
