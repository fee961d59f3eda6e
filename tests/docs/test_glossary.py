"""The glossary: each word once, in four languages, and the files that it sends its readers to."""

import re
from pathlib import Path

from api.words.language import catalogue

ROOT = Path(__file__).parents[2]
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| English")
]


# Said in the words of findings, or by the code alone.
_ELSEWHERE = {"multiplier", "missed poll", "reset", "late reading", "task", "anchor", "epoch", "heartbeat"}


def test_every_word_is_there_once_in_every_language() -> None:
    words = [row[0] for row in ROWS]
    assert len(words) >= 60
    assert len(words) == len(set(words))
    assert [row for row in ROWS if len(row) != 6 or not all(row)] == []


def test_every_file_that_it_names_exists() -> None:
    named = [path for row in ROWS for path in re.findall(r"`([^`]+)`", row[5])]
    assert len(named) == len(ROWS)
    assert [path for path in named if not (ROOT / path).is_file()] == []


def test_the_pages_use_its_words() -> None:
    for code, column in (("ru", 3), ("uk", 4)):
        said = " ".join(str(message.string) for message in catalogue(code)).lower()
        unsaid = [row[0] for row in ROWS if not any(_stem(word) in said for word in row[column].split(", "))]
        assert set(unsaid) <= _ELSEWHERE


def _stem(word: str) -> str:
    """The beginning, which is the same in every case of the word."""
    first = max(re.sub(r"\(.*?\)", "", word).lower().split(), key=len)
    return first[:-2] if len(first) > 4 else first
