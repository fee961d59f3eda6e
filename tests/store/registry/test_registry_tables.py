"""The registry as CSV: what is exported can be imported, and each problem is told by its row."""

from pathlib import Path

import psycopg
import pytest

from metering.registry.checks import RegistryError
from metering.registry.document import parse
from metering.registry.entries import Registry, UtilityEntry
from metering.registry.sheets import write_tables
from metering.registry.tables import amend, read_tables
from store.registry import apply, rehearse
from store.registry.extract import calendar, extract
from store.registry.history import history, sign
from tests.store.registry.test_registry import changes

DETAILED = """
[[utilities]]
code = "aurora"
name = "Aurora"
time_zone = "Europe/Vilnius"
[[utilities.sites]]
code = "lake-street"
address = "Lake Street, Vilnius"
[[utilities.sites]]
code = "house-5"
name = 'The "big" house'
parent = "lake-street"
[[utilities.gateways]]
code = "pi-5"
site = "house-5"
lines = [{ code = "cellar", protocol = "mbus", address = "/dev/ttyUSB0" }]
[[utilities.meters]]
code = "KAM-06855817"
medium = "heat"
model = "Multical 403"
gateway = "pi-5"
line = "cellar"
site = "house-5"
qmax = "2.5"
verifications = [
    { on = 2020-05-01, until = 2024-05-01, certificate = "C-1" },
    { on = 2024-04-20, until = 2028-05-01 },
]
[[utilities.meters.registers]]
obis = "6-0:1.0.0"
unit = "MW.h"
digits = 7
interval = "PT15M"
boundary_tolerance = "PT3H"
[[utilities.meters]]
code = "KAM-1"
medium = "cold water"
[[utilities.meters]]
code = "EAS-1"
medium = "electricity"
imax = "100"
phases = 3
[[utilities.service_points]]
code = "flat-1"
name = "Flat 1, left"
medium = "heat"
account = "A-1"
site = "house-5"
[[utilities.service_points.installations]]
meter = "KAM-06855817"
valid_from = 2026-10-01T00:00:00
multiplier = "40"
start_values = { "6-0:1.0.0" = "12.345" }
[[utilities.service_points]]
code = "flat-1-el"
medium = "electricity"
fuses = [
    { since = 2020-05-01, amperes = "35", phases = 3 },
    { since = 2026-02-01, amperes = "63.5", phases = 3 },
]
contracts = [
    { valid_from = 2026-10-01T00:00:00, valid_to = 2026-11-01T00:00:00, account = "4711" },
    { valid_from = 2026-11-15T12:00:00 },
]
"""


@pytest.fixture
def stored(connection: psycopg.Connection) -> UtilityEntry:
    """A registry with everything in it."""
    apply(connection, parse(DETAILED))
    return extract(connection, "aurora")


def problems(folder: Path, stored: UtilityEntry, **files: str) -> list[str]:
    """What is told of these files."""
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text)
    return [
        str(one).partition("; ")[0].partition(": three")[0] for one in read_tables(folder, stored).problems
    ]


def test_applying_what_was_extracted_changes_nothing(
    connection: psycopg.Connection, stored: UtilityEntry
) -> None:
    assert stored.meters[1].verified_until is not None
    assert changes(apply(connection, Registry([stored]))) == 0


def test_what_is_exported_is_imported_without_a_change(
    connection: psycopg.Connection, stored: UtilityEntry, tmp_path: Path
) -> None:
    write_tables(tmp_path, stored)
    tables = read_tables(tmp_path, stored)
    assert tables.problems == []
    assert changes(apply(connection, tables.registry)) == 0


def test_an_export_brings_an_empty_utility_to_the_same(
    connection: psycopg.Connection, stored: UtilityEntry, tmp_path: Path
) -> None:
    write_tables(tmp_path, stored)
    apply(connection, Registry([UtilityEntry("copy", "Copy", "Europe/Vilnius")]))
    tables = read_tables(tmp_path, calendar(connection, "copy"))
    assert tables.problems == []
    apply(connection, tables.registry)
    copy = extract(connection, "copy")
    assert (copy.sites, copy.gateways) == (stored.sites, stored.gateways)
    assert (copy.meters, copy.service_points) == (stored.meters, stored.service_points)


