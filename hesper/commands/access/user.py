"""`hesper user`: accounts of people and their roles. The first administrator is made here."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from hesper.commands.store_url import DatabaseUrl, DataFolder, signed
from metering.access import UserRole
from store.access import users

app = typer.Typer(no_args_is_help=True)

Login = Annotated[str, typer.Argument(help="Small letters, digits and . _ @ + -.")]
Utility = Annotated[str, typer.Option(help="Code of the utility that the role is for.")]


@app.callback()
def _group() -> None:
    """Accounts of people, and their roles."""


@app.command()
def create(
    *,
    login: Login,
    utility: Utility,
    role: Annotated[list[UserRole], typer.Option(help="What they are to it; may be repeated.")],
    name: Annotated[str, typer.Option(help="What people call them.")] = "",
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """Make an account. Its password is random and shown once: to be changed at /account.

        hesper user create anna --utility aurora --role administrator

    The rights of administrators and approvers count once they have a second factor, which /account sets up.
    """
    from api.identity.passwords import Passwords, new_password

    password = new_password()
    with signed(database_url, data) as connection:
        users.create(connection, login, name, Passwords().hash(password))
        for one in role:
            users.grant(connection, login, utility, one)
    typer.echo(password)


@app.command()
def role(
    *,
    login: Login,
    utility: Utility,
    role: Annotated[UserRole, typer.Option(help="The role to give.")],
    remove: Annotated[bool, typer.Option("--remove", help="Take it away instead, at once.")] = False,
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """Give somebody a role for a utility, or take it away."""
    with signed(database_url, data) as connection:
        (users.withdraw if remove else users.grant)(connection, login, utility, role)
    typer.echo(f"{login} is {'no longer ' if remove else ''}{role} of {utility}")


@app.command()
def reset(login: Login, database_url: DatabaseUrl = None, data: DataFolder = None) -> None:
    """A new random password, shown once. The second factor is taken away, and every session ends."""
    from api.identity.passwords import Passwords, new_password

    password = new_password()
    with signed(database_url, data) as connection:
        users.reset(connection, login, Passwords().hash(password))
    typer.echo(password)


@app.command("map")
def map_(
    login: Login,
    system_user: Annotated[
        str | None,
        typer.Argument(help="User of the system where commands are given, as `id -un` shows it."),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Let it be nobody's account again.")] = False,
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """Say which user of the system somebody is: commands that this user gives are given by the account.

        hesper user map anna anna.k

    Whoever else is that user of the system is taken for the same person: give each person one of their own,
    or let them use `hesper login`.
    """
    if (system_user is None) is not remove:
        raise typer.BadParameter("name a user of the system, or give --remove")
    with signed(database_url, data) as connection:
        users.set_system_user(connection, login, system_user)
    typer.echo(f"{login} is {system_user or 'nobody'} at the command line")


@app.command()
def disable(
    login: Login,
    undo: Annotated[bool, typer.Option("--undo", help="Let them in again.")] = False,
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """Shut somebody out at once. What they did stays on record."""
    with signed(database_url, data) as connection:
        users.set_disabled(connection, login, disabled=not undo)
    typer.echo(f"{login} may {'sign in again' if undo else 'not sign in any more'}")


@app.command("list")
def list_(database_url: DatabaseUrl = None, data: DataFolder = None) -> None:
    """All accounts, with their roles."""
    table = Table(
        "login", "name", "roles", "second factor", "signs in with", "at the command line", "disabled"
    )
    with signed(database_url, data) as connection:
        for user in users.listed(connection):
            table.add_row(
                user.login,
                user.name,
                " ".join(user.roles),
                "yes" if user.second_factor else "",
                user.issuer or "password",
                user.os_user or "",
                f"{user.disabled_at:%Y-%m-%d}" if user.disabled_at else "",
            )
    Console().print(table)
