"""An exchanged meter: two installations with both readings, done as one, or not at all."""

from datetime import UTC, datetime

import psycopg
import pytest

from metering.registry.checks import RegistryError
from metering.registry.entries import (
    InstallationEntry,
    MeterEntry,
    RegisterEntry,
    Registry,
    ServicePointEntry,
    UtilityEntry,
)
from store.registry import apply
from store.registry.exchange import Exchange, swap
from store.registry.extract import extract
from store.registry.history import history, sign
from telemetry.obis import Medium

ENERGY = "6-0:1.0.0"
INSTALLED = datetime(2026, 1, 1, tzinfo=UTC)
AT = datetime(2026, 10, 15, 9, 30)  # noqa: DTZ001 - local time of the utility, as people give it
EXCHANGE = Exchange("aurora", "flat", "KAM-2", AT, {ENERGY: "37319"}, {ENERGY: "1.5"})


@pytest.fixture
def measured(connection: psycopg.Connection) -> psycopg.Connection:
    """A flat with a heat meter that showed 37,000 kWh, and a second flat."""
    points = [
        ServicePointEntry(code, Medium.HEAT, installations=[InstallationEntry(meter, INSTALLED)])
        for code, meter in (("flat", "KAM-1"), ("other", "KAM-3"))
    ]
    meters = [MeterEntry(code, Medium.HEAT, registers=[RegisterEntry(ENERGY)]) for code in ("KAM-1", "KAM-3")]
    utility = UtilityEntry("aurora", "Aurora", "Europe/Vilnius", meters=meters, service_points=points)
    apply(connection, Registry([utility]))
    connection.execute(
        """
        insert into readings (register_id, measured_at, value)
        select r.id, '2026-10-01', 37000000000 from registers r join meters m on m.id = r.meter_id
        where m.code = 'KAM-1'
        """
    )
    return connection


def test_a_swap_ends_one_installation_and_begins_another(measured: psycopg.Connection) -> None:
    sign(measured, "anna", "broken display")
    assert swap(measured, EXCHANGE) == "KAM-1"
    flat = extract(measured, "aurora").service_points[0]
    at = datetime(2026, 10, 15, 6, 30, tzinfo=UTC)
    assert flat.installations == [
        InstallationEntry("KAM-1", INSTALLED, at, end_values={ENERGY: "37319"}),
        InstallationEntry("KAM-2", at, start_values={ENERGY: "1.5"}),
    ]
    *_, ended, begun = history(measured, "aurora", "flat")
    assert (ended.entry, ended.author, ended.reason) == ("flat KAM-1", "anna", "broken display")
    assert ended.before == {"valid_to": None, "end_values": {}}
    assert begun.entry == "flat KAM-2"


def test_other_transformers_are_another_installation_of_the_same_meter(measured: psycopg.Connection) -> None:
    swap(measured, _other(installed="KAM-1", multiplier="60"))
    first, second = extract(measured, "aurora").service_points[0].installations
    assert (first.multiplier, second.multiplier) == ("1", "60")
    assert first.end_values == second.start_values == {ENERGY: "37319"}


def _other(**fields: object) -> Exchange:
    """The exchange with other fields; of the same meter, whose start reading is its end reading."""
    given = {name: getattr(EXCHANGE, name) for name in Exchange.__dataclass_fields__}
    return Exchange(**{**given, "start_values": {}, **fields})


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"service_point": "attic"}, "is not registered"),
        ({"installed": "KAM-3", "start_values": {ENERGY: "0"}}, "KAM-3 is installed at other"),
        ({"installed": "kam 2", "start_values": {ENERGY: "0"}}, "not a meter id"),
        ({"removed": "KAM-9"}, "KAM-9 is not measuring there now"),
        ({"at": datetime(2025, 1, 1, tzinfo=UTC)}, "was installed only at 2026-01-01"),
        ({"end_values": {}}, "no end reading of 6-0:1.0.0 is given"),
        ({}, "no start reading of 6-0:1.0.0 is given"),
        ({"end_values": {ENERGY: "many"}, "start_values": {ENERGY: "0"}}, "flat"),
        ({"end_values": {ENERGY: "3731.9"}, "start_values": {ENERGY: "0"}}, "below what KAM-1 showed before"),
        ({"multiplier": "0", "start_values": {ENERGY: "0"}}, "multiplier is '0'"),
    ],
)
def test_a_swap_that_cannot_be_leaves_nothing(
    measured: psycopg.Connection, fields: dict[str, object], problem: str
) -> None:
    before = extract(measured, "aurora")
    with pytest.raises(RegistryError, match=problem) as caught:
        swap(measured, _other(**fields))
    assert caught.value.advice
    assert extract(measured, "aurora") == before


def test_where_several_meters_measure_one_is_named(measured: psycopg.Connection) -> None:
    measured.execute(
        """
        insert into installations (service_point_id, meter_id, valid_from)
        select p.id, m.id, '2026-02-01' from service_points p, meters m
        where p.code = 'flat' and m.code = 'KAM-3'
        """
    )
    with pytest.raises(RegistryError, match="is measured by KAM-1 and KAM-3"):
        swap(measured, EXCHANGE)
    assert swap(measured, _other(removed="KAM-1", start_values={ENERGY: "0"})) == "KAM-1"
