"""Each line of `hesper --help` does what it says."""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

from hesper.cli import COMMANDS
from hesper.supervise import module_command


def hesper(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        module_command("hesper", *arguments),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": str(Path(sys.executable).parent), "PYTHONPATH": ":".join(sys.path), **environment},
    )


def test_the_version() -> None:
    done = hesper("--version")
    assert (done.returncode, done.stdout.strip()) == (0, importlib.metadata.version("hesper"))


def test_the_help_lists_every_command_and_nothing_else() -> None:
    done = hesper("--help", COLUMNS="200")
    assert done.returncode == 0
    listed = [line.split()[1] for line in done.stdout.partition("Commands")[2].splitlines() if "│" in line]
    assert listed == [entry.name for entry in COMMANDS]


@pytest.mark.parametrize("name", [entry.name for entry in COMMANDS])
def test_a_command_tells_its_own_help(name: str) -> None:
    done = hesper(name, "--help")
    assert done.returncode == 0, done.stderr
    assert f"hesper {name}" in done.stdout


def test_completion_is_shown_and_installed(tmp_path: Path) -> None:
    undetected = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1", "HOME": str(tmp_path)}
    shown = hesper("--show-completion", "bash", **undetected)
    assert "complete_bash" in shown.stdout
    installed = hesper("--install-completion", "bash", **undetected)
    assert installed.returncode == 0, installed.stderr
    assert (tmp_path / ".bashrc").is_file()


@pytest.mark.parametrize(
    ("words", "offered"),
    [("hesper wor", ["worker"]), ("hesper worker ", ["run"]), ("hesper --ver", ["--version"])],
)
def test_a_shell_completes_commands_of_commands_too(words: str, offered: list[str]) -> None:
    place = len(words.split(" ")) - 1
    done = hesper(_HESPER_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(place))
    assert done.stdout.split() == offered
