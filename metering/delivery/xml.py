"""XML, written piece by piece and the same to the byte every time: no time of day, no random id."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from xml.sax.saxutils import escape, quoteattr

# what XML 1.0, 2.2 (Char) leaves out; a registry's text may hold it
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Xml:
    """XML document that is taken away piece by piece while it is written."""

    def __init__(self) -> None:
        self._waiting: list[str] = []
        self._depth = 0
        self._line('<?xml version="1.0" encoding="UTF-8"?>')

    def take(self) -> bytes:
        """The text since it was last taken, in UTF-8."""
        piece = "".join(self._waiting).encode()
        self._waiting.clear()
        return piece

    def leaf(self, name: str, text: object = "", attributes: Mapping[str, str] | None = None) -> None:
        """An element with text alone, or an empty one."""
        content = escape(_allowed(str(text)))
        opening = f"<{name}{_written(attributes)}"
        self._line(f"{opening}>{content}</{name}>" if content else f"{opening}/>")

    @contextmanager
    def element(self, name: str, attributes: Mapping[str, str] | None = None) -> Iterator[None]:
        """An element around those that are written inside the context."""
        self._line(f"<{name}{_written(attributes)}>")
        self._depth += 1
        yield
        self._depth -= 1
        self._line(f"</{name}>")

    def _line(self, text: str) -> None:
        self._waiting.append(f"{'  ' * self._depth}{text}\n")


def _written(attributes: Mapping[str, str] | None) -> str:
    return "".join(f" {name}={quoteattr(_allowed(value))}" for name, value in (attributes or {}).items())


def _allowed(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
