"""The steps after measurement: handed in, average, norm; and settling when a reading returns."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from metering.periods.calendar import names, period_of
from store.billing.hashes import verify
from store.billing.measured import utility
from store.billing.rule_sets import add_coefficient, add_rules
from store.postgres.database import connect
from store.registry.admission import add_register
from telemetry.micro import to_micro
from telemetry.quality import Quality
from telemetry.status import Status
from tests.support.town import UTILITY, Town

MADRID = ZoneInfo("Europe/Madrid")
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
FIRST = date(2025, 10, 1)
RULES = """
name = "test"
version = "1"
ladder = ["installation", "set_day", "reading", "interpolation", "handed_in", "average", "normative"]
[average]
months = 6
least = 2
at_most_periods = 3
[verification]
required = true
[[submission]]
from_day = 15
until_day = 25
[[norms]]
register = "8-0:1.0.0"
from = 2020-01-01
monthly = "4.5"
per = "person"
[sums]
tolerance = "2"
"""


@pytest.fixture
def town(database: str) -> Iterator[Town]:
    with connect(database) as connection:
        yield Town(connection)


def start(period: str) -> datetime:
    return period_of(period, MADRID).starts_at


def under(town: Town, rules: str = RULES, since: date = FIRST) -> None:
    known = utility(town.connection, UTILITY)
    name, version = (line.split('"')[1] for line in rules.strip().splitlines()[:2])
    add_rules(
        town.connection,
        known.id,
        valid_from=since,
        name=name,
        version=version,
        content=rules,
        author="anna",
    )
    town.connection.commit()


def daily(since: datetime, until: datetime, step: str, first: str = "100") -> dict[datetime, str]:
    """A reading a day, the last of them at `until`."""
    days = (until - since) // DAY
    return {until - n * DAY: str(Decimal(first) + (days - n) * Decimal(step)) for n in range(days + 1)}


def row_of(town: Town, period: str, point: str = "AAA-1") -> dict[str, Any]:
    row = town.connection.execute(
        """
        select to_jsonb(b) from billing_readings b join service_points p on p.id = b.service_point_id
        where b.period = %s and p.code = %s order by version desc limit 1
        """,
        (period, point),
    ).fetchone()
    town.connection.commit()
    assert row is not None
    return dict(row[0])


def silent_since_june(town: Town) -> None:
    """Three measured months, then nothing until the middle of November."""
    under(town)
    town.meter("AAA-1", daily(start("2026-03"), start("2026-06"), "0.1"))
    for period in names("2026-03", "2026-05"):
        town.close(period)


def test_silence_is_estimated_by_average_for_three_periods_then_by_norm_then_excepted(town: Town) -> None:
    silent_since_june(town)
    for period in names("2026-06", "2026-09"):
        town.close(period)
    assert [row_of(town, period)["end_method"] for period in names("2026-06", "2026-08")] == ["average"] * 3
    assert town.excepted("2026-09") == [("AAA-1", "no_reading_after")]
    evidence = town.connection.execute("select evidence from billing_exceptions").fetchone()
    assert evidence is not None
    assert evidence[0]["installations"][0]["end"]["passed_over"][-2:] == [
        "average: it stood in for 3 periods running already",
        "normative: no norm of 8-0:1.0.0 holds on 2026-09-01, or what it is per is not known of the point",
    ]
    known = utility(town.connection, UTILITY)
    two = {"per": "person", "valid_from": date(2026, 9, 1), "amount": Decimal(2), "author": "anna"}
    add_coefficient(town.connection, known.id, "AAA-1", **two)
    town.connection.commit()
    town.close("2026-09")
    normative = row_of(town, "2026-09")
    assert (normative["end_method"], normative["consumption"]) == ("normative", 9_000_000)
    assert normative["quality"] == Quality.ESTIMATED
    assert normative["evidence"]["rules"] == "test 1"
    june = row_of(town, "2026-06")
    assert june["consumption"] == 3_000_000
    assert june["evidence"]["installations"][0]["end"]["basis"]["periods"] == [
        "2026-03",
        "2026-04",
        "2026-05",
    ]


@pytest.mark.parametrize("read_again", ["130", "110.5"])  # more, and less, than was estimated
def test_returning_reading_settles_the_estimates_as_a_line_of_its_own(town: Town, read_again: str) -> None:
    silent_since_june(town)
    for period in names("2026-06", "2026-08"):
        town.close(period)
    last = row_of(town, "2026-05")["end_value"]
    town.read("AAA-1", {start("2026-10"): read_again})
    town.close("2026-09")
    settled = row_of(town, "2026-09")
    estimates = [row_of(town, period) for period in names("2026-06", "2026-08")]
    used = int(Decimal(read_again) * 1_000_000) - last
    assert settled["consumption"] >= 0
    assert sum(row["consumption"] for row in (*estimates, settled)) + settled["true_up"] == used
    assert settled["consumption"] + settled["true_up"] == settled["end_value"] - settled["start_value"]
    assert (settled["true_up"] > 0) is (read_again == "130")
    assert to_micro(settled["evidence"]["installations"][0]["settled"]["measured"]) == last
    assert settled["quality"] == Quality.MIXED
    assert [row["true_up"] for row in estimates] == [None] * 3
    checked = verify(town.connection, utility(town.connection, UTILITY).id, "2026-09")
    assert (checked.checked, checked.altered) == (1, ())


def test_period_after_a_settled_one_begins_at_its_end(town: Town) -> None:
    silent_since_june(town)
    town.close("2026-06")
    town.read("AAA-1", {start("2026-08") + n * DAY: str(120 + n) for n in range(40)})
    town.close("2026-07")
    town.close("2026-08")
    august = row_of(town, "2026-08")
    assert (august["consumption"], august["true_up"]) == (31_000_000, None)
    assert august["start_value"] == row_of(town, "2026-07")["end_value"]


def exchange(town: Town, old: str, new: str, at: datetime) -> None:
    """The new meter comes in the place of the old one, whose last value nobody wrote down."""
    town.connection.execute(
        """
        update installations set valid_to = %s where meter_id = (select id from meters where code = %s)
        """,
        (at, old),
    )
    town.connection.execute(
        """
        update installations set valid_from = %s, start_values = '{"8-0:1.0.0": 2000000}',
               service_point_id = (select id from service_points where code = %s)
        where meter_id = (select id from meters where code = %s)
        """,
        (at, old, new),
    )
    town.connection.commit()


def test_meter_that_was_silent_before_its_exchange_is_estimated_from_its_last_reading(town: Town) -> None:
    """Ten days measured, ten estimated, and ten of the new meter."""
    under(town)
    june, swap = start("2026-06"), start("2026-06") + 20 * DAY
    town.meter("AAA-1", daily(start("2026-03"), june + 10 * DAY, "0.1"))
    town.meter("BBB-2", daily(swap + HOUR, june + 40 * DAY + HOUR, "0.3", first="2"))
    exchange(town, "AAA-1", "BBB-2", swap)
    for period in names("2026-03", "2026-06"):
        town.close(period)
    billed = row_of(town, "2026-06")
    old, new = billed["evidence"]["installations"]
    assert (old["end"]["method"], old["consumption"]) == ("average", "2")
    assert old["end"]["basis"]["measured"]["value"] == old["end"]["readings"][0]["value"] == "110.1"
    assert (new["start"]["method"], new["start"]["value"], new["consumption"]) == ("installation", "2", "3")
    assert (billed["consumption"], billed["quality"], billed["true_up"]) == (5_000_000, Quality.MIXED, None)


def test_meter_that_falls_silent_after_its_exchange_is_estimated_and_settled(town: Town) -> None:
    under(town)
    swap = start("2026-06") + 20 * DAY
    town.meter("AAA-1", daily(start("2026-03"), swap, "0.1"))
    town.meter("BBB-2", {swap + HOUR: "2", start("2026-08"): "8"})
    exchange(town, "AAA-1", "BBB-2", swap)
    for period in names("2026-03", "2026-07"):
        town.close(period)
    june, july = row_of(town, "2026-06"), row_of(town, "2026-07")
    assert june["end_method"] == "average"
    assert june["consumption"] == 3_000_000  # twenty days measured, ten at the same pace
    assert june["consumption"] + july["consumption"] + july["true_up"] == 2_000_000 + 6_000_000


def test_expired_verification_sends_to_the_average_from_that_day(town: Town) -> None:
    under(town)
    town.meter("AAA-1", daily(start("2026-03"), start("2026-08"), "0.1"))
    town.connection.execute("update meters set verified_until = '2026-06-10'")
    for period in names("2026-03", "2026-06"):
        town.close(period)
    assert row_of(town, "2026-05")["end_method"] == "reading"
    june = row_of(town, "2026-06")
    assert june["end_method"] == "average"
    end = june["evidence"]["installations"][0]["end"]
    assert end["basis"]["from"] == "2026-06-10T22:00:00Z"
    assert end["passed_over"][0].startswith("verification: it ran out after 2026-06-10")
    assert june["consumption"] == 3_000_000  # the same each day, so measured or not


def test_expired_verification_without_an_average_is_an_exception_that_says_so(town: Town) -> None:
    under(town)
    town.meter("AAA-1", daily(start("2026-05"), start("2026-08"), "0.1"))
    town.connection.execute("update meters set verified_until = '2026-05-10'")
    town.close("2026-05")
    assert town.excepted("2026-05") == [("AAA-1", "verification_expired")]


def test_handed_in_reading_counts_in_its_window_and_not_after(town: Town) -> None:
    under(town)
    for meter, day in (("AAA-1", 20), ("BBB-2", 27)):
        town.meter(meter, daily(start("2026-05"), start("2026-06"), "0.1"))
        town.read(meter, {datetime(2026, 6, day, 9, tzinfo=UTC): "105.5"}, Status.MANUAL)
    town.close("2026-05")
    town.close("2026-06")
    row = row_of(town, "2026-06")
    assert (row["end_method"], row["quality"], row["consumption"]) == ("handed_in", Quality.VALID, 2_400_000)
    (late,) = town.excepted("2026-06")
    assert late[0] == "BBB-2"


def test_late_reading_counts_in_the_next_period_and_makes_up_for_the_estimate(town: Town) -> None:
    """The window is over on 25 June; nine cubic metres were used by the 28th, and three are estimated."""
    under(town)
    town.meter("AAA-1", daily(start("2026-02"), start("2026-06"), "0.1"))
    for period in names("2026-02", "2026-05"):
        town.close(period)
    last = row_of(town, "2026-05")["end_value"]
    town.read("AAA-1", {datetime(2026, 6, 28, 9, tzinfo=UTC): str(last / 1e6 + 9)}, Status.MANUAL)
    town.close("2026-06")
    town.close("2026-07")
    june, july = row_of(town, "2026-06"), row_of(town, "2026-07")
    assert (june["end_method"], july["end_method"]) == ("average", "handed_in")
    assert june["consumption"] == 3_000_000
    assert june["consumption"] + july["consumption"] + july["true_up"] == 9_000_000


def test_late_reading_is_of_no_use_where_the_register_was_read_since(town: Town) -> None:
    """It lies below what its period begins with: an estimate follows, not less than nothing."""
    under(town)
    town.meter("AAA-1", daily(start("2026-03"), start("2026-07"), "0.1"))
    town.read("AAA-1", {datetime(2026, 6, 28, 9, tzinfo=UTC): "99.75"}, Status.MANUAL)
    for period in names("2026-03", "2026-07"):
        town.close(period)
    assert row_of(town, "2026-06")["end_method"] == "reading"
    assert (row_of(town, "2026-07")["end_method"], row_of(town, "2026-07")["true_up"]) == ("average", None)


def test_handed_in_reading_comes_first_where_rules_rank_it_so(town: Town) -> None:
    ranked = RULES.replace(
        '"reading", "interpolation", "handed_in"', '"handed_in", "reading", "interpolation"'
    )
    under(town, ranked)
    town.meter("AAA-1", daily(start("2026-05"), start("2026-07"), "0.1"))
    town.read("AAA-1", {datetime(2026, 6, 20, 9, tzinfo=UTC): "105.05"}, Status.MANUAL)
    town.close("2026-06")
    row = row_of(town, "2026-06")
    assert (row["start_method"], row["end_method"], row["end_value"]) == ("reading", "handed_in", 105_050_000)


def test_rules_hold_from_their_day_and_leave_earlier_periods_as_they_were(town: Town) -> None:
    town.meter("AAA-1", daily(start("2026-03"), start("2026-06"), "0.1"))
    town.close("2026-03")
    under(town, since=date(2026, 4, 1))
    assert not town.close("2026-03").changed
    town.close("2026-04")
    assert "rules" not in row_of(town, "2026-03")["evidence"]
    assert row_of(town, "2026-04")["evidence"]["rules"] == "test 1"


@pytest.mark.parametrize(("night", "answer"), [("0.4", []), ("0.5", [("AAA-1", "tariff_sum")] * 3)])
def test_tariff_registers_are_held_against_their_total(
    town: Town, night: str, answer: list[tuple[str, str]]
) -> None:
    under(town)
    months = (start("2026-03"), start("2026-05"))
    meter = town.meter("AAA-1", daily(*months, "1"))
    row = town.connection.execute("select meter_id from registers where id = %s", (meter,)).fetchone()
    assert row is not None
    for tariff, step in ((1, "0.6"), (2, night)):
        name = f"8-0:1.0.{tariff}"
        town.registers["AAA-1"] = add_register(town.connection, row[0], name).register_id
        town.connection.execute("update registers set billed = true where obis = %s", (name,))
        town.read("AAA-1", daily(*months, step))
    town.close("2026-03")
    assert town.excepted("2026-03") == answer
    assert len(town.billed("2026-03")) == (0 if answer else 3)
