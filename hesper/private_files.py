"""Private files: keys, interval data and logs are for the user who runs Hesper, and for nobody else there.

`keep_private` is the rule for all that a process and its children write; the rest mends what an earlier
version, an editor or another umask left open.
"""

import os
from pathlib import Path

_OTHERS = 0o077
_EVERYBODY = 0o007


def keep_private() -> None:
    """Let files that this process and its children make be 0600, and folders 0700. Call once, first thing."""
    os.umask(_OTHERS)


def private_folder(folder: Path, *, below: tuple[str, ...] = ()) -> None:
    """Folder of mode 0700, made where it is missing; its files, and those of folders `below`, become 0600.

    What belongs to another user stays as that one wants it.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _close(folder, 0o700)
    for path in folder.iterdir():
        if path.is_file() and not path.is_symlink():
            _close(path, 0o600)
        elif path.name in below and path.is_dir():
            private_folder(path)


def _close(path: Path, mode: int) -> None:
    if path.stat().st_uid == os.geteuid():
        path.chmod(mode)


def write_private(path: Path, text: str) -> None:
    """Put a text into a file of mode 0600, which nobody else can open while it is written."""
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text, encoding="utf-8")


def close_to_everybody(path: Path) -> None:
    """Take a file of ours from all but its user and group, who may be the installer and the service.

    A file of another owner stays as it is.
    """
    state = path.stat()
    if state.st_uid == os.geteuid() and state.st_mode & _EVERYBODY:
        path.chmod(state.st_mode & 0o770)
