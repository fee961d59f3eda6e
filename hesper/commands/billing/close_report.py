"""What closes came to, for people and programs: the table, what to work off, states, hashes, common needs."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict

import typer
from psycopg import Connection
from rich.table import Table

from ingest.billing.close import CloseState, CloseSummary
from metering.billing.canonical_hash import IssuedContent, decimal, instant
from store.billing.close_list import CloseProgress, states
from store.billing.common_needs import common_needs
from store.billing.drafted import to_work_off
from store.billing.hashes import verify
from store.billing.measured import utility as utility_of

_PAGE = 100


def table(summaries: Sequence[CloseSummary]) -> Table:
    """The closes for people, one line each: how many billing readings and exceptions."""
    shown = Table(title=f"Close of {summaries[0].utility}" if summaries else "Nothing to close")
    shown.add_column("period")
    shown.add_column("state")
    for heading in ("run", "billed", "new", "corrected", "exceptions"):
        shown.add_column(heading, justify="right")
    for summary in summaries:
        counts = (summary.run, summary.billed, summary.new, summary.corrected, _excepted(summary))
        shown.add_row(summary.period, summary.state, *map(str, counts))
    if len(summaries) > 1:
        shown.add_section()
        billed, new, corrected = (
            sum(getattr(summary, name) for summary in summaries) for name in ("billed", "new", "corrected")
        )
        shown.add_row(
            "all", "", "", str(billed), str(new), str(corrected), str(sum(map(_excepted, summaries)))
        )
    return shown


def remarks(summaries: Sequence[CloseSummary]) -> list[str]:
    """What the table counts, in words, and what is to be done about single periods."""
    qualities = sum((Counter(summary.qualities) for summary in summaries), Counter[str]())
    exceptions = sum((Counter(summary.exceptions) for summary in summaries), Counter[str]())
    said = []
    if qualities:
        said.append(f"billed: {_counts(qualities)}")
    if exceptions:
        said.append(f"exceptions: {_counts(exceptions)}; the month's page says what to do about each")
    for summary in summaries:
        if summary.state is CloseState.DRAFTED:
            another = (
                f": {summary.corrected} of what was issued would change, so another person"
                if summary.corrected
                else ""
            )
            said.append(
                f"{summary.period}: nothing is issued yet{another}; "
                f"`hesper close {summary.period} --approve` issues it"
            )
        if summary.standing:
            said.append(f"{summary.period}: {summary.standing} issued before are now in doubt")
        if summary.following:
            said.append(
                f"{summary.period}: {summary.following} of the next period begin elsewhere: close that again"
            )
    return said


def _excepted(summary: CloseSummary) -> int:
    return sum(summary.exceptions.values())


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.most_common())


def show_common(store: Connection, code: str, periods: Sequence[str]) -> None:
    """A line for each house, register and period."""
    calendar = utility_of(store, code)
    for name in periods:
        starts_at = calendar.period(name).starts_at
        for row in common_needs(store, calendar.id, name, starts_at):
            share = "" if row.share is None else f", {float(row.share):.1%} of the house"
            said = [f"{row.estimated} of {row.points} points estimated"] if row.estimated else []
            said += [f"{row.missing} of {row.points} points not billed"] if row.missing else []
            said += ["NEGATIVE: compare the meters and when they were read"] if row.negative else []
            typer.echo(
                f"{name} {row.site} {row.obis}: house {decimal(row.house)}, points behind it "
                f"{decimal(row.flats)}, common needs {decimal(row.amount)} {row.unit}{share}"
                + "".join(f"; {text}" for text in said)
            )


def show_status(store: Connection, code: str, periods: Sequence[str], *, json_output: bool) -> None:
    """A line for each draft and close of these periods (none: of all), the latest first."""
    utility_id = utility_of(store, code).id
    rows: list[CloseProgress] = []
    before = None
    while page := states(store, utility_id, limit=_PAGE, before=before):
        rows += [row for row in page if not periods or row.period in periods]
        before = (page[-1].period, page[-1].run)
    if json_output:
        typer.echo(json.dumps([asdict(row) for row in rows], indent=2, default=instant))
        return
    for row in rows:
        typer.echo(f"{row.period} run {row.run}: {row.state}, {', '.join(_progress(row))}")


def _progress(row: CloseProgress) -> Iterator[str]:
    """How far it is, in words."""
    if row.summary is None:
        yield f"{row.blocks_done} of {row.blocks} blocks drafted by {row.drafted_by}"
        return
    yield f"drafted by {row.drafted_by}"
    if row.approved_by is not None and row.approved_at is not None:
        yield f"approved by {row.approved_by} on {instant(row.approved_at)}"
    yield f"{row.summary['billed']} billed"
    if row.summary["exceptions"]:
        yield f"{sum(row.summary['exceptions'].values())} exceptions"
    if row.messages:
        yield f"{row.messages_acknowledged} of {row.messages} messages acknowledged"
        if row.messages_dead:
            yield f"{row.messages_dead} given up"
    if row.delivered_at is not None:
        yield f"delivered on {instant(row.delivered_at)}"


def work_left(store: Connection, code: str, summaries: Sequence[CloseSummary]) -> list[str]:
    """A line for each exception of what is only drafted."""
    utility_id = utility_of(store, code).id
    return [
        f"{summary.period} {point} {obis} {reason}: {detail}"
        for summary in summaries
        if summary.state is CloseState.DRAFTED
        for point, obis, reason, detail in to_work_off(store, utility_id, summary.period)
    ]


def show_verified(store: Connection, code: str, periods: Sequence[str], *, json_output: bool) -> None:
    """Tell what was checked and what was altered; raises typer.Exit(1) where something was."""
    calendar = utility_of(store, code)
    checked, altered = 0, list[IssuedContent]()
    for name in periods:
        found = verify(store, calendar.id, name)
        checked += found.checked
        altered += found.altered
    told = [
        {
            "id": each.id,
            "period": each.period,
            "service_point": each.service_point,
            "obis": each.obis,
            "version": each.version,
        }
        for each in altered
    ]
    if json_output:
        typer.echo(json.dumps({"utility": code, "checked": checked, "altered": told}, indent=2))
    else:
        typer.echo(f"billing readings checked: {checked}, altered since they were issued: {len(altered)}")
        for row in told:
            typer.echo("  {period} {service_point} {obis} version {version} (id {id})".format(**row))
    if altered:
        raise typer.Exit(1)
