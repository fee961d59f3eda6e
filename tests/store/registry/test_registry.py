"""The registry: one document, applied as often as one likes, refused with the entry's name."""

from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent

import msgspec
import psycopg
import pytest

from metering.registry import document as documents
from metering.registry.checks import RegistryError
from metering.registry.document import load, parse
from metering.registry.entries import (
    InstallationEntry,
    MeterEntry,
    RegisterEntry,
    Registry,
    ServicePointEntry,
    UtilityEntry,
)
from store.registry import RegistrySummary, apply, lookup
from telemetry.obis import Medium, RegisterKind

DOCUMENT = dedent(
    """
    [[utilities]]
    code = "aurora"
    name = "Aurora Heat and Water"
    time_zone = "Europe/Vilnius"
    boundary_tolerance = "PT3H"

    [[utilities.sites]]
    code = "lake-street"
    [[utilities.sites]]
    code = "lake-street-5"
    parent = "lake-street"

    [[utilities.gateways]]
    code = "pi-5"
    site = "lake-street-5"

    [[utilities.meters]]
    code = "KAM-06855817"
    medium = "heat"
    gateway = "pi-5"
    verified_until = 2028-05-01
    registers = [
        { obis = "6-0:1.0.0", unit = "MW.h", digits = 7, interval = "PT15M" },
        { obis = "6-0:9.0.0" },
    ]
    [[utilities.meters]]
    code = "KAM-1"
    medium = 8

    [[utilities.service_points]]
    code = "flat-1-heat"
    medium = "heat"
    account = "A-1"
    [[utilities.service_points.installations]]
    meter = "KAM-06855817"
    valid_from = 2026-10-01T00:00:00
    start_values = { "6-0:1.0.0" = "12.345" }
    """
)


def utility(**entries: object) -> Registry:
    """A registry of one utility with these entries."""
    return Registry([UtilityEntry("aurora", "Aurora", "Europe/Vilnius", **entries)])  # type: ignore[arg-type]


def changes(summary: RegistrySummary) -> int:
    """The number of rows that were added or changed."""
    return sum(count.added + count.changed for count in summary.counts.values())


def test_a_document_becomes_rows_and_a_snapshot(connection: psycopg.Connection, tmp_path: Path) -> None:
    path = tmp_path / "registry.toml"
    path.write_text(DOCUMENT)
    summary = apply(connection, load(path))
    assert {kind: count.added for kind, count in summary.counts.items()} == {
        "utilities": 1,
        "sites": 2,
        "gateways": 1,
        "meters": 2,
        "registers": 2,
        "service_points": 1,
        "installations": 1,
    }
    known = lookup(connection)
    heat = known.register("aurora", "KAM-06855817", "6-0:1.0.0")
    assert heat is not None
    assert (heat.unit, heat.kind, heat.capacity, heat.billed) == ("MW.h", RegisterKind.COUNTER, 10**13, True)
    flow = known.register("aurora", "KAM-06855817", "6-0:9.0.0")
    assert flow is not None
    assert (flow.unit, flow.kind, flow.capacity, flow.billed) == ("m3/h", RegisterKind.GAUGE, None, False)
    assert known.register("aurora", "KAM-1", "8-0:1.0.0") is None
    assert known.register("nobody", "KAM-1", "8-0:1.0.0") is None
    assert known.utilities.keys() == {"aurora"}
    assert known.gateways["aurora", "pi-5"].kind == "field"


def test_the_example_of_the_documentation_can_be_applied(connection: psycopg.Connection) -> None:
    text = documents.__doc__ or ""
    example = text[text.index("    [[utilities]]") : text.index("Instants without an offset")]
    assert apply(connection, parse(dedent(example))).of("installations").added == 1