def test_columns_and_files_that_are_not_there_leave_things_as_they_are(
    connection: psycopg.Connection, stored: UtilityEntry, tmp_path: Path
) -> None:
    (tmp_path / "meters.csv").write_text("code;model\nKAM-06855817;Multical 603\n", encoding="utf-8-sig")
    tables = read_tables(tmp_path, stored)
    assert tables.problems == []
    summary = apply(connection, tables.registry)
    assert (summary.of("meters").changed, summary.of("sites").unchanged) == (1, 0)
    (_, meter, _) = extract(connection, "aurora").meters
    assert (meter.model, meter.qmax, meter.line, len(meter.verifications)) == (
        "Multical 603",
        "2.5",
        "cellar",
        2,
    )


def test_parts_may_stand_before_what_they_are_parts_of(
    connection: psycopg.Connection, stored: UtilityEntry, tmp_path: Path
) -> None:
    (tmp_path / "sites.csv").write_text("code,parent\nflat,floor\nfloor,house\nhouse,\n")
    apply(connection, read_tables(tmp_path, stored).registry)
    assert {site.code: site.parent for site in extract(connection, "aurora").sites}["flat"] == "floor"


def test_each_problem_is_told_by_its_row(stored: UtilityEntry, tmp_path: Path) -> None:
    meters = "code,medium,gateway\nKAM-2,soup,\n\nKAM-3,heat\nKAM-4,heat,\nKAM-4,heat,\nkam 5,heat,\n"
    registers = "meter,obis,digits,billed\nKAM-9,6-0:1.0.0,7,\nKAM-4,6-0:1.0.0,x,\nKAM-4,6-0:99.0.0,,true\n"
    verifications = "meter,on,until\nKAM-1,2026-01-01,2025-01-01\nKAM-1,2026-02-30,2027-01-01\n"
    assert problems(tmp_path, stored, meters=meters, registers=registers, verifications=verifications) == [
        "meters.csv:2: unknown medium 'soup'",
        "meters.csv:4: has 2 fields, the header 3",
        "meters.csv:6: KAM-4 stands in line 5 already",
        "meters.csv:7: 'kam 5' is not a meter id",
        "registers.csv:2: there is no meter KAM-9",
        "registers.csv:3: digits: Expected `int | null`, got `str`",
        "registers.csv:4: no unit is usual for this code",
        "verifications.csv:2: ends before it begins",
        "verifications.csv:3: on: Invalid RFC3339 encoded date",
    ]


def test_columns_are_checked_first(stored: UtilityEntry, tmp_path: Path) -> None:
    assert problems(tmp_path, stored, meters="code,colour\nKAM-2,red\n", sites="name\nx\n") == [
        "meters.csv:1: unknown column 'colour'",
        "sites.csv:1: there is no column 'code'",
    ]
    with pytest.raises(RegistryError, match="holds no file of a registry"):
        read_tables(tmp_path / "nowhere", stored)


def test_a_rehearsal_tells_all_references_that_lead_nowhere_and_changes_nothing(
    connection: psycopg.Connection, stored: UtilityEntry, tmp_path: Path
) -> None:
    (tmp_path / "meters.csv").write_text(
        "code,medium,gateway,line\nKAM-2,heat,pi-9,\nKAM-3,heat,pi-5,attic\nKAM-4,heat,pi-5,cellar\n"
    )
    (tmp_path / "installations.csv").write_text(
        "service_point,meter,valid_from\nflat-1,KAM-8,2026-10-02T00:00\n"
    )
    tables = read_tables(tmp_path, stored)
    assert tables.problems == [], "each row by itself is in order"
    summary, refused = rehearse(connection, tables.registry)
    assert summary.of("meters").added == 1
    for error in refused:
        tables.note(error)
    assert [str(problem).partition("; ")[0] for problem in sorted(tables.problems)] == [
        "installations.csv:2: there is no meter KAM-8",
        "meters.csv:2: there is no gateway pi-9",
        "meters.csv:3: its gateway has no line attic",
    ]
    assert extract(connection, "aurora") == stored


