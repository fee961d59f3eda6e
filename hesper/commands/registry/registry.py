"""`hesper registry`: what a utility owns and where it is, and who changed it when."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import psycopg
import typer
from rich.console import Console
from rich.table import Column, Table

from hesper.commands.person import person_here
from hesper.commands.store_url import DatabaseUrl, DataFolder, administration
from hesper.commands.utility import utility_code
from metering.registry.checks import RegistryError, medium_of
from metering.registry.document import load
from metering.registry.sheets import write_tables
from metering.registry.tables import Tables, amend, read_tables
from store.registry import RegistrySummary, rehearse
from store.registry import apply as apply_registry
from store.registry.exchange import Exchange
from store.registry.exchange import swap as exchange_meters
from store.registry.extract import calendar, extract
from store.registry.history import history as changes_of
from store.registry.history import sign
from store.registry.strangers import strangers

app = typer.Typer(no_args_is_help=True)

Utility = Annotated[
    str | None, typer.Option(help="Whose registry; needed only where there are several utilities.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Change nothing; tell what would be done.")]
Reason = Annotated[str, typer.Option(help="Why, for the history.")]


@app.command()
def apply(
    file: Annotated[Path, typer.Argument(help="The registry as TOML.")],
    *,
    dry_run: DryRun = False,
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """Add what a registry file lists and change what differs; nothing is deleted.

    All of the file is applied or, when an entry cannot be used, nothing. Applying it again changes nothing.

    Exit code: 0 when the registry is as the file says, 1 when not; the message names the entry.
    """
    with administration(database_url, data) as connection:
        registry = load(file)
        if dry_run:
            summary, refused = rehearse(connection, registry)
            _tell([f"{error}; {error.advice}" for error in refused])
        else:
            sign(connection, person_here(connection).name, f"registry apply {file.name}")
            summary = apply_registry(connection, registry)
    Console().print(table(summary))


@app.command("import")
def import_(
    folder: Annotated[Path, typer.Argument(help="The folder of meters.csv, registers.csv, ...")],
    *,
    utility: Utility = None,
    dry_run: DryRun = False,
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """Add what the CSV files of a folder list and change what differs; nothing is deleted.

    `hesper registry export` writes such files, and so shows their columns. Any of them may be missing.
    All rows are taken or, when one cannot be used, none. A dry run tells each problem with its file and line.

    Exit code: 0 when all rows are (or could be) taken, 1 when not.
    """
    with administration(database_url, data) as connection:
        tables = read_tables(folder, extract(connection, utility_code(connection, utility)))
        summary = _take(connection, tables, f"registry import {folder.name}", dry_run=dry_run)
    Console().print(table(summary))


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="Where meters.csv, registers.csv, ... are written.")],
    *,
    utility: Utility = None,
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """Write a utility's registry as CSV files, as `hesper registry import` takes them."""
    with administration(database_url, data) as connection:
        write_tables(folder, extract(connection, utility_code(connection, utility)))


