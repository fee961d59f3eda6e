"""`hesper submissions`: when a utility takes readings that people hand in, and what was handed in."""

from datetime import datetime
from typing import Annotated

import typer

from hesper.commands.delivery.shared import show_table
from hesper.commands.person import person_here
from hesper.commands.store_url import DatabaseUrl, DataFolder, administration
from hesper.commands.utility import the_utility
from metering.billing.canonical_hash import decimal, instant
from metering.billing.rule_set import RulesError, parse_rules
from metering.periods.submission_window import LateReading, SubmissionWindow
from metering.submissions.window_setting import with_window
from store.billing.rule_sets import add_rules, all_rules, rules_on
from store.postgres.errors import StoreError
from store.submissions.submissions import listing
from telemetry.obis import Medium

app = typer.Typer(no_args_is_help=True)

Utility = Annotated[str, typer.Option(help="Code of the utility.")]


class WindowError(StoreError):
    """Window that cannot be set."""


@app.command()
def window(
    medium: Annotated[str, typer.Argument(help="Such as cold-water, heat, electricity.")],
    opens: Annotated[int, typer.Argument(help="First day of the month; -7 is the seventh last.")],
    closes: Annotated[int, typer.Argument(help="Last day, of the next month if it comes before the first.")],
    *,
    utility: Utility,
    valid_from: Annotated[
        datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="In force from here on.")
    ],
    previous_month: Annotated[
        bool, typer.Option(help="It counts for the month before the one that it opens in.")
    ] = False,
    refuse_late: Annotated[
        bool, typer.Option(help="Outside nothing is taken; else what comes late counts with the next window.")
    ] = False,
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """Set the days of a month on which readings of a medium are taken, in a further version of the rule set.

        hesper submissions window electricity 15 25 --utility moscow --from 2026-01-01
        hesper submissions window heat -- -7 1 --utility kyiv --from 2026-01-01 --refuse-late

    It holds for the periods that begin on that day or later.

    Exit code: 0 when it is set, 1 when not.
    """
    names = {each.label.replace(" ", "-"): each for each in Medium}
    since = valid_from.date()
    with administration(database_url, data) as connection:
        if medium not in names:
            raise WindowError(f"there is no medium {medium}", advice=f"use one of: {', '.join(names)}")
        wanted = SubmissionWindow(
            opens,
            closes,
            media=(int(names[medium]),),
            counts_in=-1 if previous_month else 0,
            late=LateReading.REFUSE if refuse_late else LateReading.NEXT,
            since=since,
        )
        whose = the_utility(connection, utility).id
        row = rules_on(connection, whose, since)
        try:
            content = with_window(None if row is None else row.content, wanted)
        except RulesError as error:
            raise WindowError(str(error)) from None
        rules = parse_rules(content)
        add_rules(
            connection,
            whose,
            valid_from=since,
            name=rules.name,
            version=rules.version,
            content=content,
            author=person_here(connection).name,
        )
        later = [row for row in all_rules(connection, whose) if row.valid_from > since]
    typer.echo(f"{rules.label} holds for {utility} from {since}")
    for each in later:
        typer.echo(f"from {each.valid_from} on the windows are those of {each.name} {each.version}")


@app.command()
def windows(*, utility: Utility, database_url: DatabaseUrl = None, data: DataFolder = None) -> None:
    """List the windows of a utility's rule sets; a medium without one is taken at any time."""
    with administration(database_url, data) as connection:
        rows = all_rules(connection, the_utility(connection, utility).id)
    counted = {
        None: "the period that ends next",
        -1: "the month before",
        0: "its own month",
        1: "the next month",
    }
    show_table(
        ("medium", "from", "opens", "closes", "counts in", "outside", "rule set"),
        (
            (
                ", ".join(Medium(medium).label for medium in each.media) or "all",
                max(each.since, row.valid_from),
                each.from_day,
                each.until_day,
                counted[each.counts_in],
                "refused" if each.late is LateReading.REFUSE else "counts with the next",
                f"{row.name} {row.version}",
            )
            for row in rows
            for each in parse_rules(row.content).submission
        ),
    )


@app.command("list")
def list_(
    *,
    utility: Utility,
    limit: Annotated[int, typer.Option(min=1, help="How many, the latest first.")] = 50,
    database_url: DatabaseUrl = None,
    data: DataFolder = None,
) -> None:
    """List what was handed in, accepted or not, with who read it and what they were told."""
    with administration(database_url, data) as connection:
        rows = listing(connection, the_utility(connection, utility).id, limit)
    show_table(
        ("at", "service point", "value", "read at", "by", "verdict", "counts in", "photo"),
        (
            (
                instant(row.at),
                code,
                decimal(row.value),
                instant(row.read_at),
                f"{row.author} ({row.role})",
                row.verdict,
                row.counts_in,
                row.photo,
            )
            for code, row in rows
        ),
    )
