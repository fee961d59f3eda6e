"""The store that a command means: the named one, the running one, else that of the data folder."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import psycopg
import typer

from hesper.central import running
from hesper.commands.person import sign_here
from hesper.settings import Settings
from metering.registry.checks import RegistryError
from store.postgres.database import StoreError, UnreachableError, connect
from store.postgres.embedded import EmbeddedPostgres
from store.postgres.migrate import migrate
from store.postgres.roles import Role, assume

DatabaseUrl = Annotated[str | None, typer.Option(help="The store; default DATABASE_URL.")]
DataFolder = Annotated[Path | None, typer.Option(help="Data folder; default HESPER_DATA or ./hesper-data.")]


@contextmanager
def store_url(database_url: str | None, data: Path | None) -> Iterator[str]:
    """The URL of a store that answers: an embedded one runs as long as this context. Raises StoreError."""
    settings = Settings()
    url = database_url or settings.database_url
    if url is not None:
        yield url
        return
    folder = data or settings.data
    found = running(folder)
    if found is not None:
        yield found.database_url
        return
    with EmbeddedPostgres(folder / "postgres") as server:
        yield server.url


@contextmanager
def administration(database_url: str | None, data: Path | None) -> Iterator[psycopg.Connection]:
    """Session as hesper_admin, in the name of who is here, committed at the end.

    What store or registry refuses changes nothing.
    """
    with (
        refusals_told(1),
        store_url(database_url, data) as url,
        connect(url, application="hesper") as connection,
    ):
        migrate(connection)
        assume(connection, Role.ADMIN)
        sign_here(connection)
        yield connection


@contextmanager
def session(database_url: str | None, data: Path | None, *, application: str) -> Iterator[psycopg.Connection]:
    """Session as hesper_admin with the store as it is: its schema is not brought to this version."""
    with (
        refusals_told(1),
        store_url(database_url, data) as url,
        connect(url, application=application, role=Role.ADMIN) as connection,
    ):
        sign_here(connection)
        yield connection


@contextmanager
def signed(database_url: str | None, data: Path | None) -> Iterator[psycopg.Connection]:
    """`administration`; a LookupError ends it too."""
    with administration(database_url, data) as connection:
        try:
            yield connection
        except LookupError as error:
            typer.echo(str(error.args[0]), err=True)
            raise typer.Exit(1) from None


def check_login(url: str, role: Role) -> None:
    """Ends a process at its start whose login may not be `role`; one that is away is waited for later."""
    with refusals_told(2), suppress(UnreachableError):
        connect(url, role=role).close()


@contextmanager
def refusals_told(code: int) -> Iterator[None]:
    """Ends the command with this code and advice where store or registry refuse."""
    try:
        yield
    except (StoreError, RegistryError) as error:
        typer.echo(f"{error}\n{error.advice}".rstrip(), err=True)
        raise typer.Exit(code) from None
