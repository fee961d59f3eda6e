"""`hesper close`: the month close of a utility."""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from psycopg import Connection
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from hesper.central import BusyError, Central, CentralProcess, running
from hesper.commands.billing.close_report import (
    remarks,
    show_common,
    show_status,
    show_verified,
    table,
    work_left,
)
from hesper.commands.person import sign_here
from hesper.commands.store_url import DatabaseUrl, DataFolder
from hesper.commands.utility import utility_code
from hesper.settings import Settings
from hesper.supervise import StartError
from ingest.billing import close as month
from ingest.billing.close import CloseState, CloseSummary
from ingest.validation import Progress as Judged
from ingest.validation import drain
from metering.access import Scope
from metering.billing.rule_set import RulesError
from metering.periods.calendar import PeriodError, names
from store.billing.approval import ApprovalError
from store.billing.measured import utility as load_utility
from store.postgres.database import StoreError, connect
from store.postgres.roles import Role


class Step(StrEnum):
    """What one call of the command does."""

    CLOSE = "close"
    DRAFT = "draft"
    APPROVE = "approve"
    WITHDRAW = "withdraw"


def close(
    period: Annotated[
        str | None, typer.Argument(metavar="[YYYY-MM]", help="The period, or give --from and --to.")
    ] = None,
    *,
    first: Annotated[str | None, typer.Option("--from", help="First of several periods, YYYY-MM.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last of several periods, YYYY-MM.")] = None,
    utility: Annotated[
        str | None, typer.Option(help="Whose period; needed only where there are several utilities.")
    ] = None,
    data: DataFolder = None,
    database_url: DatabaseUrl = None,
    verify: Annotated[
        bool, typer.Option(help="Close nothing; check that what was issued is still what it was.")
    ] = False,
    draft: Annotated[bool, typer.Option(help="Issue nothing yet; show what there is to work off.")] = False,
    approve: Annotated[bool, typer.Option(help="Issue what was drafted.")] = False,
    withdraw: Annotated[bool, typer.Option(help="Put the draft away.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Look at every service point, also where nothing happened since.")
    ] = False,
    sessions: Annotated[int, typer.Option(min=1, max=64, help="Draft in so many sessions side by side.")] = 2,
    common: Annotated[
        bool, typer.Option(help="Close nothing; show house meters less the meters behind them.")
    ] = False,
    status: Annotated[
        bool, typer.Option(help="Close nothing; show how far closes are: drafted, approved, delivered.")
    ] = False,
    json_output: Annotated[bool, typer.Option("--json", help="The summaries as JSON on stdout.")] = False,
) -> None:
    """Close a month: a billing reading for every billed register, or an exception that says what to do.

    What waits for validation is validated first. Closing again adds only what has changed, as a new version;
    what was issued is never altered. It looks where something happened since the last close; `--all` looks
    everywhere, as after an upgrade, and comes to the same. Where something changes that was issued before,
    the draft waits until another person approves it, each with an account (`hesper login`). A close that was
    interrupted goes on where it stopped.

        hesper close 2026-10
        hesper close 2026-10 --draft
        hesper close 2026-10 --all
        hesper close 2026-10 --approve
        hesper close --from 2016-03 --to 2017-02 --utility daiad
        hesper close --verify 2026-10
        hesper close --common 2026-10
        hesper close --status

    Exit code: 0 when the periods are closed or drafted, exceptions or not, and 2 when they could not be;
    with --verify 0 when every billing reading has the hash that it was issued with, and 1 when one was
    altered.
    """
    console = Console(stderr=True)
    try:
        periods = [] if status and (period, first, last) == (None,) * 3 else _periods(period, first, last)
        with (
            _store(data, database_url) as url,
            connect(url, application="hesper close", role=Role.ADMIN) as store,
        ):
            code = utility_code(store, utility)
            store.commit()
            if verify:
                show_verified(store, code, periods, json_output=json_output)
                return
            if status:
                show_status(store, code, periods, json_output=json_output)
                return
            if common:
                show_common(store, code, periods)
                return
            step = _step(draft=draft, approve=approve, withdraw=withdraw)
            person = sign_here(store)
            who = person.name
            if step is Step.WITHDRAW:
                for name in periods:
                    month.withdraw(store, code, name, who)
                return
            if step is Step.APPROVE:
                if person.account is not None:  # without one it issues nothing but news
                    person.allowed(store, load_utility(store, code).id, Scope.BILLING_APPROVE)
                summaries = [month.approve(store, code, name, who) for name in periods]
            else:
                summaries = _close(
                    url,
                    store,
                    code,
                    periods,
                    author=who,
                    console=console,
                    step=step,
                    scope=month.DraftScope.ALL if everything else month.DraftScope.CHANGED,
                    sessions=sessions,
                )
            waiting = [] if json_output else work_left(store, code, summaries)
    except (StoreError, PeriodError, LookupError, BusyError, StartError, ApprovalError, RulesError) as error:
        _fail(console, f"{error}\n{getattr(error, 'advice', '')}".rstrip())
    if json_output:
        typer.echo(json.dumps([asdict(summary) for summary in summaries], indent=2))
    else:
        screen = Console()
        screen.print(table(summaries))
        for remark in [*remarks(summaries), *waiting]:
            screen.print(remark, markup=False, highlight=False, soft_wrap=True)


