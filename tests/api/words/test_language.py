"""The pages' languages: complete catalogues, exact figures, and whose wish counts."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from api.v1.models import decimal_text
from api.words.language import THIN_SPACE, languages
from api.words.vocabulary import register_name
from telemetry.micro import LIMIT, to_micro

ROOT = Path(__file__).parents[3]
KYIV = ZoneInfo("Europe/Kyiv")
NOW = datetime(2026, 11, 21, 17, 40, tzinfo=UTC)
EN, RU, UK = languages().values()


def test_every_text_is_in_every_catalogue() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "catalogues")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("language", "point"), [(EN, "."), (RU, ","), (UK, ",")])
@given(micro=st.integers(min_value=-LIMIT + 1, max_value=LIMIT - 1))
def test_a_shown_number_is_the_exact_one(language: object, point: str, micro: int) -> None:
    assert to_micro(decimal_text(micro)) == micro
    shown = language.number(micro)  # type: ignore[attr-defined]
    assert to_micro(shown.replace(THIN_SPACE, "").replace("−", "-").replace(point, ".")) == micro


def test_figures_are_written_as_the_language_does() -> None:
    assert EN.number(37_319_500_000) == "37\u202f319.5"
    assert RU.number(1_234_567_890_000) == "1\u202f234\u202f567,89"
    assert UK.number(-500_000) == "−0,5"
    assert RU.amount(12_500_000, "kW.h") == "12,5\u202fкВт·ч"
    assert EN.amount(12_000_000, "m3") == "12\u202fm³"


@pytest.mark.parametrize(
    ("share", "shown"), [(0.0, "0"), (1.0, "100"), (0.9999, "99"), (0.0001, "1"), (0.5, "50")]
)
def test_only_all_is_a_hundred_per_cent_and_only_nothing_is_none(share: float, shown: str) -> None:
    assert EN.percent(share) == f"{shown}\u202f%"


def test_times_are_written_as_the_language_does_by_the_utilitys_clocks() -> None:
    assert EN.local_time(NOW, KYIV) == "21 Nov 2026, 19:40"
    assert RU.local_time(NOW, KYIV) == "21 нояб. 2026, 19:40"
    assert UK.local_date(NOW, KYIV) == "21 лист. 2026"
    assert EN.local_dates(NOW - timedelta(days=30), NOW, KYIV) == "22 Oct – 21 Nov 2026"
    assert EN.local_dates(NOW - timedelta(days=365), NOW, KYIV) == "21 Nov 2025 – 21 Nov 2026"
    assert (EN.month("2026-10"), RU.month("2026-10"), UK.month("2026-10")) == (
        "October 2026",
        "октябрь 2026",
        "жовтень 2026",
    )


@pytest.mark.parametrize(
    ("past", "text"),
    [
        (5, "less than a minute ago"),
        (73, "1 minute ago"),
        (300, "5 minutes ago"),
        (7200, "2 hours ago"),
        (400_000, "4 days ago"),
        (-5, "in the future"),
    ],
)
def test_an_age_has_one_unit(past: int, text: str) -> None:
    assert EN.age(NOW - timedelta(seconds=past), NOW) == text


def test_counts_take_the_form_of_the_language() -> None:
    days = [RU.age(NOW - timedelta(days=count), NOW) for count in (3, 5, 21)]
    assert days == ["3 дня назад", "5 дней назад", "21 день назад"]


def test_facts_and_instants_in_a_sentence_are_told_by_local_clocks() -> None:
    prague = ZoneInfo("Europe/Prague")
    assert EN.fact("2026-11-21T17:00:00Z", prague) == "21 Nov 2026, 18:00"
    assert EN.fact("9999-99-99T99:99Z", prague) == "9999-99-99T99:99Z"
    assert RU.fact("7229.96", prague) == "7\u202f229,96"
    text = "none for 2026-10-31T23:00:00Z; the last is 5.1 at 2026-10-27T22:00:49Z, not 2026-99-31T23:00Z"
    assert EN.local_instants(text, prague) == (
        "none for 1 Nov 2026, 00:00; the last is 5.1 at 27 Oct 2026, 23:00, not 2026-99-31T23:00Z"
    )


def test_a_register_is_named_in_the_language() -> None:
    assert register_name("1-0:1.8.2", RU) == "активная энергия, приём, тариф 2"
    assert register_name("1-0:52.7.0", UK) == "напруга L2"
    assert register_name("nonsense", UK) == "nonsense"


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("uk-UA,uk;q=0.9,en;q=0.8", "uk"),
        ("de, ru;q=0.5", "ru"),
        ("ru;q=0, en", "en"),
        ("*", "en"),
        ("", "en"),
        ("en;q=0.1, ru-RU;q=0.2", "ru"),
        ("ru;q=nonsense", "en"),
    ],
)
def test_the_browsers_wish_counts_until_another_is_chosen(
    anonymous: TestClient, header: str, code: str
) -> None:
    assert f'<html lang="{code}">' in anonymous.get("/sign-in", headers={"Accept-Language": header}).text


def test_a_chosen_language_stays_and_leads_back_to_the_page(browser: TestClient) -> None:
    token = browser.get("/").text.split('name="form_token" value="')[1].split('"')[0]
    form = {"code": "uk", "next": "/findings?state=all", "form_token": token}
    answer = browser.post("/language", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/findings?state=all")
    assert '<html lang="uk">' in browser.get("/findings", headers={"Accept-Language": "ru"}).text
    assert browser.post("/language", data=form | {"code": "xx"}).status_code == 404
    away = browser.post("/language", data=form | {"next": "//elsewhere.example"})
    assert away.headers["location"] == "/"
