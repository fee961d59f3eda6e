"""The distribution `hesper-client`: a wheel that works where nothing but its dependencies is installed."""

import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

CLIENT = Path(__file__).parents[2] / "client"


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """The wheel as it is built for an index."""
    source = tmp_path / "client"
    shutil.copytree(CLIENT, source)  # the licence, a link in the tree, becomes a file
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    subprocess.run(build, cwd=source, check=True, capture_output=True)
    (built,) = (source / "dist").iterdir()
    return built


def installed_with(*names: str) -> set[str]:
    """These distributions and all that they need."""
    found, waiting = set[str](), list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            needed = map(Requirement, distribution(name).requires or [])
            waiting += [
                each.name for each in needed if not each.marker or each.marker.evaluate({"extra": ""})
            ]
    return found


def test_the_wheel_works_beside_its_dependencies_alone(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    for name in installed_with("httpx", "msgspec"):
        for path in distribution(name).files or []:
            if path.parts[0] != ".." and not (site / path.parts[0]).exists():
                (site / path.parts[0]).symlink_to(str(distribution(name).locate_file(path.parts[0])))
    script = f"import sys; sys.path.append({str(site)!r}); from hesper_client import Client; Client('', '')"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr


def test_the_wheel_says_what_it_needs_and_carries_its_types_and_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        told = archive.read(metadata).decode()
    assert "hesper_client/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert re.findall(r"^Requires-Dist: ([a-z]+)", told, re.MULTILINE) == ["httpx", "msgspec"]
    assert "Project-URL: Homepage" in told
    assert "\n# hesper-client" in told
