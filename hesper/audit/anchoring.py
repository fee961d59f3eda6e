"""Anchoring: what is done every hour so that the audit log has a witness outside of its database.

The rows since the last anchor are verified first; what is wrong is an error in the log, and the earlier
anchors go on to say so at each `hesper audit verify`. A hook, any program, gets the new line on its standard
input, to send it to another machine or to a time-stamping service. What it prints is kept beside the anchors.
"""

import shlex
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime, timedelta
from threading import Event
from typing import Any

import structlog
from psycopg import Connection

from hesper.audit.anchor import AnchorError, witnesses
from hesper.audit.anchor_file import AnchorFile
from ingest.worker import Outage, Turn, serve
from store import audit
from store.audit import Break
from store.postgres.database import connect
from store.postgres.roles import Role

EVERY = timedelta(hours=1)
_HOOK_SECONDS = 60.0

log = structlog.get_logger(__name__)


class HookError(RuntimeError):
    """A hook that did not take an anchor; the text says why."""


def anchor(connection: Connection[Any], file: AnchorFile, now: datetime, hook: str = "") -> list[Break]:
    """Keep an anchor; gives what is wrong since the one before. Raises AnchorError, HookError and OSError.

    Where the hook fails the anchor is kept all the same, and the next one that it takes covers it.
    """
    last = file.last()
    found = audit.verify(connection, witnesses([last] if last else []), after=True)
    line = file.append(now, audit.heads(connection))
    if hook:
        file.keep_receipt(line, _told(hook, line))
    return [one for one in found if isinstance(one, Break)]


def keep_anchored(
    database_url: str, file: AnchorFile, stop: Event, clock: Callable[[], datetime], hook: str = ""
) -> None:
    """Anchor at once and every hour, until `stop` is set."""
    due: datetime | None = None

    def turn() -> bool:
        nonlocal due
        now = clock()
        if due is not None and now < due:
            return False
        with connect(database_url, application="hesper audit", role=Role.ADMIN) as connection:
            try:
                for broken in anchor(connection, file, now, hook):
                    log.error(
                        "the audit log was tampered with; compare `hesper audit verify` with a backup",
                        utility=broken.utility,
                        row=broken.position,
                        reason=broken.reason,
                    )
            except (AnchorError, HookError, OSError) as error:
                log.error("the audit log is not anchored", folder=str(file.folder), reason=str(error))
        due = now + EVERY
        return False

    def begin(_sessions: ExitStack) -> Turn:
        return turn

    serve(begin, stop, Outage(log))


def _told(hook: str, line: bytes) -> bytes:
    try:
        done = subprocess.run(  # noqa: S603 - the operator's own program, from the environment
            shlex.split(hook), input=line, capture_output=True, timeout=_HOOK_SECONDS, check=False
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise HookError(f"HESPER_AUDIT_HOOK did not take the anchor: {error}") from error
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip()
        raise HookError(f"HESPER_AUDIT_HOOK ended with code {done.returncode}: {words}")
    return done.stdout
