"""Cells for people: no text is computed by a spreadsheet, every text can be had back, numbers are numbers."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from metering.spreadsheet import cell_text, text_cell

_COMPUTED = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


@pytest.mark.parametrize(
    "text",
    [
        "=cmd|' /C calc'!A0",
        "=1+1",
        "-2+3+cmd|x",
        '=HYPERLINK("http://evil.example","open")',
        "+cmd|x",
        "@SUM(A1)",
        "\t=1+1",
        "  =1+1",
        "＝1+1",
        "-1-1",
        "-",
    ],
)
def test_what_a_spreadsheet_would_compute_becomes_a_text(text: str) -> None:
    assert text_cell(text) == f"'{text}"


@pytest.mark.parametrize(
    "text", ["", "-2.5", "+49", "-2,5", "12", "Main Street 5", "'quoted'", "1-0:1.8.1=2.5"]
)
def test_numbers_and_other_texts_stay_what_they_are(text: str) -> None:
    assert text_cell(text) == text


@given(st.text(st.sampled_from("'=+-@ \t\n＝1.,a"), max_size=6) | st.text(max_size=10))
@example("'=1")
@example("''=1")
@example("'-5")
def test_any_text_can_be_had_back_and_none_is_computed(text: str) -> None:
    cell = text_cell(text)
    assert cell_text(cell) == text
    assert (
        not cell.startswith(_COMPUTED) or cell.lstrip("+-").replace(",", ".").replace(".", "", 1).isdecimal()
    )


def test_a_cell_that_somebody_wrote_without_an_apostrophe_is_its_text() -> None:
    assert cell_text("=1+1") == "=1+1"
