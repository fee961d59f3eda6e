"""CSV: RFC 4180, its dialect for half of Europe, and stored readings as PostgreSQL would write them."""

import csv
import io
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from metering.delivery.formats.delimited import BILLING_COLUMNS
from metering.spreadsheet import cell_text
from telemetry.micro import from_micro, to_micro
from tests.metering.delivery.formats.samples import row, texts, written


def test_csv_is_that_of_rfc_4180() -> None:
    lines = written("csv").split(b"\r\n")
    assert lines[-1] == b""
    assert not any(b"\n" in line for line in lines)
    assert lines[0].decode().split(",") == list(BILLING_COLUMNS)
    assert lines[1].decode() == (
        "stadt,2026-10,flat-1 & <co>,40001,KAM-1 KAM-2,1-0:1.8.1,kW.h,1,2026-10-01T00:00:00+02:00,"
        "2026-11-01T00:00:00+01:00,100,223.456,123.456,,0,valid,set_day,reading,"
        f"{'01' * 32},4,2026-11-01T05:00:00Z"
    )


def test_csv_for_half_of_europe_has_semicolons_and_decimal_commas() -> None:
    fields = dict(
        zip(BILLING_COLUMNS, written("csv", dialect="de").splitlines()[1].decode().split(";"), strict=True)
    )
    assert (fields["end_value"], fields["consumption"]) == ("223,456", "123,456")


@given(texts, texts, st.integers(-(10**12), 10**12), st.sampled_from(["rfc4180", "spreadsheet", "de"]))
def test_any_text_and_value_come_back_from_csv(point: str, account: str, micro: int, dialect: str) -> None:
    text = written("csv", [row(point, "8-0:1.0.0", "m3", "1", account=account, consumption=micro)], dialect)
    delimiter, mark = (";", ",") if dialect == "de" else (",", ".")
    told = str if dialect == "rfc4180" else cell_text
    _, values = csv.reader(io.StringIO(text.decode(), newline=""), delimiter=delimiter)
    fields = dict(zip(BILLING_COLUMNS, values, strict=True))
    assert (told(fields["service_point"]), told(fields["account"])) == (point, account)
    assert Decimal(fields["consumption"].replace(mark, ".")) == from_micro(micro)


def test_what_settles_earlier_estimates_is_a_column_of_its_own() -> None:
    settled = [row("flat-1", "8-0:1.0.0", "m3", "12.5", true_up=to_micro("-2.25"))]
    lines = written("csv", settled).decode().splitlines()
    assert dict(zip(lines[0].split(","), lines[1].split(","), strict=True))["true_up"] == "-2.25"


def test_a_spreadsheet_gets_no_formula_and_a_program_gets_the_text_as_it_is() -> None:
    formula = '=HYPERLINK("http://evil.example","open")'
    issued = [row(formula, "8-0:1.0.0", "m3", "-2.5", account="-2+3+cmd|x")]

    def cells(dialect: str) -> list[str]:
        fields = dict(
            zip(*csv.reader(io.StringIO(written("csv", issued, dialect).decode(), newline="")), strict=True)
        )
        return [fields[column] for column in ("service_point", "account", "consumption")]

    assert cells("rfc4180") == [formula, "-2+3+cmd|x", "-2.5"]
    assert cells("spreadsheet") == [f"'{formula}", "'-2+3+cmd|x", "-2.5"]