def test_a_local_instant_is_read_in_the_utilitys_zone(connection: psycopg.Connection) -> None:
    apply(connection, parse(DOCUMENT))
    row = connection.execute("select valid_from, start_values from installations").fetchone()
    assert row == (datetime(2026, 9, 30, 21, tzinfo=UTC), {"6-0:1.0.0": 12_345_000})


def test_a_service_point_ends_at_a_local_instant(connection: psycopg.Connection) -> None:
    ended = DOCUMENT.replace('account = "A-1"', 'account = "A-1"\n    ended_at = 2026-12-01T00:00:00')
    apply(connection, parse(ended))
    row = connection.execute("select ended_at from service_points").fetchone()
    assert row == (datetime(2026, 11, 30, 22, tzinfo=UTC),)


def test_applying_again_changes_nothing(connection: psycopg.Connection) -> None:
    apply(connection, parse(DOCUMENT))
    assert changes(apply(connection, parse(DOCUMENT))) == 0


def test_only_what_differs_is_changed_and_nothing_is_deleted(connection: psycopg.Connection) -> None:
    apply(connection, parse(DOCUMENT))
    summary = apply(connection, parse(DOCUMENT.replace('account = "A-1"', 'account = "A-2"')))
    assert summary.of("service_points").changed == 1
    assert summary.of("meters").unchanged == 2
    apply(connection, utility())
    assert connection.execute("select count(*) from meters").fetchone() == (2,)
    tolerance = connection.execute("select boundary_tolerance::text from utilities").fetchone()
    assert tolerance == ("03:00:00",), "what a document leaves out stays"


def test_only_its_own_gateway_reads_a_meter_that_names_one(connection: psycopg.Connection) -> None:
    apply(connection, parse(DOCUMENT + '\n[[utilities.gateways]]\ncode = "pi-6"\n'))
    known = lookup(connection)
    meter, anywhere = known.meters["aurora", "KAM-06855817"], known.meters["aurora", "KAM-1"]
    own, other = known.gateways["aurora", "pi-5"], known.gateways["aurora", "pi-6"]
    assert (meter.read_by(own), meter.read_by(other)) == (True, False)
    assert (anywhere.read_by(own), anywhere.read_by(other)) == (True, True)


def test_a_swapped_meter_is_two_installations(connection: psycopg.Connection) -> None:
    swap = datetime(2026, 10, 15, 9, tzinfo=UTC)
    meters = [MeterEntry("KAM-1", Medium.HEAT), MeterEntry("KAM-2", Medium.HEAT)]
    first = InstallationEntry(
        "KAM-1", datetime(2026, 10, 1, tzinfo=UTC), swap, end_values={"6-0:1.0.0": "900"}
    )
    second = InstallationEntry("KAM-2", swap, multiplier="40")
    point = ServicePointEntry("flat", Medium.HEAT, installations=[first, second])
    summary = apply(connection, utility(meters=meters, service_points=[point]))
    assert summary.of("installations").added == 2


def test_one_meter_is_not_installed_twice_at_a_time(connection: psycopg.Connection) -> None:
    twice = [InstallationEntry("KAM-1", datetime(2026, 10, day, tzinfo=UTC)) for day in (1, 2)]
    point = ServicePointEntry("flat", Medium.HEAT, installations=twice)
    with pytest.raises(
        RegistryError, match=r"flat, installation of KAM-1: overlaps its installation from 2026-10-01"
    ):
        apply(connection, utility(meters=[MeterEntry("KAM-1", Medium.HEAT)], service_points=[point]))


def test_a_refused_document_leaves_nothing(connection: psycopg.Connection) -> None:
    document = utility(meters=[MeterEntry("KAM-1", Medium.HEAT, gateway="nowhere")])
    with pytest.raises(RegistryError, match="utility aurora, meter KAM-1: there is no gateway nowhere"):
        apply(connection, document)
    assert connection.execute("select count(*) from utilities").fetchone() == (0,)


