"""The text of an uncompressed PDF of reportlab's, read through the maps of its fonts (ISO 32000-1, 9.10)."""

import re

_OBJECT = re.compile(rb"(\d+) 0 obj\s(.*?)endobj", re.DOTALL)
_MAPPED = re.compile(rb"<([0-9A-F]{2})> <([0-9A-F]{4})>")
_SHOWN = re.compile(rb"/(F[\d+]+) [\d.]+ Tf|\(((?:\\.|[^\\()])*)\) Tj", re.DOTALL)
_ESCAPED = re.compile(rb"\\([0-7]{3}|.)", re.DOTALL)


def pdf_text(content: bytes) -> str:
    """What it says, a piece a line, in the order of drawing."""
    objects = {int(number): body for number, body in _OBJECT.findall(content)}
    maps = {}
    for body in objects.values():
        name, unicode_map = re.search(rb"/Name /(F[\d+]+)", body), re.search(rb"/ToUnicode (\d+) 0 R", body)
        if name and unicode_map:
            pairs = _MAPPED.findall(objects[int(unicode_map[1])])
            maps[name[1]] = {int(code, 16): chr(int(point, 16)) for code, point in pairs}
    lines, current = [], {}
    for font, shown in _SHOWN.findall(content):
        if font:
            current = maps.get(font, {})
        else:
            lines.append("".join(current.get(code, chr(code)) for code in _ESCAPED.sub(_byte, shown)))
    return "\n".join(lines)


def _byte(match: re.Match[bytes]) -> bytes:
    plain = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}
    return bytes([int(match[1], 8)]) if match[1].isdigit() else plain.get(match[1], match[1])
