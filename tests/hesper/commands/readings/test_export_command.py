"""`hesper export`: what is stored, exactly, in memory that does not grow with it."""

import csv
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import psycopg
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from hesper.cli import build
from metering.registry.entries import MeterEntry, RegisterEntry, Registry, UtilityEntry
from store.postgres.arrays import microseconds
from store.readings import export
from store.readings.raw import insert
from store.registry import apply
from telemetry.obis import Medium

START = datetime(2026, 9, 30, 21, tzinfo=UTC)  # midnight of 1 October in Vilnius
MINUTE = timedelta(minutes=1)
METERS = ("KAM-00000001", "KAM-00000002")
VALUES = [0, 1, -1, 8_999_999_999_999_999, -8_999_999_999_999_999, 56_108_000]


def fill(connection: psycopg.Connection, count: int) -> None:
    """So many readings of each of two meters, a minute apart, from START on."""
    entries = [RegisterEntry("8-0:1.0.0")]
    meters = [MeterEntry(code, Medium.COLD_WATER, registers=entries) for code in METERS]
    apply(connection, Registry([UtilityEntry("town", "Town", "Europe/Vilnius", meters=meters)]))
    registers = [number for (number,) in connection.execute("select id from registers order by id")]
    instants = microseconds(START) + np.arange(count) * 60_000_000
    values = np.resize(np.array(VALUES), count)
    for register in registers:
        insert(connection, np.full(count, register, np.int32), instants, values, np.full(count, 3, np.int16))
    connection.commit()


def hesper(database: str, *arguments: str) -> tuple[int, str]:
    """(exit code, output) of `hesper export` for October."""
    range_ = ("--utility", "town", "--from", "2026-10-01", "--to", "2026-11-01")
    words = ["export", *range_, "--database-url", database, *arguments]
    result = CliRunner().invoke(build(words), words)
    return result.exit_code, result.output


def test_csv_holds_every_reading_of_the_range_exactly(
    connection: psycopg.Connection, database: str, tmp_path: Path
) -> None:
    fill(connection, len(VALUES))
    file = tmp_path / "october.csv"
    told = f"{len(VALUES)} readings in {file}\n"
    assert hesper(database, "-o", str(file), "--meter", METERS[1]) == (0, told)
    with file.open(newline="") as text:
        rows = list(csv.DictReader(text))
    assert [Decimal(row["value"]) * 10**6 for row in rows] == VALUES
    assert rows[-1]["value"] == "56.108"
    noted = connection.execute("select detail from audit_log where action = 'exported'").fetchall()
    assert len(noted) == 1
    assert METERS[1] in noted[0][0]
    assert [rows[0][name] for name in ("meter", "obis", "unit", "status", "measured_at")] == [
        METERS[1],
        "8-0:1.0.0",
        "m3",
        "3",
        "2026-09-30T21:00:00.000000Z",
    ]
    assert hesper(database, "--meter", METERS[0])[1].count("\n") == 1 + len(VALUES)


def test_parquet_holds_the_same_with_decimals_and_instants(
    connection: psycopg.Connection, database: str, tmp_path: Path
) -> None:
    fill(connection, len(VALUES))
    file = tmp_path / "october.parquet"
    code, output = hesper(database, "-o", str(file))
    assert (code, output) == (0, f"{2 * len(VALUES)} readings in {file}\n")
    rows = pq.read_table(file).to_pylist()
    assert [int(row["value"] * 10**6) for row in rows] == VALUES * 2
    assert [row["meter"] for row in rows[:: len(VALUES)]] == list(METERS)
    assert rows[1]["measured_at"] == START + MINUTE
    assert (rows[1]["obis"], rows[1]["unit"], rows[1]["status"]) == ("8-0:1.0.0", "m3", 3)


def test_blocks_join_to_the_whole(connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(connection, 500)
    monkeypatch.setattr(export, "BLOCK_BYTES", 1_000)
    wanted = export.Range("town", START, START + 400 * MINUTE)
    found = list(export.blocks(connection, wanted))
    assert len(found) > 10
    assert np.array_equal(
        np.concatenate([block.values for block in found]), np.tile(np.resize(VALUES, 400), 2)
    )
    nothing = export.Range("town", START - MINUTE, START)
    assert list(export.blocks(connection, nothing)) == []


def test_the_end_of_a_range_is_not_in_it_and_another_utility_is_not_either(
    connection: psycopg.Connection, database: str
) -> None:
    fill(connection, 10)
    to = ("--from", "2026-10-01T00:00:00", "--to", "2026-10-01T00:03:00+03:00")
    assert hesper(database, *to)[1].count("\n") == 1 + 2 * 3
    apply(connection, Registry([UtilityEntry("other", "Other", "UTC")]))
    connection.commit()
    assert hesper(database, "--utility", "other")[1].count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["--utility", "nowhere"], "no utility has the code 'nowhere'"),
        (["--from", "October"], "is not an instant such as"),
        (["--format", "parquet"], "Parquet needs a file"),
    ],
)
def test_what_cannot_be_exported_is_explained(
    connection: psycopg.Connection, database: str, arguments: list[str], advice: str
) -> None:
    fill(connection, 1)
    code, output = hesper(database, *arguments)
    assert code == 1
    assert advice in output


def test_without_pyarrow_the_extra_is_named(
    connection: psycopg.Connection, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(connection, 1)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    code, output = hesper(database, "-o", str(tmp_path / "x.parquet"))
    assert code == 1
    assert "hesper[parquet]" in output


PEAK = """
import resource, sys
from hesper.cli import build
words = sys.argv[1:]
try:
    build(words)(words)
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""


@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_memory_does_not_grow_with_the_range(
    connection: psycopg.Connection, database: str, tmp_path: Path, format_: str
) -> None:
    """300,000 readings are 15 MB in COPY's form: were they held, the peak would show it."""
    fill(connection, 150_000)

    def peak(end: str) -> float:
        """The most memory of an export, MB."""
        words = ["export", "--utility", "town", "--from", "2026-10-01", "--to", end]
        words += ["--database-url", database, "-o", str(tmp_path / f"{end}.{format_}")]
        done = subprocess.run(
            [sys.executable, "-c", PEAK, *words], capture_output=True, text=True, check=True
        )
        return int(done.stderr.split()[-1]) / 1_000

    whole, part = peak("2027-10-01"), peak("2026-11-10")
    assert (tmp_path / f"2027-10-01.{format_}").stat().st_size > (
        tmp_path / f"2026-11-10.{format_}"
    ).stat().st_size
    assert whole - part < 8, f"{whole} MB for all, {part} MB for a part of it"
