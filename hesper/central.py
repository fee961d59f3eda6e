"""The central side on one machine: database, broker, ingester, validator, API ... as supervised processes.

What is given (DATABASE_URL, HESPER_BROKER) is used; what is not is the embedded one, in the data folder:

    data/lock           held while a central side runs on this folder
    data/runtime.json   where the running one can be reached, for other commands
    data/postgres/      the embedded database
    data/broker/        the embedded broker's configuration
    data/logs/          what the processes said, where the terminal is not theirs
"""

import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import IO

import psycopg
from psycopg import sql

from hesper.broker import takes_clients
from hesper.clock import CLOCK_SHIFT
from hesper.ports import Ports
from hesper.private_files import private_folder, write_private
from hesper.settings import broker_address, only_for, role_url
from hesper.supervise import Program, Supervisor, hesper_command, module_command
from store.postgres.database import answers, connect, lives
from store.postgres.embedded import STOP_SIGNAL, EmbeddedPostgres
from store.postgres.migrate import migrate
from store.postgres.roles import Role

API_PORT = 8480
BROKER_PORT = 1883
_LOOPBACK = "127.0.0.1"


class CentralProcess(StrEnum):
    """The processes of the central side, in the order in which they start."""

    DATABASE = "database"
    BROKER = "broker"
    INGEST = "ingest"
    VALIDATE = "validate"
    DELIVER = "deliver"
    WORKER = "worker"
    API = "api"


@dataclass(frozen=True, slots=True)
class Runtime:
    """Where a running central side can be reached; `runtime.json` in its data folder."""

    pid: int
    database_url: str = field(repr=False)
    broker_host: str
    broker_port: int
    api_url: str | None


class BusyError(RuntimeError):
    """Another central side runs on this data folder."""


