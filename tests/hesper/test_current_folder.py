"""Nobody trusts the folder where somebody stands: an api.py there is neither imported nor run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hesper.central import Central, CentralProcess
from hesper.supervise import hesper_command, module_command

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("api", "store", "telemetry", "metering", "gateway", "hesper_demo", "typer", "json")


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, full of modules that bear our names and leave a trace when they are imported."""
    folder = tmp_path / "hostile"
    folder.mkdir()
    for name in NAMES:
        (folder / f"{name}.py").write_text(
            f"from pathlib import Path\nPath({str(folder / 'executed')!r}).touch()\n"
        )
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    return folder


@pytest.mark.parametrize(
    "command",
    [
        [sys.executable, "-m", "hesper", "gateway", "--help"],
        [sys.executable, "-m", "hesper", "api", "--help"],
        hesper_command("store", "--help")(),
        module_command("hesper.broker", "--help"),
        [str(Path(sys.executable).with_name("hesper")), "ingest", "--help"],
    ],
    ids=["python -m hesper gateway", "python -m hesper api", "child", "broker", "entry point"],
)
def test_a_command_imports_nothing_from_the_current_folder(hostile: Path, command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert not (hostile / "executed").exists()


def test_the_processes_of_serve_start_beside_such_files(hostile: Path, tmp_path: Path) -> None:
    with Central(tmp_path / "data", api_port=0, extra=lambda _: []) as central:
        for role in CentralProcess:
            assert central.supervisor.pid(role.value) is not None
        assert not any(central.supervisor.restarts().values())
    assert not (hostile / "executed").exists()


def test_the_building_of_the_demo_starts_beside_such_files(hostile: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        module_command("hesper.demo.hosts", str(tmp_path / "nowhere")),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ,
    )
    assert "building.json" in done.stderr  # it got as far as to miss the demo's folder
    assert not (hostile / "executed").exists()
