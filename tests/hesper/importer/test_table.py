"""Files as readouts: every row is a readout or an error with its line."""

import gzip
import tracemalloc
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from hesper.importer.columns import parse_column_map
from hesper.importer.table import FileError, RowError, Table
from telemetry.wire import WireReadout

MAP = "meter=meter,at=time,8-0:1.0.0=volume,8-0:3.0.0=temperature"
HEADER = "meter,time,volume,temperature\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "readings.csv"


def table(file: Path, text: str | bytes, **options: str) -> Table:
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return Table(file, parse_column_map([MAP]), ZoneInfo("Europe/Madrid"), **options)


def rows(file: Path, text: str | bytes, **options: str) -> list[WireReadout | RowError]:
    return list(table(file, text, **options).readouts())


def test_rows_become_readouts_with_the_manufacturer_before_the_meters_name(file: Path) -> None:
    (readout,) = rows(file, HEADER + "d986,2016-03-01T00:30:00,1.5,20\n")
    assert readout == WireReadout(
        "IMP-D986", 1456788600000, {"8-0:1.0.0": 1.5, "8-0:3.0.0": 20.0}, status=512
    )


def test_a_whole_meter_id_is_used_as_it_is(file: Path) -> None:
    (readout,) = rows(file, HEADER + "KAM-06855817,2016-03-01T00:30:00,1.5,20\n", manufacturer="XYZ")
    assert isinstance(readout, WireReadout)
    assert readout.meter == "KAM-06855817"


def test_every_row_that_is_no_readout_is_reported_with_its_line(file: Path) -> None:
    text = HEADER + (
        "a,2016-03-01T00:30:00,1,2\n"
        "a,yesterday,1,2\n"
        "a,2016-03-01T01:30:00,many,2\n"
        "a,2016-03-01T02:30:00\n"
        '"a b",2016-03-01T02:30:00,1,2\n'
        "a,2016-03-27T02:30:00,1,2\n"
        "a,1999-03-01T02:30:00,1,2\n"
        "\n"
        "A,2016-03-01T03:30:00,1,2\n"
        "a,2016-03-01T04:30:00,,\n"
        "a,0001-01-01T00:00:00,1,2\n"
        '"a","2016-03-01T05:30:00","1",""\n'
    )
    found = rows(file, text)
    errors = {row.line: row.reason for row in found if isinstance(row, RowError)}
    assert list(errors) == [3, 4, 5, 6, 7, 8, 10, 11, 12]
    assert "Invalid isoformat string" in errors[3]
    assert errors[4] == "volume: 'many' is not a number"
    assert errors[5] == "the row has only 2 columns"
    assert "not a meter id" in errors[6]
    assert "did not exist" in errors[7]
    assert "before the year 2000" in errors[8]
    assert errors[10] == "'A' and 'a' would both be the meter IMP-A"
    assert errors[11] == "the row holds no value"
    readouts = [row for row in found if isinstance(row, WireReadout)]
    assert [list(readout.values) for readout in readouts] == [["8-0:1.0.0", "8-0:3.0.0"], ["8-0:1.0.0"]]


def test_a_packed_file_another_delimiter_and_another_time_format(file: Path) -> None:
    text = "\ufeff" + HEADER.replace(",", ";") + "a;01/03/2016 00:30;1;2\n"
    (readout,) = rows(file, gzip.compress(text.encode()), delimiter=";", time_format="%d/%m/%Y %H:%M")
    assert isinstance(readout, WireReadout)
    assert readout.at == 1456788600000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "names nothing"),
        (b"meter,time\n", "no column volume, temperature"),
        (HEADER.encode() + b"\xff,\n", "'utf-8' codec"),
        (gzip.compress(HEADER.encode() * 100, mtime=0)[:40], "end-of-stream"),
        (HEADER.encode() + b'"a,2016', "unexpected end of data"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(file: Path, content: bytes, message: str) -> None:
    with pytest.raises(FileError, match=message):
        table(file, content).survey()


def test_a_small_file_that_unpacks_to_one_endless_line_takes_little_memory(
    file: Path,
) -> None:
    bomb = gzip.compress(HEADER.encode() + b"9" * 64_000_000)
    assert len(bomb) < 100_000
    tracemalloc.start()
    try:
        with pytest.raises(FileError, match="a line is longer than"):
            rows(file, bomb)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_the_survey_knows_each_meters_first_good_row(file: Path) -> None:
    survey = table(
        file,
        HEADER + "b,never,1,2\na,2016-03-01T00:30:00,1,2\na,2016-03-01T01:30:00,1,2\nc,never,1,2\n",
    ).survey()
    assert survey.rows == 4
    assert {meter: at.isoformat() for meter, at in survey.meters.items()} == {
        "IMP-A": "2016-02-29T23:30:00+00:00"
    }


def test_the_epoch_names_content_and_meaning(file: Path) -> None:
    epoch = table(file, HEADER).survey().epoch
    assert epoch == table(file, HEADER).survey().epoch
    assert epoch != table(file, HEADER + "\n").survey().epoch
    assert epoch != table(file, HEADER, manufacturer="XYZ").survey().epoch
    assert len(epoch) <= 64
