"""How the gateway's commands speak: a table or a sentence to a person, one JSON object to a program."""

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gateway.config.document import GatewayConfig
from gateway.config.file import ConfigError, load_config
from hesper.installer.advice import Trouble

JSON_HELP = "For programs: one JSON object."


def echo_json(content: object) -> None:
    """One line on stdout."""
    typer.echo(msgspec.json.encode(content).decode())


def count(number: int, noun: str) -> str:
    """'1 meter', '2 meters'."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def load_or_exit(file: Path) -> GatewayConfig:
    """The configuration, or exit code 1 with all that is wrong with it."""
    try:
        return load_config(file)
    except ConfigError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


def give_up(trouble: Trouble, *, as_json: bool) -> NoReturn:
    """Say what went wrong and what to try; exit code 1."""
    if as_json:
        echo_json(trouble.as_json())
    else:
        show_trouble(trouble)
    raise typer.Exit(1)


def show_trouble(trouble: Trouble) -> None:
    """On stderr, the sentence in red."""
    console = Console(stderr=True)
    first, *steps = trouble.text().splitlines()
    console.print(f"[red]{escape(trouble.kind)}:[/] {escape(first)}", highlight=False)
    for step in steps:
        console.print(escape(step), highlight=False)


def show_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = ()) -> None:
    """A plain table on stdout; the columns named in `right` are aligned there."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    Console().print(table, highlight=False)
