"""`hesper migrate`: the database's schema, as this version needs it."""

from typing import Annotated

import typer

from hesper.commands.store_url import DatabaseUrl, DataFolder, refusals_told, store_url
from store.postgres.database import connect
from store.postgres.migrate import migrate as apply_migrations
from store.postgres.roles import Role, set_password


def migrate(
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
    password: Annotated[
        list[Role] | None, typer.Option(help="Give this role a new password, shown once; may be repeated.")
    ] = None,
) -> None:
    """Bring the database to this version's schema. Doing it again changes nothing.

    The database is DATABASE_URL, else that of the `hesper serve` or `demo` on the data folder, else the
    folder's own. On TimescaleDB what it offers is used; nothing has to be said for that. Run it as the owner
    of the database, or its administrator: it makes the roles that the processes log in as.

    Exit code: 0 when the schema is this version's, 1 when it could not be brought there.
    """
    with (
        refusals_told(1),
        store_url(database_url, data) as url,
        connect(url, application="hesper migrate") as connection,
    ):
        applied = apply_migrations(connection)
        passwords = {role: set_password(connection, role) for role in password or ()}
    for migration in applied:
        typer.echo(f"applied {migration}")
    if not applied:
        typer.echo("the schema is up to date")
    for role, text in passwords.items():
        typer.echo(f"{role} {text}")
