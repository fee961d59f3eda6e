"""What one statement drafts of ordinary cases is, to the last byte, what the ladder makes of them."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ingest.billing import draft as drafting
from ingest.billing.close import DraftScope, draft, withdraw
from store.postgres.database import connect
from store.validation.marks import AUTHOR
from telemetry.status import Status
from tests.support.town import NOW, UTILITY, Town

OCTOBER = datetime(2026, 9, 30, 22, tzinfo=UTC)  # local midnights in Madrid
NOVEMBER = datetime(2026, 10, 31, 23, tzinfo=UTC)
DAY = timedelta(days=1)
METERS = 30
ODD_CODES = ('flat "3"', "Квартира 4", "tab\there", "back\\slash", "/slash", "\x7f")


@pytest.fixture
def town(database: str) -> Iterator[Town]:
    with connect(database) as connection:
        yield Town(connection)


def fill(town: Town, chance: random.Random) -> None:
    """Meters read about daily around two months, some of them with whatever may happen to meters."""
    for number in range(METERS):
        code = f"AAA-{number}"
        away = timedelta(microseconds=chance.randint(-9_000_000_000, 9_000_000_000))
        step = chance.choice(["0", "1", "0.000001", "1.25"])
        first = chance.choice([0, 99_990, 5, 123_456]) if step == "1" else 7
        readings = {
            OCTOBER + (n - 35) * DAY + away: str(first + n * float(step))
            for n in range(70)
            if chance.random() < 0.97
        }
        town.meter(code, readings, digits=chance.choice([None, 5, 8]))
        if chance.random() < 0.3:
            town.read(code, {NOVEMBER: str(first + 66 * float(step))}, Status.HISTORICAL)
        if chance.random() < 0.2:
            at = NOVEMBER + timedelta(minutes=chance.randint(-90, 90))
            status = chance.choice([Status.IMPORTED | Status.POWER_LOW, Status.TAMPER, Status.MANUAL])
            town.read(code, {at: str(first + 66 * float(step))}, status)
    execute = town.connection.execute
    for number, code in enumerate(ODD_CODES):
        execute("update service_points set code = %s where code = %s", (code, f"AAA-{number}"))
    execute(
        "update installations set multiplier = (array[1, 40, 0.5, 1.0000, 1.333])[1 + id %% 5]::numeric", ()
    )
    execute("update registers set boundary_tolerance = interval '1 hour' where id %% 6 = 0", ())
    execute(
        "update installations set valid_to = %s where id %% 9 = 0",
        (chance.choice([NOVEMBER, OCTOBER + 9 * DAY]),),
    )
    town.judge()


def drafted(town: Town, period: str) -> dict[str, Any]:
    """A draft as text, and what it came to; nothing of it is left."""
    summary = draft([town.connection], UTILITY, period, "anna", NOW, scope=DraftScope.ALL, block_size=9)
    rows = town.connection.execute(
        """
        select to_jsonb(r) - 'draft_id' || jsonb_build_object('evidence', evidence::text) as row
        from draft_readings r order by service_point_id, obis
        """
    ).fetchall()
    exceptions = town.connection.execute(
        "select to_jsonb(e) - 'draft_id' from draft_exceptions e order by service_point_id, obis"
    ).fetchall()
    town.connection.commit()
    withdraw(town.connection, UTILITY, period, "anna")
    return {"summary": summary, "rows": rows, "exceptions": exceptions}


@pytest.mark.parametrize("seed", [1, 2])
def test_ordinary_cases_are_what_the_ladder_makes_of_them(
    town: Town, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    fill(town, chance)
    town.close("2026-09")
    town.close("2026-11")
    town.read("AAA-20", {OCTOBER + timedelta(minutes=1): "41.000001"})  # September's end has moved
    town.judge()
    for again in (False, True):  # as a first close, and as one that corrects
        one_statement = drafted(town, "2026-10")
        with monkeypatch.context() as patch:
            patch.setattr(drafting, "knows_ordinary", lambda _: False)
            ladder = drafted(town, "2026-10")
        assert one_statement["rows"] == ladder["rows"]
        assert one_statement["exceptions"] == ladder["exceptions"]
        assert one_statement["summary"].ordinary > METERS / 4
        assert ladder["summary"].ordinary == 0
        assert len(ladder["rows"]) > one_statement["summary"].ordinary or again
        assert one_statement["summary"].following == ladder["summary"].following
        assert one_statement["summary"].qualities == ladder["summary"].qualities
        town.close("2026-10")
        town.connection.execute(
            """
            insert into marks (register_id, measured_at, rule, quality, usable, evidence, author)
            select register_id, measured_at, 'glitch', 10, false, '{}', %s from readings
            where measured_at > %s and measured_at < %s and register_id %% 3 = 0
            on conflict do nothing
            """,
            (AUTHOR, NOVEMBER - 3 * DAY, NOVEMBER - timedelta(hours=1)),
        )
        town.connection.execute("update installations set multiplier = multiplier * 2 where id %% 4 = 1", ())
        town.connection.commit()
