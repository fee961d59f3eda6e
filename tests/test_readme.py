"""The README's commands are real, and what it shows is what comes out."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from hesper.cli import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
USED = sorted(set(re.findall(r"`hesper ((?:[a-z]+ ?)+)", README)))


def hesper(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in a terminal of 100 columns."""
    return subprocess.run(
        [sys.executable, "-m", "hesper", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"COLUMNS": "100", "PATH": "", "NO_COLOR": "1", "PYTHONPATH": str(ROOT)},
    )


@pytest.mark.parametrize("words", USED)
def test_every_command_that_the_readme_names_explains_itself(words: str) -> None:
    asked = hesper(*words.split(), "--help")
    assert asked.returncode == 0, asked.stderr
    assert "Usage:" in asked.stdout


def test_every_command_of_the_command_line_explains_itself() -> None:
    listed = hesper("--help").stdout
    for entry in COMMANDS:
        assert entry.name in listed
        asked = hesper(entry.name, "--help")
        assert asked.returncode == 0, asked.stderr


def test_the_examples_print_what_the_readme_shows() -> None:
    examples = re.findall(r"```console\n\$ hesper (.*)\n((?:.*\n)*?)```", README)
    assert examples
    for command, shown in examples:
        said = hesper(*shlex.split(command))
        assert said.returncode == 0
        assert [line.rstrip() for line in said.stdout.rstrip().splitlines()] == shown.rstrip().splitlines()


def test_the_two_commands_are_targets_of_the_makefile() -> None:
    for target in re.findall(r"```sh\nmake (\w+)\n```", README):
        planned = subprocess.run(
            ["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert planned.returncode == 0, planned.stderr


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([\w./-]+)\)", README))))
def test_every_link_of_the_readme_leads_somewhere(link: str) -> None:
    assert (ROOT / link).exists()


def test_every_folder_says_what_lives_there() -> None:
    folders = [
        "telemetry",
        "drivers",
        "gateway",
        "anomaly",
        "store",
        "ingest",
        "ingest/billing",
        "api",
        "hesper",
        "deploy",
    ]
    for folder in [*folders, "tests", "bench"]:
        text = (ROOT / folder / "README.md").read_text(encoding="utf-8")
        assert len(text) > 100, folder
