"""`hesper deliver file` and `hesper deliver statement`: a period as a file, an account reconciled."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from hesper.commands.delivery.shared import (
    CountingIterator,
    DeliveryError,
    install_advice,
    period_name,
    show_table,
)
from hesper.commands.store_url import DatabaseUrl, DataFolder, administration
from hesper.commands.utility import the_utility, utility_code
from metering.billing.canonical_hash import decimal
from metering.delivery.format import BillingWriter, InexpressibleError
from metering.delivery.formats import BILLING_WRITERS, DIALECTS, FORMATS
from metering.delivery.statement import Statement
from store.audit import note
from store.delivery.outgoing import held, issue
from store.delivery.statements import statement as load_statement

Utility = Annotated[
    str | None, typer.Option(help="Code of the utility; needed only where there are several.")
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout instead of a table.")]

_DIALECTS = "; ".join(f"{name}: {', '.join(dialects)}" for name, dialects in DIALECTS.items())


def file_(
    *,
    period: Annotated[str, typer.Option(metavar="YYYY-MM", help="The period.")],
    utility: Utility = None,
    format_: Annotated[str, typer.Option("--format", help=f"{', '.join(BILLING_WRITERS)}.")] = "csv",
    dialect: Annotated[str | None, typer.Option(help=f"Dialect of {_DIALECTS}.")] = None,
    cursor: Annotated[
        int | None, typer.Option(help="Contents up to this cursor; default: all that was issued.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="File to write; default: <utility>-<period>-<cursor> in the current folder."),
    ] = None,
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """Write a period's billing readings to a file, the highest version of each.

    The same period up to the same cursor gives the same bytes; the cursor is part of the name.

        hesper deliver file --period 2026-10 --format csv --dialect de

    Exit code: 0 when the file is there whole, 1 when nothing was issued or it could not be written.
    """
    with administration(database_url, data) as connection:
        write = _writer(format_, dialect)
        found = issue(connection, utility_code(connection, utility), period_name(period), cursor)
        if found is None:
            raise DeliveryError(f"nothing was issued for {period}", advice=f"run `hesper close {period}`")
        kind = FORMATS[format_]
        path = output or Path(f"{found.utility}-{found.period}-{found.cursor}.{kind.extension}")
        unfinished = path.with_name(f"{path.name}.part")
        try:
            with unfinished.open("wb") as out:
                readings = CountingIterator(held(connection, found))
                out.writelines(write(found, readings))
                out.flush()
                os.fsync(out.fileno())
        except (InexpressibleError, OSError, ModuleNotFoundError) as error:
            unfinished.unlink(missing_ok=True)
            raise DeliveryError(
                f"{path} was not written: {error}",
                advice=install_advice(kind) if isinstance(error, ModuleNotFoundError) else "",
            ) from error
        note(
            connection,
            "exported",
            f"billing readings of {found.period}",
            utility_id=the_utility(connection, found.utility).id,
            format=format_,
            cursor=found.cursor,
            readings=readings.count,
        )
        unfinished.replace(path)
    typer.echo(f"{path}: {readings.count} billing readings up to cursor {found.cursor}")


def _writer(format_: str, dialect: str | None) -> BillingWriter:
    """The writer of a format in a dialect, or in its first. Raises DeliveryError."""
    try:
        return BILLING_WRITERS[format_] if dialect is None else FORMATS[format_].dialects[dialect]
    except KeyError:
        raise DeliveryError(
            f"there is no format {format_}" + (f" with dialect {dialect}" if dialect else ""),
            advice=f"formats: {', '.join(BILLING_WRITERS)}; dialects of {_DIALECTS}",
        ) from None


def statement(
    *,
    account: Annotated[str, typer.Option(help="The billing system's account.")],
    first: Annotated[str, typer.Option("--from", metavar="YYYY-MM", help="First period.")],
    last: Annotated[
        str | None, typer.Option("--to", metavar="YYYY-MM", help="Last period; default: the first.")
    ] = None,
    utility: Utility = None,
    json_output: AsJson = False,
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """Reconcile an account: figures as issued and as acknowledged, and why they differ.

        hesper deliver statement --account 40001 --from 2026-01 --to 2026-10

    Exit code: 0 when both sides agree, 3 when they differ.
    """
    with administration(database_url, data) as connection:
        whose = the_utility(connection, utility).id
        found = load_statement(connection, whose, account, period_name(first), period_name(last or first))
    if not found.lines:
        typer.echo(f"nothing was issued or left out for account {account}", err=True)
    if json_output:
        typer.echo(json.dumps([line.document() for line in found.lines], indent=2))
    else:
        _show_statement(found)
    if not found.agreed:
        raise typer.Exit(3)


def _show_statement(found: Statement) -> None:
    show_table(
        ("period", "service point", "register", "issued", "acknowledged", "difference", "why"),
        (
            (
                line.period,
                line.service_point,
                f"{line.obis} {line.unit}",
                decimal(line.issued.consumption) if line.issued else "",
                decimal(line.acknowledged.consumption) if line.acknowledged else "",
                decimal(line.difference),
                "\n".join(line.remarks),
            )
            for line in found.lines
        ),
    )
    for total in found.totals:
        typer.echo(
            f"{total.period} {total.register}: issued {decimal(total.issued)}, "
            f"acknowledged {decimal(total.acknowledged)}, difference {decimal(total.difference)}"
        )
