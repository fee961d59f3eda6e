"""Service points without a meter, or with one that never answered: each period has an answer."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from metering.billing.unmeasured import USUAL
from metering.registry.defaults import defaults
from store.postgres.database import connect
from store.registry.admission import admit_meters
from telemetry.obis import Medium
from tests.support.town import UTILITY, VOLUME, Town

OCTOBER = datetime(2026, 9, 30, 22, tzinfo=UTC)  # local midnights in Madrid
NOVEMBER = datetime(2026, 10, 31, 23, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def town(database: str) -> Iterator[Town]:
    with connect(database) as connection:
        yield Town(connection)


def metered(town: Town) -> None:
    """A meter that was there from 20 September to 20 November."""
    town.meter("AAA-1", {OCTOBER + n * DAY: str(100 + n) for n in range(-10, 52)})
    town.connection.execute("update installations set valid_to = %s", (OCTOBER + 50 * DAY,))
    town.connection.commit()


def point(town: Town, code: str, medium: int, *, ended_at: datetime | None = None) -> None:
    town.connection.execute(
        """
        insert into service_points (utility_id, code, medium, ended_at)
        select id, %s, %s, %s from utilities where code = %s
        """,
        (code, medium, ended_at, UTILITY),
    )
    town.connection.commit()


def exceptions(town: Town) -> list[tuple[str, str, str, str]]:
    rows = town.connection.execute(
        """
        select p.code, e.obis, e.reason, e.detail
        from billing_exceptions e join service_points p on p.id = e.service_point_id order by 1, 2
        """
    ).fetchall()
    town.connection.commit()
    return rows


def test_period_before_the_first_meter_asks_for_the_installation_of_that_time(town: Town) -> None:
    metered(town)
    assert town.close("2026-08").exceptions == {"no_meter": 1}
    ((_, obis, _, detail),) = exceptions(town)
    assert obis == VOLUME
    assert detail == (
        "the first meter was installed at 2026-09-20T22:00:00Z: "
        "if something was delivered before, record that installation with its start value"
    )


def test_period_after_the_last_meter_asks_for_the_next_or_for_the_end_of_the_point(town: Town) -> None:
    metered(town)
    assert town.close("2026-12").exceptions == {"no_meter": 1}
    ((_, _, _, detail),) = exceptions(town)
    assert detail.startswith("the last meter was removed at 2026-11-19T22:00:00Z: record the installation")
    assert "end the service point" in detail


def test_period_between_two_meters_names_both_ends_of_the_gap(town: Town) -> None:
    metered(town)
    town.meter("BBB-2", {OCTOBER + n * DAY: str(n) for n in range(100, 200)})
    town.connection.execute(
        "update installations set service_point_id = (select id from service_points where code = 'AAA-1')"
    )
    town.connection.execute("delete from service_points where code = 'BBB-2'")
    town.connection.commit()
    assert town.close("2026-12").exceptions == {"no_meter": 1}
    ((code, _, _, detail),) = exceptions(town)
    assert code == "AAA-1"
    assert "removed at 2026-11-19T22:00:00Z and the next installed at 2027-01-08T22:00:00Z" in detail


def test_ended_service_point_misses_no_meter(town: Town) -> None:
    metered(town)
    town.connection.execute("update service_points set ended_at = %s", (OCTOBER + 50 * DAY,))
    town.connection.commit()
    assert town.close("2026-10").registers == 1
    assert town.close("2026-12").registers == 0


def test_each_billed_register_of_the_nearest_meter_is_missed(town: Town) -> None:
    metered(town)
    town.connection.execute(
        """
        insert into registers (utility_id, meter_id, obis, unit, kind, billed)
        select utility_id, id, obis, 'm3', 'counter', billed
        from meters, (values ('8-0:1.0.1', true), ('8-0:1.0.2', false)) more (obis, billed)
        """
    )
    town.connection.commit()
    town.close("2026-12")
    assert [row[1] for row in exceptions(town)] == [VOLUME, "8-0:1.0.1"]


def test_point_whose_meter_is_not_billed_is_not_missed(town: Town) -> None:
    metered(town)
    town.connection.execute("update registers set billed = false")
    town.connection.commit()
    assert town.close("2026-10").registers == 0
    assert town.close("2026-12").registers == 0


def test_point_that_never_had_a_meter_misses_the_usual_register_of_its_medium(town: Town) -> None:
    point(town, "flat-1-heat", Medium.HEAT)
    point(town, "attic", Medium.ABSTRACT)
    point(town, "cellar-heat", Medium.HEAT, ended_at=OCTOBER)
    assert town.close("2026-10").exceptions == {"no_meter": 1}
    ((code, obis, _, detail),) = exceptions(town)
    assert (code, obis) == ("flat-1-heat", "6-0:1.0.0")
    assert detail.startswith("no meter was ever installed here: record the installation with its start value")


def test_meter_of_which_nothing_ever_came_is_an_exception(town: Town) -> None:
    admit_meters(town.connection, UTILITY, [("ZRI-1", Medium.HEAT, OCTOBER)])
    assert town.close("2026-10").exceptions == {"never_read": 1}
    ((code, obis, _, detail),) = exceptions(town)
    assert (code, obis) == ("ZRI-1", "6-0:1.0.0")
    assert "look why it does not answer" in detail


def test_swap_to_a_meter_of_which_nothing_ever_came_is_not_billed_in_part(town: Town) -> None:
    town.meter("AAA-1", {OCTOBER + n * DAY: str(100 + n) for n in range(-10, 12)})
    admit_meters(town.connection, UTILITY, [("BBB-2", Medium.COLD_WATER, OCTOBER + 12 * DAY)])
    town.connection.execute("update installations set valid_to = %s where id = 1", (OCTOBER + 12 * DAY,))
    town.connection.execute("update installations set service_point_id = 1")
    town.connection.execute("delete from service_points where id <> 1")
    town.connection.commit()
    summary = town.close("2026-10")
    assert (summary.billed, summary.exceptions) == (0, {"never_read": 1})


def test_closing_again_keeps_the_exceptions_as_they_are(town: Town) -> None:
    metered(town)
    point(town, "flat-1-heat", Medium.HEAT)
    assert town.close("2026-12").run == 1
    assert town.close("2026-12").run == 1


@pytest.mark.parametrize("medium", USUAL)
def test_usual_registers_are_those_that_are_billed_of_themselves(medium: int) -> None:
    assert defaults(USUAL[medium], medium).billed
