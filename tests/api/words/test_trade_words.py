"""The words of the trade in Russian and Ukrainian: one for each thing, and none that means another."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass

import pytest

from api.words.evidence_words import NAMES as NAMES_OF_EVIDENCE
from api.words.explanations import FINDINGS
from api.words.facts import Text
from api.words.language import catalogue

LETTER = "[А-Яа-яЁёЄєІіЇїҐґ]"
# A word of a translation, and what the English text has to speak of where it stands; None: nothing.
RULES = {
    "ru": [
        (r"счётчик", None),  # прибор
        (r"\bсч[её]т(а|у|ом|е|ов|ам|ами|ах)?\b", r"account|bill"),  # a register shows показания
        (r"расч[её]т", r"estimat"),  # billing is начисление
        (r"наход(ка|ки|ок|ку|кой|кам|ками|ках)\b", None),  # отклонение
        (r"биллинг|выставл", None),
        (r"утвердил\(", None),
    ],
    "uk": [
        (r"лічильник|лічб", None),  # прилад, показання
        (r"\bрахун(ок|ка|ку|ком|ки|ків|кам|ками|ках)\b", r"account|bill"),
        (r"розрахун", r"estimat"),  # billing is нарахування
        (r"знахід", None),  # відхилення
        (r"білінг|виставл", None),
        (rf"\bпоказ(у|ом|и|ів|ам|ами|ах|ник{LETTER}*)?\b", None),  # показання
        (rf"{LETTER}'{LETTER}", None),  # ’
        (r"важлив", None),  # рівень
        (r"повірка (минула|закінчилася)", None),  # строк повірки минув
    ],
}

NAMES = {
    *("Hesper", "API", "OBIS", "JavaScript", "TOML", "CSV", "PDF", "SHA", "UTC", "HTTP", "NUL"),
    *("ETag", "Match", "Retry", "After", "Allow", "Idempotency", "Key", "obis", "telegrams", "read", "dBm"),
}


def texts(code: str) -> Iterator[tuple[str, str]]:
    """(English, translation) of every form of every message."""
    for message in catalogue(code):
        forms = message.string if isinstance(message.string, tuple | list) else (message.string,)
        for form in forms if message.id else ():
            yield str(message.id), form
    for text in (*_texts(FINDINGS), *NAMES_OF_EVIDENCE.values()):
        yield text.en, text.ru if code == "ru" else text.uk


def _texts(part: object) -> Iterator[Text]:
    """Every text below a value of the findings' words."""
    if isinstance(part, Text):
        yield part
    elif isinstance(part, Mapping):
        for one in part.values():
            yield from _texts(one)
    elif is_dataclass(part):
        for each in fields(part):
            yield from _texts(getattr(part, each.name))


@pytest.mark.parametrize("code", RULES)
def test_each_thing_has_one_word(code: str) -> None:
    wrong = [
        f"{pattern}: {translation!r} for {english!r}"
        for pattern, meant in RULES[code]
        for english, translation in texts(code)
        if re.search(pattern, translation, re.IGNORECASE)
        and not (meant and re.search(meant, english, re.IGNORECASE))
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("code", RULES)
def test_no_translation_is_english(code: str) -> None:
    """What machines read stands between backticks or comes as a value: `%(command)s`."""
    wrong = []
    for english, translation in texts(code):
        words = set(re.findall(r"[A-Za-z]{3,}", re.sub(r"`[^`]*`|%\(\w+\)s|\{\w+\}|/\S+", "", translation)))
        if words - NAMES:
            wrong.append(f"{translation!r} for {english!r}")
    assert not wrong, "\n".join(wrong)
