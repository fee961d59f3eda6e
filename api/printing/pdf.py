"""The ground of all that is printed: A4 sheets with a letterhead, tables, bars and page numbers.

A sheet is a `Letterhead` and a list of reportlab's flowables, made with `text`, `heading`, `table` and
`bars`; `document` makes the bytes of it, `pdf_response` the answer of a route. Text is plain text everywhere,
never markup. The same sheet gives the same bytes (reportlab's invariant mode), so that a print can be
compared with an older one. The fonts, DejaVu Sans Condensed, have Cyrillic and the signs of units.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from fastapi.responses import Response
from reportlab.graphics.shapes import Drawing, Line, Rect, String
from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import BaseDocTemplate, Frame, PageTemplate, Paragraph, Spacer, Table, TableStyle

from api.words.language import THIN_SPACE, Language

Flowable = Any  # reportlab has no types

MARGIN = 16 * mm
WIDTH = A4[0] - 2 * MARGIN

_FONTS = Path(__file__).resolve().parent / "fonts"
_REGULAR, _BOLD = "DejaVu", "DejaVu-Bold"
_INK, _MUTED, _LINE, _SUNK = (HexColor(code) for code in ("#171b2a", "#5a6172", "#c9c6bb", "#efede6"))
_PAD = 3


@dataclass(frozen=True, slots=True)
class Letterhead:
    """Letterhead of a sheet: `facts` are (name, value), `printed` says when and for whom."""

    utility: str
    title: str
    facts: Sequence[tuple[str, str]]
    printed: str


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: `share` of the width among all columns; figures stand on the right."""

    title: str
    share: float
    right: bool = False


def document(
    head: Letterhead, story: Sequence[Flowable], language: Language, *, compressed: bool = True
) -> bytes:
    """The sheet as PDF; the same for the same sheet. `compressed` is False for those who look into it."""
    _register_fonts()
    whole = [*_letterhead(head), *story]
    pages = _build(whole, head, language, compressed, None)[1]
    return _build(whole, head, language, compressed, pages)[0]


def pdf_response(content: bytes, name: str) -> Response:
    """The PDF as an answer that a browser shows; `name` (ASCII) is what it is saved as."""
    return Response(
        content,
        media_type="application/pdf",
        headers={"Content-Disposition": f'inline; filename="{name}.pdf"'},
    )


def text(words: str, *, bold: bool = False, muted: bool = False, size: float = 8.5) -> Flowable:
    return Paragraph(_plain(words), _style(bold=bold, muted=muted, size=size))


def heading(words: str) -> Flowable:
    """The heading of a part, which stays with what follows it."""
    style = _style(bold=True, size=10.5, spaceBefore=5 * mm, spaceAfter=1.5 * mm, keepWithNext=1)
    return Paragraph(_plain(words), style)


def table(columns: Sequence[Column], rows: Sequence[Sequence[str]], *, total: bool = False) -> Flowable:
    """A table whose head is repeated on each page; with `total` the last row is a sum."""
    shares = sum(column.share for column in columns)
    cells = [[_cell(column.title, column, muted=True) for column in columns]]
    for number, row in enumerate(rows):
        last = total and number == len(rows) - 1
        cells.append([_cell(words, column, bold=last) for words, column in zip(row, columns, strict=True)])
    style = [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LEFTPADDING", (0, 0), (-1, -1), _PAD),
        ("RIGHTPADDING", (0, 0), (-1, -1), _PAD),
        ("TOPPADDING", (0, 0), (-1, -1), 2.2),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2.8),
        ("LINEBELOW", (0, 0), (-1, 0), 0.8, _MUTED),
        ("LINEBELOW", (0, 1), (-1, -1), 0.3, _LINE),
    ]
    if total:
        style += [("BACKGROUND", (0, -1), (-1, -1), _SUNK), ("LINEABOVE", (0, -1), (-1, -1), 0.8, _MUTED)]
    widths = [WIDTH * column.share / shares for column in columns]
    return Table(cells, colWidths=widths, repeatRows=1, style=TableStyle(style))


def space(millimetres: float) -> Flowable:
    return Spacer(1, millimetres * mm)


