"""`hesper audit`: is the log of all that was done still what was written?"""

import typer

from hesper.commands.store_url import DatabaseUrl, DataFolder, signed
from store import audit
from store.audit import Break

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _group() -> None:
    """The log of who did what."""


@app.command()
def verify(database_url: DatabaseUrl = None, data: DataFolder = None) -> None:
    """Compute every chain of hashes again, and print its head, or the first row that is wrong.

    A head kept elsewhere shows later that nothing was cut off the end: the row at that position still has it.

    Exit code: 0 when all chains hold, 1 when one is broken.
    """
    with signed(database_url, data) as connection:
        chains = audit.verify(connection)
    for chain in chains:
        if isinstance(chain, Break):
            typer.echo(f"{chain.utility}: broken at row {chain.position}: {chain.reason}")
        else:
            typer.echo(f"{chain.utility}: {chain.position} rows hold, the last is {chain.hash.hex()}")
    if any(isinstance(chain, Break) for chain in chains):
        raise typer.Exit(1)
