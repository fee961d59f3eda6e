"""Who else may read what Hesper writes: nobody, whatever the umask was."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hesper.private_files import close_to_everybody, private_folder, write_private

_COMMAND = """
import os, sys
from pathlib import Path
from hesper.cli import main
sys.argv = ["hesper", "--version"]
try:
    main()
except SystemExit:
    Path("made").mkdir()
    Path("made/file").touch()
"""


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_command_and_its_children_write_for_their_user_only(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", _COMMAND], cwd=tmp_path, check=True, umask=0o022)
    assert (mode(tmp_path / "made"), mode(tmp_path / "made" / "file")) == (0o700, 0o600)


def test_what_was_left_open_is_closed(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / "logs").mkdir(parents=True)
    (folder / "other").mkdir(mode=0o755)
    for name in ("lock", "logs/api.log", "other/file"):
        (folder / name).touch(mode=0o644)
    private_folder(folder, below=("logs",))
    assert [mode(folder / name) for name in (".", "lock", "logs", "logs/api.log", "other", "other/file")] == [
        0o700,
        0o600,
        0o700,
        0o600,
        0o755,
        0o644,
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others")
def test_what_belongs_to_another_user_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "lock").touch(mode=0o644)
    os.chown(tmp_path / "lock", 65534, 65534)
    private_folder(tmp_path)
    assert (mode(tmp_path), mode(tmp_path / "lock")) == (0o700, 0o644)


def test_a_secret_is_private_also_where_an_open_file_was(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.touch(mode=0o644)
    write_private(path, "secret")
    assert (mode(path), path.read_text()) == (0o600, "secret")


def test_a_configuration_is_closed_to_all_but_its_user_and_group(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    for before, after in ((0o644, 0o640), (0o600, 0o600), (0o664, 0o660)):
        path.touch()
        path.chmod(before)
        close_to_everybody(path)
        assert mode(path) == after
