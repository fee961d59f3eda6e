"""What a backup says of itself, beside the dump: how many rows each table had, and the dump's hash."""

import hashlib
from datetime import datetime
from pathlib import Path

import msgspec

from store.backup.programs import BackupError

DUMP = "database.dump"
MANIFEST = "manifest.json"


class BackupManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Contents of a dump, counted in the snapshot that it was written from."""

    taken_at: datetime
    server_version: int  # as `server_version_num` counts
    timescale: str | None  # the extension's version, where the database has it
    sha256: str  # of the dump
    rows: dict[str, int]  # by table
    members: dict[str, list[str]]  # logins that were granted a role, by role

    def write(self, folder: Path) -> None:
        """Puts it beside the dump."""
        text = msgspec.json.format(msgspec.json.encode(self), indent=2)
        (folder / MANIFEST).write_bytes(text + b"\n")


def read_manifest(folder: Path) -> BackupManifest:
    """The manifest of a backup whose dump is what was written. Raises BackupError."""
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=BackupManifest)
        written = sha256(folder / DUMP)
    except FileNotFoundError as error:
        raise BackupError(
            f"{folder} is no backup: it has no {Path(error.filename).name}",
            advice="name a folder that `hesper backup dump` has printed",
        ) from error
    except msgspec.MsgspecError as error:
        raise BackupError(
            f"{folder / MANIFEST} cannot be read: {error}", advice="use another backup"
        ) from error
    if written != manifest.sha256:
        raise BackupError(
            f"{folder / DUMP} is not what was written: its SHA-256 is another one",
            advice="use another backup",
        )
    return manifest


def sha256(file: Path) -> str:
    """The hash of a file, in hexadecimal."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
