"""Scripts of the pages: their types hold, as those of the Python do."""

import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TSC = HERE / "node_modules" / ".bin" / "tsc"


def test_the_types_of_every_script_hold() -> None:
    if not TSC.exists():
        pytest.skip("needs typescript (make setup brings it, with Node.js)")
    command = [str(TSC), "--project", str(HERE / "jsconfig.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