@app.command()
def swap(
    service_point: Annotated[str, typer.Argument(help="The code of the service point.")],
    installed: Annotated[str, typer.Argument(help="The new meter's id, such as KAM-06855817.")],
    *,
    reason: Reason,
    at: Annotated[datetime, typer.Option(help="When; local time of the utility.")],
    end: Annotated[list[str], typer.Option(help="End reading of the old meter: 8-0:1.0.0=123.456")],
    start: Annotated[list[str] | None, typer.Option(help="Start reading of the new one.")] = None,
    removed: Annotated[str | None, typer.Option(help="The old meter, where there are several.")] = None,
    multiplier: Annotated[str | None, typer.Option(help="CT/VT ratio from then on.")] = None,
    utility: Utility = None,
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """Exchange the meter at a service point: one installation ends, the next begins, with both readings.

    A new meter that is not registered yet is, on the gateway and line of the old one. Name the same meter
    with another --multiplier when its transformers were exchanged.

        hesper registry swap flat-12-heat KAM-06855818 --at 2026-10-15T09:30 --reason "broken display" \\
            --end 6-0:1.0.0=37319 --start 6-0:1.0.0=0

    Exit code: 0 when it is done, 1 when not; then nothing was changed.
    """
    with administration(database_url, data) as connection:
        exchange = Exchange(
            utility_code(connection, utility),
            service_point,
            installed,
            at,
            _pairs(end),
            _pairs(start or []),
            removed,
            multiplier,
        )
        sign(connection, person_here(connection).name, reason)
        before = exchange_meters(connection, exchange)
    typer.echo(f"{service_point}: {before} until {at:%Y-%m-%d %H:%M}, {installed} from then on")


@app.command()
def correct(
    kind: Annotated[str, typer.Argument(help="meters, registers, service_points, ... as the CSV files.")],
    words: Annotated[list[str], typer.Argument(help="What names the entry, then FIELD=VALUE ...")],
    *,
    reason: Reason,
    dry_run: DryRun = False,
    utility: Utility = None,
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """Correct fields of one entry; what they were before stays in its history.

    Entries and fields are named as in the CSV files. An empty value says that there is none.

        hesper registry correct meters KAM-06855817 model="Multical 403" --reason "wrong label"
        hesper registry correct registers KAM-06855817 6-0:1.0.0 digits=7 --reason "read off the display"

    Exit code: 0 when the entry is as told, 1 when not; then nothing was changed.
    """
    key = [word for word in words if "=" not in word]
    fields = _pairs([word for word in words if "=" in word])
    with administration(database_url, data) as connection:
        tables = amend(extract(connection, utility_code(connection, utility)), kind, key, fields)
        summary = _take(connection, tables, reason, dry_run=dry_run)
    Console().print(table(summary))


@app.command()
def history(
    entry: Annotated[str | None, typer.Argument(help="A code; all entries without it.")] = None,
    *,
    utility: Utility = None,
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """History of the registry: who changed what, when and why."""
    with administration(database_url, data) as connection:
        changes = changes_of(connection, utility_code(connection, utility), entry)
    for change in changes:
        what = "added" if change.before is None else "changed"
        typer.echo(
            f"{change.changed_at:%Y-%m-%d %H:%M:%SZ} {change.author}: {what} {change.entity} {change.entry}"
            + (f" ({change.reason})" if change.reason else "")
        )
        for field, before in (change.before or {}).items():
            typer.echo(f"    {field}: {before} -> {change.after[field]}")


@app.command()
def unknown(*, utility: Utility = None, database_url: DatabaseUrl = None, data: DataFolder = None) -> None:
    """Meters that report and are not registered; `hesper registry accept` takes one with all that waits."""
    with administration(database_url, data) as connection:
        found = strangers(connection, utility_code(connection, utility))
    for stranger in found:
        since = f"{stranger.first_at:%Y-%m-%d %H:%MZ}"
        typer.echo(f"{stranger.meter}: {stranger.readouts} readouts wait since {since}")


@app.command()
def accept(
    meter: Annotated[str, typer.Argument(help="The meter id, as `hesper registry unknown` lists it.")],
    *,
    model: Annotated[str | None, typer.Option(help="Its model, where the telegram does not say it.")] = None,
    site: Annotated[str | None, typer.Option(help="The site where it is.")] = None,
    dry_run: DryRun = False,
    utility: Utility = None,
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """Register an unknown meter as its telegrams show it, and store all readouts of it that waited.

    Exit code: 0 when it is registered, 1 when not.
    """
    from hesper.acceptance import accept as take
    from hesper.acceptance import propose
    from telemetry.wire import to_milliseconds

    with administration(database_url, data) as connection:
        code = utility_code(connection, utility)
        entry = propose(connection, code, meter, model=model, site=site)
        shown = [medium_of(entry.medium).label, entry.model, f"gateway {entry.gateway}"]
        shown += [register.obis for register in entry.registers]
        typer.echo(f"{entry.code}: {', '.join(filter(None, shown))}")
        if dry_run:
            return
        sign(connection, person_here(connection).name, "accepted with what waited of it")
        done = take(connection, calendar(connection, code), entry, to_milliseconds(datetime.now(UTC)))
    typer.echo(f"{done.stored} readings of {done.readouts} readouts are stored, {done.waiting} wait still")


def table(summary: RegistrySummary) -> Table:
    """Table of what was done, for people."""
    shown = Table("entries", *(Column(name, justify="right") for name in ("added", "changed", "unchanged")))
    for kind, count in summary.counts.items():
        figures = (str(count.added), str(count.changed), str(count.unchanged))
        shown.add_row(kind.replace("_", " "), *figures)
    return shown


def _take(connection: psycopg.Connection, tables: Tables, reason: str, *, dry_run: bool) -> RegistrySummary:
    """Apply what was read, all or nothing; the problems of a rehearsal end the command."""
    if not tables.problems:
        summary, refused = rehearse(connection, tables.registry)
        for error in refused:
            tables.note(error)
    _tell([str(problem) for problem in sorted(tables.problems)])
    if dry_run:
        return summary
    sign(connection, person_here(connection).name, reason)
    return apply_registry(connection, tables.registry)


def _tell(problems: list[str]) -> None:
    """Print the problems and end, if there are any."""
    if problems:
        typer.echo("\n".join(problems), err=True)
        typer.echo(f"{len(problems)} problems; nothing was changed", err=True)
        raise typer.Exit(1)


def _pairs(texts: list[str]) -> dict[str, str]:
    """`8-0:1.0.0=123.456` texts as {OBIS: value}."""
    pairs = dict(text.partition("=")[::2] for text in texts)
    for name, text in zip(pairs, texts, strict=False):
        if "=" not in text:
            raise RegistryError(text, "has no value", f"write {name}=VALUE")
    return pairs