def test_a_correction_of_an_old_verification_leaves_the_latest_in_force(
    connection: psycopg.Connection, stored: UtilityEntry
) -> None:
    tables = amend(stored, "verifications", ["KAM-06855817", "2020-05-01"], {"certificate": "C-2"})
    summary = apply(connection, tables.registry)
    assert (summary.of("verifications").changed, summary.of("meters").changed) == (1, 0)


def test_a_correction_is_one_entry_with_its_history(
    connection: psycopg.Connection, stored: UtilityEntry
) -> None:
    sign(connection, "anna", "read off the display")
    fields = {"digits": "8", "unit": "kW.h"}
    tables = amend(stored, "registers", ["KAM-06855817", "6-0:1.0.0"], fields)
    assert apply(connection, tables.registry).of("registers").changed == 1
    change = history(connection, "aurora", "KAM-06855817")[-1]
    assert (change.author, change.reason) == ("anna", "read off the display")
    assert (change.entity, change.entry) == ("registers", "KAM-06855817 6-0:1.0.0")
    assert change.before == {"unit": "MW.h", "capacity": 10**13}
    assert change.after == {"unit": "kW.h", "capacity": 10**14}


def test_a_correction_names_an_entry_and_fields_that_there_are(stored: UtilityEntry) -> None:
    for kind, key, fields, problem in (
        ("meters", ["KAM-9"], {"model": "x"}, "is not registered"),
        ("cars", ["KAM-1"], {"model": "x"}, "is no kind of entry"),
        ("meters", ["KAM-1"], {"colour": "x"}, "has no field colour"),
        ("meters", ["KAM-1"], {"code": "KAM-2"}, "has no field code"),
    ):
        with pytest.raises(RegistryError, match=problem):
            amend(stored, kind, key, fields)


def test_no_change_of_the_registry_goes_around_its_history(
    connection: psycopg.Connection, stored: UtilityEntry
) -> None:
    connection.execute("update meters set site_id = null where code = 'KAM-06855817'")
    connection.execute("update registers set validated_until = now()")
    connection.execute("update gateways set state = 'online'")
    *_, change = history(connection, "aurora")
    assert change.entity == "meters", "what the machine notes all day is no change of the registry"
    assert (change.before, change.after) == ({"site_id": 2}, {"site_id": None})
    assert change.author == connection.execute("select session_user").fetchone()[0]  # type: ignore[index]
    for statement in (b"delete from registry_history", b"update registry_history set author = 'nobody'"):
        with (
            pytest.raises(psycopg.errors.InsufficientPrivilege, match="is only added to"),
            connection.transaction(),
        ):
            connection.execute(statement)


def test_fuses_and_contracts_have_their_history_and_follow_the_rules(
    connection: psycopg.Connection, stored: UtilityEntry, tmp_path: Path
) -> None:
    told = problems(
        tmp_path,
        stored,
        fuses="service_point,since,amperes,phases\nflat-1-el,2026-10-01,-5,3\nflat-1-el,2026-11-01,63,2\n",
        contracts="service_point,valid_from,valid_to\nflat-1-el,2026-12-01,2026-11-20\n",
    )
    assert told == [
        "contracts.csv:2: ends before it begins",
        "fuses.csv:2: amperes is '-5'",
        "fuses.csv:3: phases is 2",
    ]
    (tmp_path / "fuses.csv").write_text("service_point,since,amperes,phases\nflat-1-el,2026-12-01,100,3\n")
    (tmp_path / "contracts.csv").write_text("service_point,valid_from\nflat-1-el,2026-10-20\n")
    tables = read_tables(tmp_path, stored)
    assert tables.problems == []
    with pytest.raises(RegistryError, match="overlaps the contract from 2026-09-30 21:00"):
        apply(connection, tables.registry)
    (tmp_path / "contracts.csv").unlink()
    apply(connection, read_tables(tmp_path, stored).registry)
    change = history(connection, "aurora", "flat-1-el")[-1]
    assert (change.entity, change.entry, change.after["amperes"]) == (
        "fuses",
        "flat-1-el 2026-12-01",
        100_000_000,
    )
