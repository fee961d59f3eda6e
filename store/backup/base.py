"""Recovery to an instant: copies of the cluster's files, and the log of every change since.

    folder/base-20261201T020000Z/   a copy of the cluster, with PostgreSQL's manifest of it
    folder/log/                     the log as it is streamed, a file for 16 MB; the last one is `.partial`

A cluster that was restored is another one, whose log goes into a folder of its own.
"""

import os
import shlex
import shutil
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from psycopg import sql

from store.backup.programs import BackupError, program, run, run_here, with_database
from store.postgres.database import connect
from store.postgres.embedded import EmbeddedPostgres, EmbeddedPostgresError
from store.postgres.unprivileged import account_for

LOG = "log"
_SLOT = "hesper_backup"
_PATIENCE = 24 * 3600.0  # seconds: a month's log takes its time
_SEGMENT = slice(8, 24)  # of the name of a file of the log, behind its timeline
_OF_A_LOG = 256  # files of 16 MB until the first half of that name counts on


def base(url: str, folder: Path, now: datetime) -> Path:
    """A new copy of the server's files in `folder`. Raises BackupError and StoreError.

    The log must be received by then: what lies between would be missing for ever.
    """
    backup = folder / f"base-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    partial = backup.with_name(f"{backup.name}.partial")
    if backup.exists():
        raise BackupError(f"{backup} exists", advice="wait for a second, or name another folder")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _log_is_kept(url)
    copy = ["--wal-method=stream", "--checkpoint=fast", "--manifest-checksums=SHA256"]
    run(_for_server("pg_basebackup", url), [*copy, f"--pgdata={partial}"], url)
    partial.rename(backup)
    return backup


def forget(folder: Path, keep: int) -> list[Path]:
    """Removes all but the newest copies, and the log before the oldest that stays. Returns what went."""
    copies = sorted(path.parent for path in folder.glob("base-*Z/backup_label"))
    old, kept = copies[:-keep], copies[-keep:]
    for copy in old:
        shutil.rmtree(copy)
    for file in (folder / LOG).glob("*"):
        if kept and not file.suffix and file.name[_SEGMENT] < _begin(kept[0]):
            file.unlink()
    return old


def log_command(url: str, folder: Path) -> tuple[list[str], dict[str, str]]:
    """(command, environment) of the program that streams the log into `folder` until it is stopped.

    The server keeps for it what it has not received, by a replication slot, which is made here.
    """
    log = folder / LOG
    log.mkdir(mode=0o700, parents=True, exist_ok=True)
    receiver = _for_server("pg_receivewal", url)
    slot = ["--directory", str(log), "--slot", _SLOT]
    run(receiver, [*slot, "--create-slot", "--if-not-exists"], url)
    return with_database(receiver, [*slot, "--synchronous"], url)


def restore_base(folder: Path, backup: Path, until: datetime | None) -> None:
    """Makes an embedded server's cluster in `folder` from a copy and the log beside it.

    It is as it was at `until`, else at the end of the log. Raises BackupError; nothing is left behind then.
    """
    server = EmbeddedPostgres(folder, {"hot_standby": "off"})  # nobody is let in before all is there
    if server.cluster.exists():
        raise BackupError(f"{server.cluster} exists", advice="name a new data folder")
    _verify(backup)
    log = _log_since(backup)
    fresh, waiting = server.folder / "cluster.new", server.folder / "log-to-restore"
    restored = False
    try:
        for left in (fresh, waiting):
            shutil.rmtree(left, ignore_errors=True)
        shutil.copytree(backup, fresh)
        waiting.mkdir(mode=0o700)
        for file in log:
            shutil.copyfile(file, waiting / file.name.removesuffix(".partial"))
        _write_recovery(fresh, waiting, until)
        _hand_over(server.folder)
        fresh.rename(server.cluster)
        server.start(seconds=_PATIENCE)
        _forget_recovery(server)
        restored = True
    except (OSError, EmbeddedPostgresError) as error:
        raise BackupError(
            f"{backup} cannot be restored: {error}",
            advice="name an instant after the copy was complete and before the end of its log",
        ) from error
    finally:
        server.stop()
        for left in (fresh, waiting) if restored else (fresh, waiting, server.cluster):
            shutil.rmtree(left, ignore_errors=True)


def _log_is_kept(url: str) -> None:
    with connect(url, application="hesper backup") as connection:
        row = connection.execute(
            """
            select exists (select from pg_replication_slots
                           where slot_name = %s and restart_lsn is not null and wal_status <> 'lost')
            """,
            (_SLOT,),
        ).fetchone()
    if row != (True,):
        raise BackupError(
            "nobody receives the log of this server",
            advice="start `hesper backup log` on the same folder first",
        )


def _for_server(name: str, url: str) -> Path:
    with connect(url, application="hesper backup") as connection:
        return program(name, connection.info.server_version)


def _verify(backup: Path) -> None:
    """Holds every file of the copy to PostgreSQL's manifest of it."""
    try:
        major = int((backup / "PG_VERSION").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BackupError(
            f"{backup} is no copy of a cluster", advice="name a folder that `hesper backup base` has printed"
        ) from error
    run_here(program("pg_verifybackup", major * 10_000), ["--quiet", str(backup)])


def _log_since(backup: Path) -> list[Path]:
    """The files of the log that a copy needs, complete or the last. Raises BackupError for a gap."""
    first = _begin(backup)
    files = list((backup.parent / LOG).glob("*"))
    segments = [file for file in files if file.suffix in ("", ".partial") and file.name[_SEGMENT] >= first]
    numbers = {int(file.name[8:16], 16) * _OF_A_LOG + int(file.name[16:24], 16) for file in segments}
    begin = int(first[:8], 16) * _OF_A_LOG + int(first[8:], 16)
    if numbers != set(range(begin, begin + len(numbers))) or not numbers:
        raise BackupError(
            f"the log in {backup.parent / LOG} does not follow {backup.name} without a gap",
            advice="keep `hesper backup log` running on this folder, and use a later copy",
        )
    return [*segments, *(file for file in files if file.suffix == ".history")]


def _begin(backup: Path) -> str:
    """Where the log begins that a copy needs, as in the names of its files."""
    label = (backup / "backup_label").read_text(encoding="utf-8")
    return label.split("(file ", 1)[1][_SEGMENT]


def _write_recovery(cluster: Path, log: Path, until: datetime | None) -> None:
    source = shlex.quote(f"{log}/".replace("%", "%%"))
    settings = {"restore_command": f'cp {source}%f "%p"', "recovery_target_action": "promote"}
    if until is not None:
        settings["recovery_target_time"] = until.astimezone(UTC).isoformat()
    with (cluster / "postgresql.auto.conf").open("a", encoding="utf-8") as file:
        for name, value in settings.items():
            file.write("{} = '{}'\n".format(name, value.replace("\\", "\\\\").replace("'", "''")))
    (cluster / "recovery.signal").touch()


def _hand_over(folder: Path) -> None:
    """Gives all files to the user that the server runs as, where that is not us."""
    account = account_for(folder)
    if account is None:
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, account.uid, account.gid, follow_symlinks=False)


def _forget_recovery(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        for name in ("restore_command", "recovery_target_action", "recovery_target_time"):
            connection.execute(sql.SQL("alter system reset {}").format(sql.Identifier(name)))
