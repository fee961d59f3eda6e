"""Architecture's page: its picture is that of the imports, and the files that it names are there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def test_the_picture_of_the_floors_is_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "floors"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`([a-z_]+/[a-z_/]+\.py)`", PAGE))))
def test_a_file_that_is_named_exists(path: str) -> None:
    assert (ROOT / path).is_file()


def test_what_decides_bears_the_name_that_the_page_says() -> None:
    rows = re.findall(r"`([a-z_]+/[a-z_/]+\.py)`: `(\w+)`", PAGE)
    assert len(rows) >= 2
    for path, name in rows:
        assert re.search(rf"^(class|def) {name}\b", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
