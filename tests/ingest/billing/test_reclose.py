"""Closing again looks at what something happened to since the last close, as if it looked at all."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from ingest.billing.close import DraftScope, draft, withdraw
from store.billing.rule_sets import add_rules
from store.postgres.database import connect
from store.validation.edits import Action, Edit, add
from telemetry.status import Status
from tests.support.town import NOW, UTILITY, Town

SEPTEMBER = datetime(2026, 8, 31, 22, tzinfo=UTC)  # local midnights in Madrid
OCTOBER = datetime(2026, 9, 30, 22, tzinfo=UTC)
NOVEMBER = datetime(2026, 10, 31, 23, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
METERS = 90  # registers of three blocks of validation
BEFORE = SEPTEMBER - 5 * DAY


@pytest.fixture
def town(database: str) -> Iterator[Town]:
    with connect(database) as connection:
        town = Town(connection)
        for number in range(METERS):
            days = 40 if number % 30 == 7 else 100
            town.meter(f"AAA-{number}", {BEFORE + n * DAY: str(100 + n) for n in range(days)})
        town.judge()
        yield town


def drafted(town: Town, scope: DraftScope) -> tuple[dict[str, Any], int]:
    """A draft as text, and how many points it was about; nothing of it is left."""
    summary = draft([town.connection], UTILITY, "2026-10", "anna", NOW, scope=scope, block_size=40)
    execute = town.connection.execute
    found = {
        name: execute(
            f"select to_jsonb(x) - 'draft_id' from {name} x order by service_point_id, obis".encode()
        ).fetchall()
        for name in ("draft_readings", "draft_exceptions")
    }
    points = execute("select count(*) from draft_points").fetchone()
    changed = execute("select from close_drafts").rowcount
    town.connection.commit()
    if changed:
        withdraw(town.connection, UTILITY, "2026-10", "anna")
    assert points is not None
    return found | {"summary": replace(summary, ordinary=0)}, points[0]


def moment(chance: random.Random) -> datetime:
    """Near a boundary of October, or within it."""
    return chance.choice([OCTOBER, NOVEMBER, OCTOBER + 9 * DAY]) + timedelta(minutes=chance.randint(-50, 50))


def late_reading(town: Town, code: str, chance: random.Random) -> None:
    at = chance.choice([OCTOBER, NOVEMBER, OCTOBER + 9 * DAY]) + chance.randint(-50, 50) * timedelta(
        minutes=1
    )
    days = (at - BEFORE) // DAY
    status = chance.choice([Status(0), Status.HISTORICAL, Status.TAMPER])
    town.read(code, {at: str(100 + days + Decimal("0.5"))}, status)


def wrong_reading(town: Town, code: str, chance: random.Random) -> None:
    at = chance.choice([OCTOBER, NOVEMBER, OCTOBER + 9 * DAY]) + chance.randint(-50, 50) * timedelta(
        minutes=1
    )
    town.read(code, {at: chance.choice(["0", "9000"])})


def edit(town: Town, code: str, chance: random.Random) -> None:
    at = chance.choice([OCTOBER, NOVEMBER - HOUR])
    add(town.connection, Edit(town.registers[code], at, Action.EXCLUDE, "erik", "misread"))
    town.connection.execute(
        "insert into edit_approvals (edit_id, utility_id, author) select id, utility_id, 'boris' from edits "
        "where id not in (select edit_id from edit_approvals)"
    )
    town.connection.execute(
        """
        insert into marks (register_id, measured_at, rule, quality, usable, evidence, author)
        select register_id, measured_at, 'edit', 10, false, '{}', author from edits on conflict do nothing
        """
    )


def swap(town: Town, code: str, chance: random.Random) -> None:
    """The meter is moved to another point."""
    town.connection.execute(
        """
        update installations set service_point_id = (select id from service_points where code = %s)
        where meter_id = (select id from meters where code = %s)
        """,
        (f"AAA-{chance.randrange(METERS)}", code),
    )


def finding(town: Town, code: str, _: random.Random) -> None:
    town.connection.execute(
        """
        insert into findings (utility_id, register_id, kind, severity, started_at, evidence)
        select utility_id, id, 'stuck', 'warning', %s, '{}' from registers where id = %s
        on conflict (register_id, kind, started_at) do update set state = 'false alarm'
        """,
        (OCTOBER + 3 * DAY, town.registers[code]),
    )


def statement(text: str) -> Callable[[Town, str, random.Random], None]:
    def happen(town: Town, code: str, _: random.Random) -> None:
        town.connection.execute(text.encode(), {"code": code})

    return happen


HAPPENINGS: tuple[Callable[[Town, str, random.Random], None], ...] = (
    late_reading,
    wrong_reading,
    edit,
    swap,
    finding,
    statement("update service_points set code = code || '''' where code = %(code)s"),
    statement("update service_points set ended_at = '2026-10-10' where code = %(code)s"),
    statement(
        "update installations set multiplier = multiplier * 2 "
        "where meter_id = (select id from meters where code = %(code)s)"
    ),
    statement(
        "update installations set valid_to = '2026-10-10' where valid_to is null "
        "and meter_id = (select id from meters where code = %(code)s)"
    ),
    statement(
        "update registers set boundary_tolerance = '1 minute' "
        "where meter_id = (select id from meters where code = %(code)s)"
    ),
    statement(
        "update registers set capacity = 1e9 where meter_id = (select id from meters where code = %(code)s)"
    ),
    statement(
        "insert into verifications (utility_id, meter_id, verified_on, valid_until) "
        "select utility_id, id, '2020-01-01', '2026-10-09' from meters where code = %(code)s "
        "on conflict do nothing"
    ),
    statement(
        "insert into service_points (utility_id, code, medium) "
        "select utility_id, code || ' new', 8 from meters where code = %(code)s on conflict do nothing"
    ),
)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_look_at_what_changed_comes_to_what_a_look_at_all_does(town: Town, seed: int) -> None:
    chance = random.Random(seed)
    town.close("2026-09")
    if seed == 2:
        add_rules(
            town.connection,
            1,
            valid_from=date(2026, 1, 1),
            name="test",
            version="1",
            content='name = "test"\nversion = "1"\nverification.required = true',
            author="anna",
        )
    town.close("2026-10")
    town.close("2026-11")
    narrow: list[bool] = []
    for _ in range(5):
        for happening in chance.sample(HAPPENINGS, 3):
            happening(town, f"AAA-{chance.randrange(METERS)}", chance)
        town.connection.commit()
        town.judge()
        if chance.random() < 0.4:
            town.close(chance.choice(["2026-09", "2026-11"]))
        every, none = drafted(town, DraftScope.ALL)
        changed, points = drafted(town, DraftScope.CHANGED)
        assert none == 0
        assert changed == every
        narrow.append(0 < points < METERS)
        if chance.random() < 0.5:
            town.close("2026-10")
    assert any(narrow)


def test_only_what_something_happened_to_is_drafted_again(town: Town) -> None:
    town.close("2026-10")
    town.read("AAA-40", {NOVEMBER + timedelta(minutes=1): "166.5"})
    town.read("AAA-80", {OCTOBER + 50 * DAY + HOUR: "185.5"})  # no boundary of this period is near
    town.judge()
    changed, points = drafted(town, DraftScope.CHANGED)
    assert 3 < points <= 3 + 32  # the exceptions, and the block of validation in which the reading came
    assert changed["summary"].corrected == 1


def test_other_rules_and_limits_have_all_drafted(town: Town) -> None:
    town.close("2026-10")
    town.connection.execute("update utilities set boundary_tolerance = '3 hours'")
    town.connection.commit()
    draft([town.connection], UTILITY, "2026-10", "anna", NOW)
    assert town.connection.execute("select from draft_points").rowcount == 0
    town.connection.commit()


def test_copy_in_another_cluster_is_drafted_whole(town: Town) -> None:
    """Numbers of transactions mean nothing there."""
    town.close("2026-10")
    town.connection.execute("update closes set cluster = cluster + 1")
    town.read("AAA-40", {NOVEMBER + timedelta(minutes=1): "166.5"})
    town.judge()
    changed, points = drafted(town, DraftScope.CHANGED)
    assert (points, changed["summary"].corrected) == (0, 1)
