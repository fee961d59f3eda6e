"""`hesper quarantine`: what could not be used, why, and what becomes of it."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Column, Table

from hesper.commands.store_url import DatabaseUrl, DataFolder, session
from ingest.receive.quarantine import QuarantineReason
from ingest.receive.replay import replay_all
from store import quarantine
from store.quarantine import QuarantineRow, Selection
from telemetry.wire import Outcome, to_milliseconds

app = typer.Typer(no_args_is_help=True)
_NAME = "hesper quarantine"
_SHOWN_BYTES = 512  # of a payload that is not text

Ids = Annotated[list[int] | None, typer.Argument(help="Numbers of entries, as `list` shows them.")]
Utility = Annotated[str | None, typer.Option(help="Only what came under this utility.")]
Gateway = Annotated[str | None, typer.Option(help="Only what came from this gateway.")]
ReasonOption = Annotated[QuarantineReason | None, typer.Option(help="Only what was refused for this reason.")]
Meter = Annotated[str | None, typer.Option(help="Only what names this meter.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON on stdout.")]


@app.command("list")
def list_(  # noqa: PLR0917 - typer passes them by name
    utility: Utility = None,
    gateway: Gateway = None,
    reason: ReasonOption = None,
    meter: Meter = None,
    state: Annotated[str, typer.Option(help="waiting, replayed, discarded, or all.")] = "waiting",
    limit: Annotated[int, typer.Option(min=1, help="How many, the oldest first.")] = 50,
    json_output: AsJson = False,
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """List what waits, oldest first, and count it by reason."""
    selection = Selection(None, utility, gateway, reason, meter, "" if state == "all" else state)
    with session(database_url, data, application=_NAME) as connection:
        entries = quarantine.select(connection, selection, limit=limit)
        counts = quarantine.count(connection, selection)
    if json_output:
        typer.echo(json.dumps({"counts": counts, "entries": list(map(_described, entries))}, indent=2))
        return
    console = Console()
    if not counts:
        console.print("nothing waits" if state == "waiting" else "nothing is kept")
        return
    console.print(_table(entries))
    told = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items())
    more = sum(counts.values()) - len(entries)
    console.print(told + (f"; {more} more, see --limit" if more else ""))


@app.command()
def show(
    number: Annotated[int, typer.Argument(help="Number of the entry, as `list` shows it.")],
    json_output: AsJson = False,
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """Show one entry with all that was sent, decoded as far as it can be.

    Exit code: 0 when it is there, 1 when not.
    """
    with session(database_url, data, application=_NAME) as connection:
        found = quarantine.select(connection, Selection([number], state=""))
    if not found:
        _fail(f"there is no entry {number}; see `hesper quarantine list`")
    (entry,) = found
    described = _described(entry) | {"payload": _decoded(entry.payload)}
    if json_output:
        typer.echo(json.dumps(described, indent=2))
        return
    console = Console(highlight=False)
    for name, value in described.items():
        text = value if isinstance(value, str) else json.dumps(value, indent=2)
        console.print(f"{name:12}", text, markup=False)


@app.command()
def replay(  # noqa: PLR0917 - typer passes them by name
    ids: Ids = None,
    utility: Utility = None,
    gateway: Gateway = None,
    reason: ReasonOption = None,
    meter: Meter = None,
    everything: Annotated[bool, typer.Option("--all", help="All that waits.")] = False,
    json_output: AsJson = False,
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """Take what waits as if it came now, after its cause was mended. Nothing is stored twice.

    Exit code: 0 when nothing of it waits any more, 1 when something does, 2 when nothing was named.
    """
    selection = _selection(Selection(ids, utility, gateway, reason, meter), everything)
    tried, outcomes = 0, list[Outcome]()
    with session(database_url, data, application=_NAME) as connection:
        for entries in quarantine.groups(connection, selection):
            tried += len(entries)
            outcomes += replay_all(connection, entries, to_milliseconds(datetime.now(UTC)))
        left = sum(quarantine.count(connection, selection).values())
    done = {
        "tried": tried,
        "stored": sum(outcome.stored for outcome in outcomes),
        "known": sum(outcome.known for outcome in outcomes),
        "missed": sum(outcome.missed for outcome in outcomes),
        "waiting": left,
    }
    _tell(done, json_output)
    raise typer.Exit(1 if left else 0)


@app.command()
def discard(  # noqa: PLR0917 - typer passes them by name
    ids: Ids = None,
    utility: Utility = None,
    gateway: Gateway = None,
    reason: ReasonOption = None,
    meter: Meter = None,
    everything: Annotated[bool, typer.Option("--all", help="All that waits.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json_output: AsJson = False,
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """Say that something will never be used. It stays in the table, and does not wait again when sent again.

    Exit code: 0 when done, 1 when you said no, 2 when nothing was named.
    """
    selection = _selection(Selection(ids, utility, gateway, reason, meter), everything)
    discarded = 0
    with session(database_url, data, application=_NAME) as connection:
        count = sum(quarantine.count(connection, selection).values())
        if count and not yes:
            typer.confirm(f"discard {count} entries for good?", abort=True, err=True)
        for entries in quarantine.groups(connection, selection):
            discarded += quarantine.discard(connection, [entry.id for entry in entries])
            connection.commit()
    _tell({"discarded": discarded}, json_output)


def _selection(given: Selection, everything: bool) -> Selection:
    """What was named; `--all` has to be said."""
    if given.everything and not everything:
        _fail("name entries, or --utility, --gateway, --reason or --meter, or --all", code=2)
    return given


def _table(entries: Sequence[QuarantineRow]) -> Table:
    number = Column("number", justify="right")
    shown = Table(number, "received", "gateway", "meter", "reason", "what is wrong")
    for entry in entries:
        received = f"{entry.received_at:%Y-%m-%d %H:%M}"
        whose = f"{entry.utility}/{entry.gateway}" if entry.gateway else entry.topic[:40]
        shown.add_row(str(entry.id), received, whose, entry.meter or "", entry.reason, entry.detail[:200])
    return shown


def _described(entry: QuarantineRow) -> dict[str, Any]:
    return {
        "number": entry.id,
        "state": entry.state,
        "received": entry.received_at.isoformat(),
        "topic": entry.topic,
        "utility": entry.utility,
        "gateway": entry.gateway,
        "meter": entry.meter or "",
        "reason": entry.reason,
        "detail": entry.detail,
        "bytes": len(entry.payload),
    }


def _decoded(payload: bytes) -> Any:
    """JSON as its content, other text as it is, anything else as hexadecimal, cut to a readable length."""
    try:
        return json.loads(payload)
    except (ValueError, RecursionError):
        pass
    head = payload[:_SHOWN_BYTES]
    rest = f" ... {len(payload) - len(head)} bytes more" if len(payload) > len(head) else ""
    text = head.decode("utf-8", "replace")
    return (text if text.isprintable() else head.hex(" ")) + rest


def _tell(figures: dict[str, int], json_output: bool) -> None:
    told = ", ".join(f"{count} {name}" for name, count in figures.items())
    typer.echo(json.dumps(figures) if json_output else told)


def _fail(text: str, code: int = 1) -> NoReturn:
    typer.echo(text, err=True)
    raise typer.Exit(code)
