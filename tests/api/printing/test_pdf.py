"""Printed sheets: the same bytes for the same sheet, every sign in its place, nothing taken for markup."""

import pytest

from api.printing.pdf import Column, Letterhead, bars, document, heading, pdf_response, table, text
from api.words.language import languages
from tests.support.pdf_text import pdf_text

HEAD = Letterhead("Аква <Альфа>", "Счётчик & год", [("Точка", "кв. 5, м³ − 37\u202f319,5")], "Напечатано")
COLUMNS = [Column("Месяц", 2), Column("Расход", 1, right=True)]


def story(rows: int = 3) -> list[object]:
    return [
        heading("Показания"),
        text("<b>не разметка</b> & прочее"),
        table(
            COLUMNS,
            [[f"строка {number}", "5,25"] for number in range(rows)] + [["Итого", "15,75"]],
            total=True,
        ),
        bars([("янв", 5_000_000, True), ("фев", None, True), ("мар", -1, False)], "5 м³", unknown="нет"),
    ]


def test_a_sheet_says_what_it_was_given_whatever_the_alphabet_and_however_it_looks_like_markup() -> None:
    said = pdf_text(document(HEAD, story(), languages()["ru"], compressed=False)).replace("\n", "")
    for part in ("Аква <Альфа>", "Счётчик & год", "кв. 5, м³ − 37 319,5", "<b>не разметка</b> & прочее"):
        assert part in said
    assert "Страница 1 из 1" in said


def test_the_same_sheet_gives_the_same_bytes() -> None:
    made = {document(HEAD, story(), languages()[code]) for code in ("uk", "uk", "uk")}
    assert len(made) == 1


@pytest.mark.parametrize("rows", [1, 60, 200])
def test_pages_are_numbered_and_a_table_repeats_its_head(rows: int) -> None:
    said = pdf_text(document(HEAD, story(rows), languages()["en"], compressed=False)).splitlines()
    pages = [line for line in said if line.startswith("Page ")]
    assert pages == [f"Page {number} of {len(pages)}" for number in range(1, len(pages) + 1)]
    assert said.count("Месяц") == len(pages)
    assert [line for line in said if line.startswith("строка")] == [
        f"строка {number}" for number in range(rows)
    ]


def test_a_pdf_is_shown_by_the_browser_under_a_name() -> None:
    answer = pdf_response(b"%PDF-", "KAM-1-2026")
    assert answer.media_type == "application/pdf"
    assert answer.headers["content-disposition"] == 'inline; filename="KAM-1-2026.pdf"'
