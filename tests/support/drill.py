"""Drills of backups: a town that lives in a database, and the proof that it is what it was."""

import re
from datetime import UTC, datetime, timedelta

from typer.testing import CliRunner

from hesper.cli import build
from metering.access import UserRole
from store.postgres.database import connect
from store.postgres.migrate import migrate
from tests.support.people import sit_down
from tests.support.town import Town

DAY = timedelta(days=1)
START = datetime(2025, 7, 31, 22, tzinfo=UTC)
ALL = "select * from readings order by register_id, measured_at"


def hesper(*arguments: str) -> tuple[int, str]:
    """(exit code, output) of the command."""
    result = CliRunner().invoke(build(list(arguments)), list(arguments))
    return result.exit_code, result.output


def live(url: str) -> list[tuple[object, ...]]:
    """A town that is read for two months and billed for one; its readings."""
    with connect(url) as connection:
        migrate(connection)
        town = Town(connection)
        town.meter("AAA-1", {START + n * DAY: str(100 + n) for n in range(62)})
        sit_down(connection, "anna", UserRole.BILLING, UserRole.APPROVER)
        connection.commit()
    assert hesper("close", "2025-08", "--database-url", url)[0] == 0
    return readings(url)


def readings(url: str) -> list[tuple[object, ...]]:
    """All readings of all utilities, in order."""
    with connect(url) as connection:
        return connection.execute(ALL).fetchall()


def proved(url: str) -> None:
    """What was billed and what was done are what they were when they were written."""
    code, said = hesper("close", "--verify", "2025-08", "--database-url", url)
    assert (code, said) == (0, "billing readings checked: 1, altered since they were issued: 0\n")
    code, said = hesper("audit", "verify", "--database-url", url)
    assert code == 0, said
    assert re.search(r"^town: [1-9]\d* rows hold", said, re.MULTILINE), said
