"""Benches run at their smallest size and print their figures: what nobody runs breaks unseen."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import NEEDS_SHARED, SHARED_DATA

ROOT = Path(__file__).resolve().parents[2]
MEASURED_ON_REAL_INPUTS = {"anomaly", "decode"}
PARTS = {"gateways"}  # processes of other benches, which take their arguments from them

# arguments of the smallest size, and names of figures that it prints
SMALLEST = {
    "anomaly": ("--meters 2", ["water, reported half", "building, reported half", "balance drift"]),
    "api": (
        "--registers 200 --days 2 --seconds 1 --connections 1 --call meter",
        ["200 registers", '"value"'],
    ),
    "buffer": ("", ["bytes written for a reading", "drained after a day offline"]),
    "close": ("40", ["close of 40"]),
    "compression": ("2 3", ["a reading, 2 registers"]),
    "decode": ("", ["telegrams with every number right"]),
    "gateway": ("2 --settle 1", ["memory of a gateway of 250 meters", "after a day offline"]),
    "ingest": ("--readings 4000", ["repeated readings", "CPU of ingester"]),
    "insert_readings": ("1", ["insert, new", "insert, again"]),
    "line": ("modbus", ['"value"']),
    "queries": ("--registers 64 --days 3 --runs 3", ["one month of one meter", "arrival share"]),
    "validate": ("--meters 32 --days 8 --validators 1", ["full pass"]),
}


def benches() -> list[str]:
    """Modules and folders of bench/ that are commands."""
    files = [*(ROOT / "bench").glob("*.py"), *(ROOT / "bench").glob("*/__main__.py")]
    commands = [file for file in files if '__name__ == "__main__"' in file.read_text(encoding="utf-8")]
    return sorted({file.parent.name if file.stem == "__main__" else file.stem for file in commands} - PARTS)


def run(bench: str, arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", f"bench.{bench}", *arguments.split()],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize("bench", benches())
def test_a_bench_prints_its_figures(bench: str) -> None:
    assert bench in SMALLEST, f"bench/{bench}.py has no smallest size: add it to SMALLEST"
    if bench in MEASURED_ON_REAL_INPUTS and not SHARED_DATA.is_dir():
        pytest.skip(NEEDS_SHARED)
    arguments, figures = SMALLEST[bench]
    done = run(bench, arguments)
    if bench == "api" and shutil.which("wrk") is None:
        assert "apt-get install wrk" in done.stderr
        return
    assert done.returncode == 0, done.stderr[-3000:]
    assert [figure for figure in figures if figure not in done.stdout] == []


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed: apt-get install wrk")
def test_the_bench_of_the_api_has_a_crowd_too() -> None:
    done = run("api", "--registers 200 --days 2 --seconds 1 --crowd 70 --call last")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "70 connections, throughput" in done.stdout
    assert "70 connections, slowest /health" in done.stdout


def test_no_bench_is_gone_that_has_a_smallest_size() -> None:
    assert SMALLEST.keys() == set(benches())