def _close(
    url: str,
    store: Connection,
    code: str,
    periods: Sequence[str],
    *,
    author: str,
    console: Console,
    step: Step,
    scope: month.DraftScope,
    sessions: int,
) -> list[CloseSummary]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with ExitStack() as open_sessions, Progress(*columns, console=console, transient=True) as progress:
        others = [
            open_sessions.enter_context(connect(url, application="hesper close", role=Role.ADMIN))
            for _ in range(sessions - 1)
        ]
        validating = progress.add_task("validating", total=None)

        def judged(done: Judged) -> None:
            completed = progress.tasks[validating].completed + len(done.blocks)
            progress.update(validating, completed=completed, total=completed + done.waiting)

        drain(store, judged)
        store.commit()  # or each block would be part of a transaction that only ends with the last
        summaries = []
        for name in periods:
            drafting = progress.add_task(f"drafting {name}", total=None)

            def told(done: int, blocks: int, task: TaskID = drafting) -> None:
                progress.update(task, completed=done, total=blocks)

            now = datetime.now(UTC)
            summary = month.draft([store, *others], code, name, author, now, scope=scope, told=told)
            if summary.state is CloseState.DRAFTED and step is Step.CLOSE and not summary.corrected:
                progress.update(drafting, description=f"issuing {name}")
                summary = month.approve(store, code, name, author)
            summaries.append(summary)
    return summaries


def _step(*, draft: bool, approve: bool, withdraw: bool) -> Step:
    wanted = [
        step
        for step, is_wanted in ((Step.DRAFT, draft), (Step.APPROVE, approve), (Step.WITHDRAW, withdraw))
        if is_wanted
    ]
    if len(wanted) > 1:
        raise PeriodError("do one thing at a time: --draft, --approve or --withdraw")
    return wanted[0] if wanted else Step.CLOSE


def _periods(period: str | None, first: str | None, last: str | None) -> list[str]:
    if period is not None and first is None and last is None:
        return list(names(period, period))
    if period is None and first is not None and last is not None:
        return list(names(first, last))
    raise PeriodError("name one period, such as 2026-10, or several with --from 2026-01 --to 2026-10")


@contextmanager
def _store(data: Path | None, database_url: str | None) -> Iterator[str]:
    """The URL of what is named or runs already, else of an embedded database that runs meanwhile."""
    settings = Settings()
    folder = data or settings.data
    url = database_url or settings.database_url
    if url:
        yield url
        return
    found = running(folder)
    if found is not None:
        yield found.database_url
        return
    with Central(folder, roles=(CentralProcess.DATABASE,)) as central:
        yield central.database_url


def _fail(console: Console, text: str) -> NoReturn:
    console.print(text, style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(2)
