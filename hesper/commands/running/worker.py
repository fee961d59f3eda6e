"""`hesper worker run`: the process that does what people asked for in the browser or over `/v1`."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer
from psycopg import Connection

from hesper.acceptance import accept, propose
from hesper.clock import process_clock
from hesper.commands.store_url import check_login
from hesper.stop import until_told
from ingest.tasks import TASKS, main
from store.postgres.roles import Role
from store.registry.extract import calendar
from store.registry.history import sign
from store.tasks import TaskKind, TaskRow
from telemetry.wire import to_milliseconds

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _group() -> None:
    """What people asked for in the browser or over /v1: drafts, replays, new meters."""


@app.command()
def run(
    database_url: Annotated[str, typer.Option(envvar="DATABASE_URL", help="The store.")],
) -> None:
    """Do what is asked for until told to stop. Any number of these may run."""
    stop = until_told()
    check_login(database_url, Role.ADMIN)
    main(database_url, stop, process_clock(), {**TASKS, TaskKind.ACCEPT: accept_meter})


def accept_meter(connection: Connection[Any], asked: TaskRow, now: datetime) -> Mapping[str, Any]:
    """Register an unknown meter as its telegrams show it, with all that waited of it."""
    entry = propose(
        connection,
        asked.utility,
        asked.subject["meter"],
        model=asked.subject.get("model"),
        site=asked.subject.get("site"),
    )
    sign(connection, asked.author, asked.reason)
    return asdict(accept(connection, calendar(connection, asked.utility), entry, to_milliseconds(now)))