def running(data: Path) -> Runtime | None:
    """The central side that runs on this data folder now, if one does."""
    if not data.is_dir():
        return None
    lock = _try_lock(data)
    if lock is not None:
        lock.close()
        return None
    try:
        return Runtime(**json.loads((data / "runtime.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


class Central:
    """A context manager: inside, the chosen roles run and are looked after.

    Raises BusyError, StartError, or what the store raises for a database that cannot be used.
    """

    def __init__(
        self,
        data: Path,
        *,
        roles: Collection[CentralProcess] = tuple(CentralProcess),
        database_url: str | None = None,
        broker: str | None = None,
        api_host: str = _LOOPBACK,
        api_port: int = API_PORT,
        broker_port: int | None = None,
        logs_in_files: bool = True,
        extra: Callable[["Central"], list[Program]] = lambda _central: [],
    ) -> None:
        self.data = data.resolve()
        self.api_url: str | None = None
        self._roles = roles
        self._given_database = database_url
        self._given_broker = broker
        self._api = (api_host, api_port)
        self._wanted_broker_port = broker_port
        self._log_folder = self.data / "logs" if logs_in_files else None
        self._extra = extra
        self._lock: IO[str] | None = None
        self.ports = Ports()
        self._embedded: EmbeddedPostgres | None = None

    def __enter__(self) -> "Central":
        self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = _take_lock(self.data)
        if self._lock is None:
            raise BusyError(
                f"another Hesper runs on {self.data}; stop it, or name another folder "
                "with --data or HESPER_DATA"
            )
        private_folder(self.data, below=("logs", "broker"))
        (self.data / "runtime.json").unlink(missing_ok=True)  # of one that was killed
        try:
            self.supervisor = Supervisor(self._programs(), log_folder=self._log_folder)
            self.supervisor.__enter__()
        except BaseException:
            self._release()
            raise
        self.runtime = Runtime(
            os.getpid(), self.database_url, self.broker_host, self.broker_port, self.api_url
        )
        self._write_runtime()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.supervisor.stop()
        self._release()

    def _release(self) -> None:
        (self.data / "runtime.json").unlink(missing_ok=True)
        if self._embedded is not None:
            self._embedded.close()
        self.ports.close()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _write_runtime(self) -> None:
        write_private(self.data / "runtime.json", json.dumps(asdict(self.runtime)))

    @property
    def environment(self) -> dict[str, str]:
        """What a child of this central side needs to find it."""
        return {
            "DATABASE_URL": self.database_url,
            "HESPER_BROKER": f"mqtt://{self.broker_host}:{self.broker_port}",
            "HESPER_DATA": str(self.data),
        }

    def _environment_as(self, role: Role) -> dict[str, str]:
        """The same, with the login of that role, where there is one: the owner's is for migrations."""
        if self._embedded is None:
            return self.environment | only_for(role_url(role, self.database_url))
        return self.environment | only_for(self._embedded.url_of(login=role.value))

    def _programs(self) -> list[Program]:
        programs = [*self._database(), *self._broker()]
        ingest, api = self._environment_as(Role.INGEST), self._environment_as(Role.API)
        if CentralProcess.INGEST in self._roles:
            arguments = ["ingest", "run", "--name", "central"]
            if self._given_broker is None:
                arguments += ["--session-expiry", "0"]
            programs.append(Program("ingest", hesper_command(*arguments), ingest, beats=True))
        if CentralProcess.VALIDATE in self._roles:
            programs.append(Program("validate", hesper_command("validate", "run"), ingest, beats=True))
        if CentralProcess.DELIVER in self._roles:
            deliver = self._environment_as(Role.DELIVER)
            programs.append(Program("deliver", hesper_command("deliver", "run"), deliver, beats=True))
        if CentralProcess.WORKER in self._roles:
            admin = self._environment_as(Role.ADMIN)
            programs.append(Program("worker", hesper_command("worker", "run"), admin, beats=True))
        if CentralProcess.API in self._roles:
            programs.append(self._api_program(api))
        return programs + self._extra(self)

    def _database(self) -> list[Program]:
        if self._given_database is not None:
            self.database_url = self._given_database
            _migrate(self.database_url)
            for role in Role:  # a child that may not be its role would only die and be started again
                connect(role_url(role, self.database_url), role=role).close()
            return []
        server = EmbeddedPostgres(self.data / "postgres")
        self._embedded = server
        self.database_url = server.url
        migrated = False

        def ready() -> bool:
            nonlocal migrated
            if not migrated and answers(server.url):
                _migrate(server.url)
                migrated = True
            return migrated

        return [
            Program(
                "database",
                server.prepare,
                ready=ready,
                stop_signal=STOP_SIGNAL,
                alive=lambda: lives(server.url),
            )
        ]

    def _broker(self) -> list[Program]:
        if self._given_broker is not None:
            self.broker_host, self.broker_port = broker_address(self._given_broker)
            return []
        self.broker_host = _LOOPBACK
        self.broker_port = self.ports.free(self._wanted_broker_port or BROKER_PORT, self._wanted_broker_port)
        command = module_command("hesper.broker", str(self.broker_port), str(self.data / "broker"))
        address = (self.broker_host, self.broker_port)
        return [
            Program(
                "broker",
                lambda: command,
                ready=lambda: _listens(address),
                alive=lambda: takes_clients(address),
            )
        ]

    def _api_program(self, environment: dict[str, str]) -> Program:
        host, wanted = self._api
        port = self.ports.free(wanted, None if wanted == API_PORT else wanted, host)
        self.api_url = f"http://{host if host != '0.0.0.0' else _LOOPBACK}:{port}"  # noqa: S104 - compared only
        arguments = ["api", "run", "--host", host, "--port", str(port)]
        if host == _LOOPBACK:
            arguments.append("--plain-http")  # browsers on this machine; elsewhere a proxy brings TLS
        return Program(
            "api", hesper_command(*arguments), environment, ready=lambda: _listens((host, port)), beats=True
        )


def _take_lock(data: Path) -> IO[str] | None:
    """The folder's lock, tried for a moment: `running` in another command holds it for an instant."""
    deadline = time.monotonic() + 0.5
    while (lock := _try_lock(data)) is None and time.monotonic() < deadline:
        time.sleep(0.05)
    return lock


def _try_lock(data: Path) -> IO[str] | None:
    handle = (data / "lock").open("a")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.close()
        return None
    return handle


def _listens(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=0.5).close()
    except OSError:
        return False
    return True


def _migrate(url: str) -> None:
    with connect(url, application="hesper migrate") as connection:
        _shift_now(connection)
    with connect(url, application="hesper migrate") as connection:
        migrate(connection)
    with connect(url, application="hesper migrate") as connection:
        _shift_now(connection)


def _shift_now(connection: psycopg.Connection) -> None:
    """Move SQL's `now()`, for sessions to come, as the processes' clocks are moved.

    Before the first migration, since a column's default is the function that was found when it was made; and
    after it, since some functions say for themselves where they look.
    """
    shift = os.environ.get(CLOCK_SHIFT)
    if shift is not None:
        name = sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL(_SHIFTED).format(shift=float(shift), database=name))


_SHIFTED = """
    create or replace function public.now() returns timestamptz stable language sql
        return pg_catalog.now() + make_interval(secs => {shift});
    alter database {database} set search_path = public, pg_catalog;
    do $$
    declare
        each regprocedure;
    begin
        for each in select oid from pg_proc
            where pronamespace = 'public'::regnamespace and 'search_path=public, pg_temp' = any (proconfig)
        loop
            execute format('alter function %s set search_path = public, pg_catalog, pg_temp', each);
        end loop;
    end $$
"""
