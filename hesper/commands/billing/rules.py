"""`hesper rules`: by which rules a utility's months are closed, from when on."""

from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

import typer

from hesper.commands.person import person_here
from hesper.commands.store_url import DatabaseUrl, DataFolder, administration
from hesper.commands.utility import the_utility
from metering.billing.rule_set import RulesError, parse_rules
from store.billing.measured import utility as utility_of
from store.billing.rule_sets import add_coefficient, add_rules, all_rules

app = typer.Typer(no_args_is_help=True)

UtilityCode = Annotated[str, typer.Option("--utility", help="Whose rules.")]
Since = Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First local day.")]


@app.command("apply")
def apply_rules(
    file: Annotated[Path, typer.Argument(help="A rule set in TOML.")],
    utility: UtilityCode,
    since: Since,
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """Let a rule set hold for the periods that begin on a day or later.

    What was closed stays as it is; closing such a period again makes further versions.

        hesper rules apply ru-decree-354.toml --utility aurora --from 2026-01-01

    Exit code: 0 when it holds, 1 when not.
    """
    try:
        text = file.read_text(encoding="utf-8")
        rules = parse_rules(text)
        with administration(database_url, data) as connection:
            add_rules(
                connection,
                utility_of(connection, utility).id,
                valid_from=since.date(),
                name=rules.name,
                version=rules.version,
                content=text,
                author=person_here(connection).name,
            )
    except (OSError, UnicodeDecodeError, LookupError, RulesError) as error:
        typer.echo(f"{file}: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"{rules.label} holds for {utility} from {since.date()}")


@app.command("list")
def list_rules(utility: UtilityCode, database_url: DatabaseUrl = None, data: DataFolder = None) -> None:
    """Show every rule set that a utility was given. Of one day the last holds."""
    with administration(database_url, data) as connection:
        for row in all_rules(connection, the_utility(connection, utility).id):
            typer.echo(f"{row.valid_from}  {row.name} {row.version}  ({row.author}, {row.added_at:%Y-%m-%d})")


@app.command()
def coefficient(  # noqa: PLR0917 - typer passes them by name
    service_point: Annotated[str, typer.Argument(help="Its code.")],
    per: Annotated[str, typer.Argument(help="What norms are per: person, square_metre.")],
    amount: Annotated[str, typer.Argument(help="How many, a decimal.")],
    utility: UtilityCode,
    since: Since,
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """Say what norms are multiplied by at a service point from a day on.

    hesper rules coefficient flat-12 person 3 --utility aurora --from 2026-01-01
    """
    try:
        number = Decimal(amount)
        if not number.is_finite() or number < 0:
            raise LookupError(f"{amount!r} is no number of persons or square metres")
        with administration(database_url, data) as connection:
            add_coefficient(
                connection,
                utility_of(connection, utility).id,
                service_point,
                per=per,
                valid_from=since.date(),
                amount=number,
                author=person_here(connection).name,
            )
    except (LookupError, InvalidOperation) as error:
        typer.echo(str(error) if isinstance(error, LookupError) else f"{amount!r} is no number", err=True)
        raise typer.Exit(1) from None
