"""Sentences that other rooms write down in English are known to the pages, every one of them."""

import ast
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from api.words.language import languages
from api.words.vocabulary import facts_of
from api.words.written import is_known, translated

ROOT = Path(__file__).parents[3]
PRAGUE = ZoneInfo("Europe/Prague")
RU = languages()["ru"]
# Where reasons are written: what a name or a call's argument of these is, is shown to people.
_ROOMS = ("ingest/billing", "ingest/receive", "metering/billing")
_NAMES = {"detail", "why", "who"}
_CALLS = {"_Not", "_UnusableError", "_exception"}
# Parts of sentences that the examples below have whole.
_PARTS = {" and its capacity is not known", "the utility 0", "gateway 0 of 0", "0 is not registered", "0: 0"}


def _sample(node: ast.expr) -> str | None:
    """The text with a sample for each value; None where it is no literal."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else _value(ast.unparse(part))
            for part in node.values
        )
    return None


def _value(expression: str) -> str:
    if "side" in expression:
        return "before"
    if "in_words" in expression:
        return "3.5 h"
    if "told" in expression or "_told" in expression:
        return "missing"
    if "rule" in expression:
        return "reset"
    return "2026-10" if "period" in expression else "0"


def _written(room: str) -> Iterator[tuple[str, str]]:
    for path in sorted((ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            found: list[ast.expr] = []
            if isinstance(node, ast.Assign | ast.AugAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                if any(getattr(target, "id", None) in _NAMES for target in targets):
                    found = [node.value]
            elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in _CALLS:
                found = list(node.args)
            for each in found:
                text = _sample(each)
                if text is not None and " " in text:
                    yield f"{path.relative_to(ROOT)}:{each.lineno}", text


def _is_known(text: str) -> bool:
    facts = text.removeprefix("; ").removeprefix("verification: ")
    return text in _PARTS or is_known(facts) or is_known(facts_of(facts))


def test_every_reason_that_is_written_down_is_known() -> None:
    written = [each for room in _ROOMS for each in _written(room)]
    assert len(written) > 15
    unknown = [f"{where}: {text}" for where, text in written if not _is_known(text)]
    assert not unknown, "\n".join(unknown)


@pytest.mark.parametrize(
    ("detail", "said"),
    [
        (
            "K-1 has a reset at 2026-11-17T10:00:00Z: write the last and the first value down",
            "K-1: Показания обнулились, 17 нояб. 2026, 11:00",
        ),
        (
            "K-1 has a rollover at 2026-11-17T10:00:00Z and its capacity is not known: enter the digits",
            "K-1: Показания перешли через ноль, 17 нояб. 2026, 11:00; сколько у него знаков, неизвестно",
        ),
        (
            (
                "K-1 has no usable reading for 2026-10-31T23:00:00Z; the last before "
                "is missing, the first after "
                "1191.5 at 2026-11-20T06:00:00Z, marked glitch: import an earlier reading"
            ),
            (
                "K-1: нет пригодного показания на 1 нояб. 2026, 00:00; последнее до "
                "этого: нет; первое после: "
                "1\u202f191,5, 20 нояб. 2026, 07:00, с пометкой: Сбой показания"
            ),
        ),
        (
            (
                "K-1 stood at 12.5 at the start and at 3 at the end; the start is "
                "what was billed for 2026-09, "
                "which should be closed again first: compare both"
            ),
            (
                "K-1: в начале 12,5, в конце 3; начало — начисленное за сентябрь "
                "2026: сначала закройте заново "
                "тот месяц"
            ),
        ),
        (
            (
                "K-1: verification: it ran out after 2026-06-10, so nothing that the "
                "meter shows on 2026-10-31 "
                "counts: have the meter verified"
            ),
            "поверка истекла после 2026-06-10, и показания на 2026-10-31 не учитываются",
        ),
        ("gateway gw-1 of alpha is not registered", "шлюз gw-1 предприятия alpha не зарегистрирован"),
        ("12345678 is not registered at alpha", "12345678 у предприятия alpha не зарегистрирован"),
        ("nobody foresaw 2026-10-31T23:00:00Z", "nobody foresaw 1 нояб. 2026, 00:00"),
    ],
)
def test_a_detail_is_said_in_the_readers_language(detail: str, said: str) -> None:
    assert translated(facts_of(detail), RU, PRAGUE) == said
