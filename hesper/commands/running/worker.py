"""`hesper worker run`: the process that does what people asked for in the browser or over `/v1`."""

import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer
from psycopg import Connection

from hesper.acceptance import accept, propose
from hesper.audit.anchor_file import AnchorFile
from hesper.audit.anchoring import keep_anchored
from hesper.clock import process_clock
from hesper.commands.store_url import check_login, refusals_told
from hesper.secret_keys import SecretKeys, sealing_keyring
from hesper.settings import Settings
from hesper.stop import until_told
from ingest.tasks import TASKS, main
from store.postgres.database import UnreachableError, connect
from store.postgres.roles import Role
from store.registry.extract import calendar
from store.registry.history import sign
from store.tasks import TaskKind, TaskRow
from store.validation.alarms import reseal
from telemetry.wire import to_milliseconds

_PARTING_SECONDS = 5.0  # for an anchor that is just being kept; whoever ends us waits for ten

app = typer.Typer(no_args_is_help=True)


@app.command()
def run(database_url: Annotated[str, typer.Option(envvar="DATABASE_URL", help="The store.")]) -> None:
    """Do what is asked for until told to stop, and anchor the audit log each hour. Any number may run."""
    stop, clock, settings = until_told(), process_clock(), Settings()
    check_login(database_url, Role.ADMIN)
    with suppress(UnreachableError), connect(database_url, role=Role.ADMIN) as connection, refusals_told(1):
        reseal(connection, sealing_keyring(connection, SecretKeys.of(settings.data)))
    anchors = AnchorFile(settings.audit_folder(None))
    anchoring = threading.Thread(
        target=keep_anchored,
        args=(database_url, anchors, stop, clock, settings.audit_hook),
        name="anchoring",
        daemon=True,
    )
    anchoring.start()
    main(database_url, stop, clock, {**TASKS, TaskKind.ACCEPT: accept_meter})
    anchoring.join(_PARTING_SECONDS)


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
