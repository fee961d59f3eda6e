"""On which line of a TOML text a value stands, since `tomllib` does not say: for error messages only.

It follows headers and keys and steps over strings, comments and values of several lines. What stands inside
an inline table or array is found at the line where that begins.
"""

import re

TomlPath = tuple[str | int, ...]

_KEY = r"""(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')"""
_KEYS = rf"{_KEY}(?:\s*\.\s*{_KEY})*"
_HEADER = re.compile(rf"\s*(?P<open>\[\[?)\s*(?P<keys>{_KEYS})\s*\]\]?")
_ASSIGNMENT = re.compile(rf"\s*(?P<keys>{_KEYS})\s*=(?P<value>.*)")
_STRING = re.compile(r""""(?:[^"\\\n]|\\.)*"|'[^'\n]*\'""")
_LONG_STRING = re.compile(r'"""|\'\'\'')


class TomlLines:
    """Lines of a TOML text: `find(("line", 0, "meter", 2, "address"))` -> its number, counted from 1."""

    def __init__(self, text: str) -> None:
        self._lines: dict[TomlPath, int] = {}
        self._lengths: dict[TomlPath, int] = {}  # of arrays of tables
        table: TomlPath = ()
        quote = ""  # of a string of several lines that is open
        depth = 0  # brackets that are open
        for number, line in enumerate(text.splitlines(), start=1):
            content = line
            if not quote and not depth:
                if header := _HEADER.match(line):
                    table = self._table(_split(header["keys"]), array=header["open"] == "[[")
                    self._lines.setdefault(table, number)
                    continue
                if not (assignment := _ASSIGNMENT.match(line)):
                    continue
                self._lines[(*table, *_split(assignment["keys"]))] = number
                content = assignment["value"]
            quote, depth = _carried_over(content, quote, depth)

    def find(self, path: TomlPath) -> int | None:
        """The line of the value, else of the innermost table around it; None for the top level."""
        while path:
            if path in self._lines:
                return self._lines[path]
            path = path[:-1]
        return None

    def _table(self, keys: list[str], *, array: bool) -> TomlPath:
        path: TomlPath = ()
        for position, key in enumerate(keys):
            path = (*path, key)
            if array and position == len(keys) - 1:
                self._lengths[path] = self._lengths.get(path, 0) + 1
            if path in self._lengths:
                path = (*path, self._lengths[path] - 1)
        return path


def _split(keys: str) -> list[str]:
    return [key.strip("\"'") for key in re.findall(_KEY, keys)]


def _carried_over(content: str, quote: str, depth: int) -> tuple[str, int]:
    """The string and brackets that are still open after this line."""
    while True:
        if quote:
            _, found, content = content.partition(quote)
            if not found:
                return quote, depth
            quote = ""
        opening = _LONG_STRING.search(content)
        plain = _STRING.sub("", content[: opening.start()] if opening else content)
        code, comment, _ = plain.partition("#")
        depth += code.count("[") + code.count("{") - code.count("]") - code.count("}")
        if not opening or comment:
            return "", depth
        quote, content = opening.group(), content[opening.end() :]