def test_the_unit_of_a_register_with_readings_stays(connection: psycopg.Connection) -> None:
    def document(unit: str) -> Registry:
        register = RegisterEntry("6-0:1.0.0", unit=unit)
        return utility(meters=[MeterEntry("KAM-1", Medium.HEAT, registers=[register])])

    apply(connection, document("kW.h"))
    assert apply(connection, document("GJ")).of("registers").changed == 1
    connection.execute(
        "insert into readings (register_id, measured_at, value) select id, now(), 1 from registers"
    )
    with pytest.raises(RegistryError, match="has readings in GJ"):
        apply(connection, document("kW.h"))


@pytest.mark.parametrize(
    ("change", "entry", "problem"),
    [
        (('code = "KAM-1"', 'code = "kam 1"'), "utility aurora, meter kam 1", "not a meter id"),
        (("medium = 8", 'medium = "soup"'), "utility aurora, meter KAM-1", "unknown medium 'soup'"),
        (("medium = 8", "medium = 3"), "utilities aurora, meters KAM-1, medium", "Invalid"),
        (("Europe/Vilnius", "Europe/Nowhere"), "utility aurora", "unknown time zone"),
        (("Europe/Vilnius", "../zone"), "utility aurora", "unknown time zone"),
        (("digits = 7", "digits = 0"), "register 6-0:1.0.0", "digits is 0"),
        (('unit = "MW.h"', 'unit = "MWh"'), "register 6-0:1.0.0", "unknown unit"),
        (("6-0:9.0.0", "6-0:99.0.0"), "register 6-0:99.0.0", "no unit is usual"),
        (("6-0:9.0.0", "6-0:9.0"), "register 6-0:9.0", "not an OBIS code"),
        (("6-0:9.0.0", "6-0:1.0.0"), "meter KAM-06855817", "lists 6-0:1.0.0 twice"),
        (('code = "pi-5"', 'code = "pi/5"'), "gateway pi/5", "cannot be a topic segment"),
        (('"PT3H"', '"3 hours"'), "utilities aurora, boundary_tolerance", "Invalid"),
        (('"PT15M"', '"-PT15M"'), "register 6-0:1.0.0", "not positive"),
        (('"12.345"', '"many"'), "flat-1-heat, installation of KAM-06855817", "outside the range"),
        (("account =", "acount ="), "utilities aurora, service_points flat-1-heat", "unknown field `acount`"),
        (('parent = "lake-street"', 'parent = "x"'), "site lake-street-5", "there is no site x"),
        (("[[utilities.sites]]", "[[utilities.sites"), "the document", "is not TOML"),
    ],
)
def test_an_error_names_the_entry_and_the_remedy(
    connection: psycopg.Connection, change: tuple[str, str], entry: str, problem: str
) -> None:
    with pytest.raises(RegistryError) as caught:
        apply(connection, parse(DOCUMENT.replace(*change)))
    assert entry in caught.value.entry
    assert problem in str(caught.value)
    assert caught.value.advice


def test_an_installation_is_checked_when_it_is_built_in_code(connection: psycopg.Connection) -> None:
    good = InstallationEntry("KAM-1", datetime(2026, 10, 1, tzinfo=UTC))
    for changes, problem in (
        ({"valid_to": datetime(2026, 9, 1, tzinfo=UTC)}, "ends before it begins"),
        ({"valid_to": datetime(2026, 11, 1)}, "the other none"),  # noqa: DTZ001 - the mistake under test
        ({"multiplier": "0"}, "multiplier is '0'"),
        ({"multiplier": "NaN"}, "multiplier is 'NaN'"),
        ({"multiplier": "forty"}, "multiplier is 'forty'"),
    ):
        bad = msgspec.structs.replace(good, **changes)
        point = ServicePointEntry("flat", Medium.HEAT, installations=[bad])
        with pytest.raises(RegistryError, match=problem):
            apply(connection, utility(meters=[MeterEntry("KAM-1", Medium.HEAT)], service_points=[point]))
