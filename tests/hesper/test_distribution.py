"""Wheel of Hesper: every package of the tree, marked as typed, with its extras and its pages."""

import subprocess
import sys
import tomllib
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {file.parent.name for file in ROOT.glob("*/__init__.py")} - {"bench", "tests"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.iterdir()
    return zipfile.ZipFile(built)


def test_every_package_is_in_it_and_typed(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    assert {"metering", "telemetry", "hesper"} <= PACKAGES
    assert {f"{package}/__init__.py" for package in PACKAGES} <= names
    assert {f"{package}/py.typed" for package in PACKAGES} <= names


def test_it_tells_its_pages_its_extras_and_its_pythons(wheel: zipfile.ZipFile) -> None:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    told = message_from_bytes(wheel.read(name))
    pages = {line.partition(",")[0] for line in told.get_all("Project-URL", [])}
    assert {"Homepage", "Documentation", "Changelog", "Issues"} <= pages
    assert {"all", "gateway", "central", "embedded"} <= set(told.get_all("Provides-Extra", []))
    for version in ("3.11", "3.12", "3.13", "3.14"):
        assert f"Programming Language :: Python :: {version}" in told.get_all("Classifier", [])


def test_all_is_every_extra_but_that_of_developers() -> None:
    extras = PROJECT["optional-dependencies"]
    (everything,) = extras["all"]
    named = everything.partition("[")[2].rstrip("]").split(",")
    assert set(named) == extras.keys() - {"all", "dev"}