def bars(
    values: Sequence[tuple[str, int | None, bool]], top: str, *, unknown: str, height: float = 34 * mm
) -> Flowable:
    """Bars of (label, micro-units, sure); a figure that is not sure is only outlined, an unknown one a word.

    `top` is the figure of the highest bar, as it is written.
    """
    _register_fonts()
    drawing = Drawing(WIDTH, height)
    ground, room = 11.0, height - 24
    highest = max((abs(value) for _, value, _ in values if value is not None), default=0) or 1
    step = WIDTH / max(1, len(values))
    drawing.add(Line(0, ground, WIDTH, ground, strokeColor=_MUTED, strokeWidth=0.6))
    drawing.add(String(0, height - 8, top, fontName=_REGULAR, fontSize=7, fillColor=_MUTED))
    for place, (label, value, sure) in enumerate(values):
        middle = (place + 0.5) * step
        drawing.add(_label(middle, 2, label))
        if value is None:
            drawing.add(_label(middle, ground + 3, unknown))
            continue
        high = max(0.6, max(0, value) / highest * room)
        drawing.add(
            Rect(
                middle - step * 0.32,
                ground,
                step * 0.64,
                high,
                fillColor=_MUTED if sure else None,
                strokeColor=_MUTED,
                strokeWidth=0.6,
                strokeDashArray=None if sure else [2, 1.5],
            )
        )
    return drawing


def _label(x: float, y: float, words: str) -> Flowable:
    return String(x, y, words, fontName=_REGULAR, fontSize=7, fillColor=_MUTED, textAnchor="middle")


@cache
def _register_fonts() -> None:
    """Made known to reportlab once, when something is printed first."""
    pdfmetrics.registerFont(TTFont(_REGULAR, str(_FONTS / "DejaVuSansCondensed.ttf")))
    pdfmetrics.registerFont(TTFont(_BOLD, str(_FONTS / "DejaVuSansCondensed-Bold.ttf")))


def _style(*, bold: bool = False, muted: bool = False, size: float = 8.5, **more: Any) -> Any:
    _register_fonts()
    return ParagraphStyle(
        f"{size}",
        fontName=_BOLD if bold else _REGULAR,
        fontSize=size,
        leading=size * 1.3,
        textColor=_MUTED if muted else _INK,
        **more,
    )


def _cell(words: str, column: Column, *, bold: bool = False, muted: bool = False) -> Flowable:
    more = {"alignment": TA_RIGHT} if column.right else {}
    return Paragraph(_plain(words), _style(bold=bold, muted=muted, size=8, **more))


def _plain(words: str) -> str:
    """Text as reportlab's markup, where lines break at the narrow space of figures, not at U+00A0."""
    return escape(words.replace(THIN_SPACE, "\u00a0"))


def _letterhead(head: Letterhead) -> list[Flowable]:
    facts = [[text(name, muted=True), text(value)] for name, value in head.facts]
    lines: list[Flowable] = [
        text(head.utility, muted=True, size=9),
        Paragraph(_plain(head.title), _style(bold=True, size=15, spaceBefore=1, spaceAfter=2 * mm)),
    ]
    if facts:
        padding = [
            ("LEFTPADDING", (0, 0), (-1, -1), 0),
            ("TOPPADDING", (0, 0), (-1, -1), 0.6),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 0.6),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ]
        lines.append(Table(facts, colWidths=[WIDTH * 0.24, WIDTH * 0.76], style=TableStyle(padding)))
    return [*lines, space(2)]


def _build(
    story: Sequence[Flowable], head: Letterhead, language: Language, compressed: bool, pages: int | None
) -> tuple[bytes, int]:
    """(bytes, number of pages). The pages are numbered where it is known how many there are."""
    target = BytesIO()

    def frame(canvas: Any, _document: Any) -> None:
        canvas.saveState()
        canvas.setFont(_REGULAR, 7.5)
        canvas.setFillColor(_MUTED)
        number = canvas.getPageNumber()
        if number > 1:
            canvas.drawString(MARGIN, A4[1] - MARGIN + 2 * mm, f"{head.utility} · {head.title}")
        canvas.drawString(MARGIN, MARGIN - 6 * mm, head.printed)
        if pages is not None:
            words = language.gettext("Page %(number)s of %(pages)s", number=number, pages=pages)
            canvas.drawRightString(A4[0] - MARGIN, MARGIN - 6 * mm, words)
        canvas.restoreState()

    room = Frame(MARGIN, MARGIN, WIDTH, A4[1] - 2 * MARGIN, 0, 0, 0, 0)
    sheet = BaseDocTemplate(
        target,
        pagesize=A4,
        title=head.title,
        author=head.utility,
        creator="Hesper",
        lang=language.code,
        invariant=1,
        pageCompression=int(compressed),
        pageTemplates=[PageTemplate(frames=[room], onPage=frame)],
    )
    sheet.build(deepcopy(list(story)))  # building uses it up
    return target.getvalue(), sheet.page
