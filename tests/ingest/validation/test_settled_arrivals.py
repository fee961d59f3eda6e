"""Readings that come day by day, with some that come late, leave what a judgement of all of them leaves."""

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest

from ingest.validation import Validator
from store.postgres.database import connect
from store.validation.edits import Action, Edit, add
from store.validation.rule_parameters import set_parameter
from tests.support.judged import judged
from tests.support.town import Town

START = datetime(2026, 5, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAYS = 84
LITRES = (0, 0, 0, 0, 0, 3, 12, 14, 9, 5, 4, 4, 6, 5, 4, 4, 5, 8, 11, 12, 9, 7, 5, 3)


@pytest.fixture
def town(database: str) -> Iterator[Town]:
    with connect(database) as connection:
        yield Town(connection)


def household(chance: random.Random, leaking: range = range(0), reset_at: int | None = None) -> list[int]:
    """What a meter shows hour by hour, in litres."""
    shown, litres = [], 100_000
    for hour in range(DAYS * 24):
        litres = 0 if hour == reset_at else litres
        litres += round(LITRES[hour % 24] * chance.uniform(0.5, 1.5)) + 4 * (hour // 24 in leaking)
        shown.append(litres)
    return shown


def homes(chance: random.Random) -> dict[str, list[int]]:
    day = chance.randrange(45, 70)
    stuck = household(chance)
    stuck[day * 24 :] = [stuck[day * 24]] * len(stuck[day * 24 :])
    glitching = household(chance)
    for _ in range(6):
        glitching[chance.randrange(24, len(glitching))] = 0
    swapped = household(chance)
    swapped[day * 24 : (day + 9) * 24] = [each + 700_000 for each in swapped[day * 24 : (day + 9) * 24]]
    return {
        "AAA-1": household(chance, leaking=range(day, day + 12)),
        "AAA-2": household(chance, leaking=range(30, DAYS)),
        "AAA-3": household(chance, reset_at=day * 24 + 5),
        "AAA-4": glitching,
        "AAA-5": swapped,
        "AAA-6": stuck,
        "AAA-7": household(chance),
    }


def hours(shown: list[int], days: range) -> dict[datetime, str]:
    return {
        START + hour * HOUR: f"{shown[hour] / 1000:.3f}" for hour in range(days.start * 24, days.stop * 24)
    }


def people(town: Town, day: int) -> None:
    """What people decide on some days about days before: a parameter while leaks are going on, an edit."""
    if day == 55:
        set_parameter(
            town.connection,
            1,
            medium=8,
            obis=None,
            name="leak.alarm",
            value="3000",
            valid_from=date(2026, 6, 20),
            author="anna",
            reason="old pipes",
        )
    elif day == 60:
        wrong = START + 50 * 24 * HOUR
        add(town.connection, Edit(town.registers["AAA-4"], wrong, Action.EXCLUDE, "anna", "wrong meter"))
    town.connection.commit()


@pytest.mark.parametrize("seed", range(3))
def test_day_by_day_is_as_all_at_once(town: Town, database: str, seed: int) -> None:
    chance = random.Random(seed)
    shown = homes(chance)
    late = {(code, chance.randrange(36, DAYS - 6)): chance.randrange(1, 20) for code in shown}
    for code, values in shown.items():
        town.meter(code, hours(values, range(35)))
    town.connection.execute("update registers set expected_interval = '1 hour'")
    town.connection.execute("update meters set qmax = 2500000 where code > 'AAA-4'")
    town.connection.commit()
    with connect(database) as second:
        validators = [Validator(town.connection), Validator(second)]
        least = 10**9
        for day in range(35, DAYS):
            for code, values in shown.items():
                if (code, day) not in late:
                    town.read(code, hours(values, range(day, day + 1)))
                for (other, missed), delay in late.items():
                    if other == code and missed + delay == day:
                        town.read(code, hours(values, range(missed, missed + 1)))
            people(town, day)
            if chance.random() < 0.6:
                progress = validators[chance.random() < 0.1].step()
                assert progress is not None
                least = min(least, progress.readings)
        for (code, missed), delay in late.items():
            if missed + delay >= DAYS:
                town.read(code, hours(shown[code], range(missed, missed + 1)))
        while validators[0].step() is not None:
            pass
    bit_by_bit = judged(town)
    assert least < 20 * 24 * len(shown)  # most was settled at times
    with town.connection.transaction():
        for table in ("marks", "findings"):
            town.connection.execute(f"delete from {table} where evidence->>'edit' is null")
        town.connection.execute("insert into validation_queue (block, day) values (0, '2026-05-01')")
    town.judge()
    assert judged(town) == bit_by_bit
    assert {row[1] for row in bit_by_bit["findings"]} >= {"leak", "stuck", "negative_step.reset"}
