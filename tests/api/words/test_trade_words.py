"""The words of the trade in Russian and Ukrainian: one for each thing, and none that means another."""

import re
from collections.abc import Iterator

import pytest

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


def texts(code: str) -> Iterator[tuple[str, str]]:
    """(English, translation) of every form of every message."""
    for message in catalogue(code):
        forms = message.string if isinstance(message.string, tuple | list) else (message.string,)
        for form in forms if message.id else ():
            yield str(message.id), form


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
