"""`hesper registry`: import, export, swap, correct, history, and unknown meters accepted with what waited."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from hesper.cli import build
from ingest.receive.decode import decode_readings
from ingest.receive.directory import Directory
from ingest.receive.writer import store_readings
from store.postgres.database import connect
from store.registry import apply
from telemetry.wire import Batch, WireReadout, encode, to_milliseconds
from tests.support.aurora import COLD, NOON, NOW, REGISTRY, TOPIC, WATER
from tests.support.people import sit_down

STRANGER = "KAM-06855817"
# a heat meter's answer, also in the README
TELEGRAM = bytes.fromhex(
    "68252568080572175885062D2C08042C0000000C06517303000C14086105004C06613303 00426C5F3AA116".replace(" ", "")
)


@pytest.fixture
def aurora(database: str) -> str:
    """The URL of a database with the test's utility."""
    with connect(database) as connection:
        apply(connection, REGISTRY)
    return database


def registry(url: str, *arguments: str) -> tuple[int, str]:
    """(exit code, output) of `hesper registry ...`."""
    command = ["registry", *arguments, "--database-url", url]
    result = CliRunner().invoke(build(command), command)
    return result.exit_code, result.output


def test_an_export_can_be_imported_and_a_dry_run_tells_problems_by_row(aurora: str, tmp_path: Path) -> None:
    assert registry(aurora, "export", str(tmp_path)) == (0, "")
    code, output = registry(aurora, "import", str(tmp_path))
    assert code == 0
    assert "meters" in output
    (tmp_path / "meters.csv").write_text("code,medium\nKAM-7,heat\nKAM-8,soup\n")
    (tmp_path / "registers.csv").write_text("meter,obis\nKAM-9,6-0:1.0.0\n")
    code, output = registry(aurora, "import", str(tmp_path), "--dry-run")
    assert code == 1
    assert output.splitlines()[0].startswith("meters.csv:3: unknown medium 'soup'; use one of")
    assert output.splitlines()[1].startswith("registers.csv:2: there is no meter KAM-9; list it")
    assert output.splitlines()[2] == "2 problems; nothing was changed"


def test_a_dry_run_without_problems_changes_nothing_either(aurora: str, tmp_path: Path) -> None:
    (tmp_path / "meters.csv").write_text("code,medium\nKAM-7,heat\n")
    assert registry(aurora, "import", str(tmp_path), "--dry-run")[0] == 0
    with connect(aurora) as connection:
        assert connection.execute("select from meters where code = 'KAM-7'").fetchone() is None


def test_a_correction_and_a_swap_are_one_command_each_and_keep_history(aurora: str) -> None:
    with connect(aurora) as connection:
        connection.execute(
            "with p as (insert into service_points (utility_id, code, medium) values (1, 'flat', 8) "
            "returning id) "
            "insert into installations (service_point_id, meter_id, valid_from) "
            "select p.id, m.id, '2026-01-01' from p, meters m where m.code = %s",
            (WATER,),
        )
        sit_down(connection, "anna")
    why = ["--reason", "wrong label"]
    assert registry(aurora, "correct", "meters", WATER, "model=Multical 21", *why)[0] == 0
    swap = ["swap", "flat", "KAM-00000009", "--at", "2026-03-01T09:00", "--end", f"{COLD}=412.5"]
    code, output = registry(aurora, *swap, *why)
    assert (code, "no start reading" in output) == (1, True)
    assert registry(aurora, *swap, "--start", f"{COLD}=0", *why)[0] == 0
    _, output = registry(aurora, "history")
    assert f"anna: changed meters {WATER} (wrong label)\n    model:  -> Multical 21" in output
    assert f"anna: changed installations flat {WATER} (wrong label)" in output
    assert "anna: added installations flat KAM-00000009 (wrong label)" in output


def test_an_accepted_meter_gets_all_that_waited(aurora: str) -> None:
    batch = Batch(
        "life",
        1,
        NOON,
        [
            WireReadout(STRANGER, NOON + hour * 3_600_000, {"6-0:1.0.0": 37319.0 + hour}, raw=TELEGRAM)
            for hour in range(3)
        ],
    )
    with connect(aurora) as connection:
        store_readings(connection, Directory(), [decode_readings(TOPIC, encode(batch))], to_milliseconds(NOW))
    assert registry(aurora, "unknown")[1].startswith(f"{STRANGER}: 3 readouts wait since ")
    shown = f"{STRANGER}: heat, version 08, gateway house, 6-0:1.0.0\n"
    assert registry(aurora, "accept", STRANGER, "--dry-run") == (0, shown)
    assert registry(aurora, "accept", STRANGER) == (
        0,
        shown + "3 readings of 3 readouts are stored, 0 wait still\n",
    )
    assert registry(aurora, "unknown") == (0, "")
    code, output = registry(aurora, "accept", STRANGER)
    assert (code, "nothing of it waits in quarantine" in output) == (1, True)
    with connect(aurora) as connection:
        assert connection.execute("select count(*) from readings").fetchone() == (3,)
        assert connection.execute("select count(*) from telegrams").fetchone() == (3,)


def test_one_utility_of_several_is_named(aurora: str, tmp_path: Path) -> None:
    with connect(aurora) as connection:
        connection.execute("insert into utilities (code, name, time_zone) values ('b', 'B', 'UTC')")
    code, output = registry(aurora, "export", str(tmp_path))
    assert (code, "name one with --utility: aurora, b" in output) == (1, True)
    code, output = registry(aurora, "export", str(tmp_path), "--utility", "c")
    assert (code, "registered: aurora, b" in output) == (1, True)
