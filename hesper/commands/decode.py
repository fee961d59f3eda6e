"""`hesper decode`."""

from typing import Annotated

import typer

from hesper.decode import run


def decode(
    source: Annotated[str, typer.Argument(metavar="HEX|FILE", help="The telegram in hex, or a file of it.")],
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
) -> None:
    """Explain an M-Bus telegram: meter, status, and every record with its exact value."""
    raise typer.Exit(run(source, as_json))
