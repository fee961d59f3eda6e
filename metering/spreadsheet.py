"""Cells of CSV files that people open: a spreadsheet computes what begins like a formula, whoever wrote it.

An apostrophe before it makes it a text (OWASP, "CSV Injection"), and is taken away where such a file is read
again. Numbers stay numbers, those with a sign too. Files that programs read have no need of it.
"""

import re

_MARK = "'"
_BEGINS = re.compile(r"'*(?:[\t\r\n]|\s*[=+\-@＝＋－＠])")
_NUMBER = re.compile(r"'*[+-]?\d+(?:[.,]\d+)?")


def text_cell(text: str) -> str:
    """Text as the cell of a file for people: what a spreadsheet would compute has an apostrophe before it."""
    return _MARK + text if _is_computed(text) else text


def cell_text(cell: str) -> str:
    """Text that `text_cell` made this cell of; what somebody wrote without the apostrophe is itself."""
    text = cell.removeprefix(_MARK)
    return text if _is_computed(text) else cell


def _is_computed(text: str) -> bool:
    """Whether a spreadsheet might, apart from apostrophes, take it for a formula."""
    return _BEGINS.match(text) is not None and _NUMBER.fullmatch(text) is None
