"""`hesper audit`: is the log of all that was done still what was written?"""

from datetime import UTC, datetime

import typer

from hesper.audit.anchor import Anchor, AnchorError, witnesses
from hesper.audit.anchor_file import AnchorFile
from hesper.commands.store_url import DatabaseUrl, DataFolder, session
from hesper.settings import Settings
from store import audit
from store.audit import Break

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _group() -> None:
    """The log of who did what."""


@app.command()
def verify(database_url: DatabaseUrl = None, data: DataFolder = None) -> None:
    """Compute every chain of hashes again, hold it to the anchors, and print its head or what is wrong.

    Anchors are in HESPER_AUDIT, else in audit/ of the data folder: beside them shows that rows were cut off
    the end, that a chain is gone or that it was written anew.

    Exit code: 0 when all chains hold, 1 when one is broken or the anchors are not what was signed.
    """
    file = AnchorFile(Settings().audit_folder(data))
    try:
        anchors = list(file.anchors())
    except (AnchorError, OSError) as error:
        typer.echo(f"anchors: {error}", err=True)
        raise typer.Exit(1) from None
    with session(database_url, data, application="hesper audit") as connection:
        chains = audit.verify(connection, witnesses(anchors))
    for chain in chains:
        if isinstance(chain, Break):
            typer.echo(f"{chain.utility}: broken at row {chain.position}: {chain.reason}")
        else:
            typer.echo(f"{chain.utility}: {chain.position} rows hold, the last is {chain.hash.hex()}")
    typer.echo(_witnessed(anchors, file), err=not anchors)
    if any(isinstance(chain, Break) for chain in chains):
        raise typer.Exit(1)


@app.command()
def anchor(database_url: DatabaseUrl = None, data: DataFolder = None) -> None:
    """Sign the heads of all chains now, keep them in the file of anchors, and print the line.

    `hesper worker run` does it every hour. HESPER_AUDIT_HOOK gets the line, too.

    Exit code: 0 when all that was written since the last anchor holds, 1 when not or when none was kept.
    """
    from hesper.audit.anchoring import HookError
    from hesper.audit.anchoring import anchor as keep_anchor

    settings = Settings()
    file = AnchorFile(settings.audit_folder(data))
    with session(database_url, data, application="hesper audit") as connection:
        try:
            broken = keep_anchor(connection, file, datetime.now(UTC), settings.audit_hook)
        except (AnchorError, HookError, OSError) as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(1) from None
    typer.echo(file.last_line().decode(), nl=False)
    for chain in broken:
        typer.echo(f"{chain.utility}: broken at row {chain.position}: {chain.reason}", err=True)
    if broken:
        raise typer.Exit(1)


def _witnessed(anchors: list[Anchor], file: AnchorFile) -> str:
    if not anchors:
        return (
            f"there is no anchor in {file.folder}: that rows were cut off the end does not show. "
            "`hesper worker run` keeps one each hour, `hesper audit anchor` now"
        )
    last = anchors[-1]
    return f"{len(anchors)} anchors in {file.folder} hold, the last is of {last.at:%Y-%m-%dT%H:%M:%SZ}"
