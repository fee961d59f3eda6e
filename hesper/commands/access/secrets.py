"""`hesper secrets`: the keys that encrypt what has to be used again, such as the secrets of webhooks."""

from pathlib import Path

import typer
from psycopg import Connection

from hesper.commands.store_url import DatabaseUrl, DataFolder, refusals_told, session, store_url
from hesper.secret_keys import SecretKeys, new_key, sealing_keyring
from hesper.settings import Settings
from store.access import second_factors
from store.delivery import destinations
from store.keyring import Keyring
from store.postgres.database import connect
from store.postgres.roles import Role, RoleError
from store.validation import alarms

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keys of the secrets in the database."""


@app.command()
def key() -> None:
    """Print a new key, for HESPER_SECRET_KEYS or a credential of systemd."""
    typer.echo(new_key())


@app.command()
def rotate(database_url: DatabaseUrl = None, data: DataFolder = None) -> None:
    """Encrypt everything with a new key: secrets of webhooks and second factors.

    The key is made in the file secret-keys of the data folder, and the processes that run read it there.
    Keys that are given by HESPER_SECRET_KEYS or a credential are changed first: put a new one, from
    `hesper secrets key`, before the old ones, restart all processes, and rotate. The old keys open backups:
    keep them as long as those.

    Exit code: 0 when the newest key encrypts everything, 1 when not.
    """
    folder = data or Settings().data
    keys = SecretKeys.of(folder)
    with refusals_told(1), store_url(database_url, data) as url:
        with session(url, data, application="hesper secrets") as connection:
            sealing_keyring(connection, keys)  # that these are the keys of this database
        if keys.made_here:
            keys.add()
        with session(url, data, application="hesper secrets") as connection:
            keyring = sealing_keyring(connection, keys)
            routes = alarms.reseal(connection, keyring)
            factors = _second_factors(connection, keyring, folder / "session-secret")
        typer.echo(f"secrets of alarm routes: {routes}, of second factors: {factors}")
        try:
            with connect(url, application="hesper secrets", role=Role.DELIVER) as connection:
                typer.echo(f"secrets of destinations: {destinations.reseal(connection, keyring)}")
        except RoleError:
            typer.echo("secrets of destinations: at the next start of `hesper deliver run`, which reads them")


def _second_factors(connection: Connection, keyring: Keyring, session_secret: Path) -> int:
    """How many were encrypted anew; none where the API's session secret is not here."""
    from api.identity.passwords import SecondFactor

    secret = session_secret.read_bytes() if session_secret.is_file() else b""
    return second_factors.reseal(connection, SecondFactor(secret, keyring).resealed)
