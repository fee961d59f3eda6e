"""Common building needs: house less flats, with what is missing, estimated or negative said."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import psycopg
import pytest

from metering.billing.common_needs import CommonNeeds
from store.billing.common_needs import common_needs
from store.billing.measured import utility
from store.postgres.database import connect
from tests.support.town import UTILITY, Town

OCTOBER = datetime(2026, 9, 30, 22, tzinfo=UTC)  # local midnights in Madrid
DAY = timedelta(days=1)
STEPS = {"AAA-0": 10, "AAA-1": 3, "AAA-2": 4, "AAA-3": 2}  # a house, two flats, and a flat in another house


@pytest.fixture
def town(database: str) -> Iterator[Town]:
    with connect(database) as connection:
        town = Town(connection)
        for code, step in STEPS.items():
            town.meter(
                code, {OCTOBER + (n - 10) * DAY - timedelta(hours=1): str(step * n) for n in range(60)}
            )
        connection.execute(
            """
            insert into sites (utility_id, code, name) select id, 'house', '' from utilities;
            insert into sites (utility_id, code, name, parent_id)
            select utility_id, 'stairs', '', id from sites where code = 'house';
            insert into sites (utility_id, code, name, parent_id)
            select utility_id, 'flat', '', id from sites where code = 'stairs';
            insert into sites (utility_id, code, name) select id, 'elsewhere', '' from utilities
            """
        )
        for point, site in zip(STEPS, ("house", "flat", "stairs", "elsewhere"), strict=True):
            connection.execute(
                "update service_points set site_id = (select id from sites where code = %s) where code = %s",
                (site, point),
            )
        connection.commit()
        yield town


def needs(connection: psycopg.Connection) -> list[CommonNeeds]:
    found = common_needs(connection, utility(connection, UTILITY).id, "2026-10", OCTOBER)
    connection.commit()
    return found


def test_staircase_that_measures_a_flat_is_not_counted_beside_it(town: Town) -> None:
    town.close("2026-10")
    house, stairs = sorted(needs(town.connection), key=lambda each: each.site)
    assert (house.site, stairs.site) == ("house", "stairs")
    assert (house.amount, house.points) == ((10 - 3) * 31_000_000, 1)
    assert (stairs.amount, stairs.share) == (31_000_000, Fraction(1, 4))


def test_negative_rest_and_points_without_a_bill_are_said(town: Town) -> None:
    town.connection.execute(
        "update service_points set site_id = (select id from sites where code = 'flat') where code <> 'AAA-0'"
    )
    town.connection.execute("update installations set multiplier = 4 where id = 2")
    town.connection.execute(
        "delete from readings where register_id = %s and measured_at > %s",
        (town.registers["AAA-3"], OCTOBER + 20 * DAY),
    )
    town.close("2026-10")
    (house,) = needs(town.connection)
    assert (house.points, house.missing) == (3, 1)
    assert (house.amount, house.negative) == ((10 - 12 - 4) * 31_000_000, True)


def test_what_was_not_issued_has_no_common_needs(town: Town) -> None:
    assert needs(town.connection) == []
