"""What is met after registration: registers of known meters, and the meters of an import."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import psycopg
import pytest

from store.postgres.database import connect
from store.registry import add_register, admit_meters, lookup, meter_registers, register_import
from telemetry.meter_id import MeterIdError
from telemetry.obis import Medium, Obis, ObisError, RegisterKind
from telemetry.topics import TopicError

FIRST = datetime(2016, 3, 1, 7, tzinfo=UTC)


def a_meter(connection: psycopg.Connection, medium: Medium) -> int:
    """The id of a meter of that medium."""
    register_import(connection, "daiad", "import")
    code = f"DAI-{int(medium)}"
    admit_meters(connection, "daiad", [(code, medium, FIRST)])
    return lookup(connection).meters["daiad", code].meter_id


def test_an_import_brings_meters_points_and_open_installations(connection: psycopg.Connection) -> None:
    register_import(connection, "daiad", "import", name="DAIAD", time_zone="Europe/Madrid")
    assert admit_meters(connection, "daiad", [("DAI-2", 8, FIRST), ("DAI-1", 8, FIRST)]) == 2
    rows = connection.execute(
        """
        select p.code, m.code, p.medium, i.valid_from, i.valid_to
        from installations i join meters m on m.id = i.meter_id
        join service_points p on p.id = i.service_point_id order by 1
        """
    ).fetchall()
    assert rows == [("DAI-1", "DAI-1", 8, FIRST, None), ("DAI-2", "DAI-2", 8, FIRST, None)]


def test_admitting_again_only_lets_an_installation_begin_earlier(connection: psycopg.Connection) -> None:
    register_import(connection, "daiad", "import")
    earlier, later = datetime(2016, 2, 1, tzinfo=UTC), datetime(2017, 2, 1, tzinfo=UTC)
    admit_meters(connection, "daiad", [("DAI-1", 8, FIRST)])
    assert admit_meters(connection, "daiad", [("DAI-1", 8, later)]) == 0
    assert connection.execute("select valid_from from installations").fetchall() == [(FIRST,)]
    assert admit_meters(connection, "daiad", [("DAI-1", 8, FIRST), ("DAI-1", 8, earlier)]) == 0
    assert connection.execute("select valid_from from installations").fetchall() == [(earlier,)]


def test_a_meter_that_is_installed_somewhere_gets_no_second_point(connection: psycopg.Connection) -> None:
    a_meter(connection, Medium.HEAT)
    connection.execute("update service_points set code = 'flat-1'")
    admit_meters(connection, "daiad", [("DAI-6", 6, FIRST)])
    assert connection.execute("select code from service_points").fetchall() == [("flat-1",)]


def test_importers_at_once_admit_each_meter_once(database: str) -> None:
    with connect(database) as session:
        register_import(session, "daiad", "import")

    def run(reverse: bool) -> int:
        meters = [(f"DAI-{number}", 8, FIRST) for number in range(200)]
        with connect(database) as session:
            return admit_meters(session, "daiad", meters[::-1] if reverse else meters)

    with ThreadPoolExecutor(2) as executor:
        assert sum(executor.map(run, [False, True])) == 200
    with connect(database) as session:
        assert session.execute("select count(*) from installations").fetchone() == (200,)


def test_an_import_is_registered_once_and_keeps_its_utility(connection: psycopg.Connection) -> None:
    first = register_import(connection, "daiad", "import", time_zone="Europe/Madrid")
    assert register_import(connection, "daiad", "import", time_zone="Asia/Tokyo") == first
    assert connection.execute("select time_zone from utilities").fetchall() == [("Europe/Madrid",)]
    assert lookup(connection).gateways["daiad", "import"].kind == "import"


def test_what_cannot_be_admitted_is_refused(connection: psycopg.Connection) -> None:
    with pytest.raises(TopicError):
        register_import(connection, "a/b", "import")
    with pytest.raises(LookupError, match="no utility"):
        admit_meters(connection, "nobody", [("DAI-1", 8, FIRST)])
    register_import(connection, "daiad", "import")
    with pytest.raises(MeterIdError):
        admit_meters(connection, "daiad", [("no meter id", 8, FIRST)])
    connection.execute("update gateways set kind = 'field'")
    with pytest.raises(ValueError, match="field gateway"):
        register_import(connection, "daiad", "import")


@pytest.mark.parametrize(
    ("medium", "obis", "expected"),
    [
        (Medium.COLD_WATER, "8-0:1.0.0", ("m3", RegisterKind.COUNTER, True)),
        # a tariff is part of the total
        (Medium.COLD_WATER, "8-0:1.0.1", ("m3", RegisterKind.COUNTER, False)),
        # a pulse input: some other meter
        (Medium.COLD_WATER, "8-1:1.0.0", ("m3", RegisterKind.COUNTER, False)),
        (Medium.HEAT, "8-1:1.0.0", ("m3", RegisterKind.COUNTER, False)),
        (Medium.HEAT, "6-0:1.0.0", ("kW.h", RegisterKind.COUNTER, True)),
        (Medium.HEAT, "6-0:2.0.0", ("m3", RegisterKind.COUNTER, False)),
        (Medium.HEAT, "6-0:10.0.0", ("Cel", RegisterKind.GAUGE, False)),
        (Medium.ELECTRICITY, "1-1:1.8.0", ("kW.h", RegisterKind.COUNTER, True)),  # some meters' own channel
        (Medium.ELECTRICITY, "1-0:16.8.0", ("kW.h", RegisterKind.GAUGE, False)),
        # what is fed in is on no usual bill
        (Medium.ELECTRICITY, "1-0:2.8.0", ("kW.h", RegisterKind.COUNTER, False)),
    ],
)
def test_a_register_takes_what_follows_from_its_code(
    connection: psycopg.Connection, medium: Medium, obis: str, expected: tuple[str, RegisterKind, bool]
) -> None:
    register = add_register(connection, a_meter(connection, medium), obis)
    assert (register.unit, register.kind, register.billed) == expected


def test_of_two_channels_with_the_same_total_the_first_is_billed(connection: psycopg.Connection) -> None:
    meter = a_meter(connection, Medium.ELECTRICITY)
    assert add_register(connection, meter, "1-0:1.8.0").billed
    assert not add_register(connection, meter, "1-1:1.8.0").billed


def test_a_register_that_is_there_stays_as_it_is(connection: psycopg.Connection) -> None:
    meter = a_meter(connection, Medium.HEAT)
    first = add_register(connection, meter, "6-0:1.0.0", "GJ", digits=7)
    assert first.capacity == 10**13
    assert add_register(connection, meter, "6-0:1.0.0", "kW.h") == first
    assert meter_registers(connection, meter) == {"6-0:1.0.0": first}


def test_ingesters_that_meet_a_register_at_once_get_the_same_one(database: str) -> None:
    with connect(database) as session:
        meter = a_meter(session, Medium.COLD_WATER)

    def run(_: int) -> int:
        with connect(database) as session:
            return add_register(session, meter, "8-0:1.0.0").register_id

    with ThreadPoolExecutor(4) as executor:
        assert len(set(executor.map(run, range(4)))) == 1


def test_what_cannot_be_a_register_is_refused(connection: psycopg.Connection) -> None:
    meter = a_meter(connection, Medium.HEAT)
    with pytest.raises(ObisError):
        add_register(connection, meter, "heat")
    with pytest.raises(ValueError, match="no usual unit"):
        add_register(connection, meter, "6-0:200.0.0")
    assert add_register(connection, meter, "6-0:200.0.0", "m3").kind is RegisterKind.GAUGE
    with pytest.raises(LookupError):
        add_register(connection, meter + 1, str(Obis(6, 0, 1, 0, 0)))
