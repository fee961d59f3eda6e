"""`hesper login` and `hesper logout`: who gives the commands."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from psycopg import Connection

from hesper.commands.person import LASTS, PersonError, person_here, system_user, token_file
from hesper.commands.store_url import DatabaseUrl, DataFolder, session
from hesper.private_files import write_private
from hesper.secret_keys import SecretKeys
from hesper.settings import Settings
from store import audit
from store.access import sessions, users
from store.keyring import Keyring

_WRONG = "login, password and code do not belong together, or there is no such account"


def login(
    account: Annotated[
        str | None, typer.Argument(metavar="[LOGIN]", help="Whose account; asked for if it is left out.")
    ] = None,
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """Sign in at the command line: what commands do from then on is done by this account.

    It lasts for 12 hours, and for one without a command; `hesper logout` ends it. Who signs in with a
    provider is known by the user of the system: see `hesper user map`.

    Exit code: 0 when signed in, 1 when not.
    """
    name = account or typer.prompt("login")
    password = typer.prompt("password", hide_input=True)
    with session(database_url, data, application="hesper login") as connection:
        person = _known(connection, name.strip().lower(), password, data)
        roles = users.memberships(connection, person.id)
        if not roles:
            raise PersonError(
                f"{person.login} has no role at any utility", advice="`hesper user role` gives one"
            )
        token = sessions.begin(
            connection,
            utility_id=roles[0].utility_id,
            user_id=person.id,
            now=datetime.now(UTC),
            lasts=LASTS,
        )
        audit.sign_as(connection, person.login, system_user())
        audit.note(connection, "signed in", "the command line", utility_id=roles[0].utility_id)
    file = token_file()
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(file, token)
    typer.echo(f"signed in as {person.login}", err=True)


def logout(database_url: DatabaseUrl = None, data: DataFolder = None) -> None:
    """Sign out at the command line."""
    file = token_file()
    if file.exists():
        with session(database_url, data, application="hesper logout") as connection:
            sessions.end(connection, file.read_text(encoding="utf-8").strip(), datetime.now(UTC))
        file.unlink()
    with session(database_url, data, application="hesper logout") as connection:
        typer.echo(f"commands are given by {person_here(connection).name}", err=True)


def _known(connection: Connection[Any], login: str, password: str, data: Any) -> users.User:
    """The account that a password, and the code if it has a second factor, show. Raises PersonError."""
    from api.identity.passwords import Passwords, SecondFactor, recovery_hash
    from api.web.settings import kept_session_secret

    person = users.enter_by_login(connection, login)
    right = Passwords().matches(person.password_hash if person else None, password)
    if person is not None and person.totp_secret is not None:
        code = typer.prompt("code of the second factor").replace(" ", "")
        secret = kept_session_secret((data or Settings().data) / "session-secret")
        keyring = Keyring(SecretKeys.of(data or Settings().data))
        step = SecondFactor(secret, keyring).step_of(bytes(person.totp_secret), code, datetime.now(UTC))
        right = right and (
            users.use_recovery_code(connection, person.id, recovery_hash(code))
            if step is None
            else users.use_totp_step(connection, person.id, step)
        )
    if person is None or not right:
        audit.sign_as(connection, audit.system_user_actor(system_user()))
        audit.note(connection, "sign-in refused", login if person else "an unknown login", utility_id=None)
        connection.commit()  # that it was tried stays on record, whatever the caller does
        raise PersonError(_WRONG)
    return person
