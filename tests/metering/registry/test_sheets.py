"""Sheets of a registry: what is written is read again, whatever the names, and no bytes are a fault."""

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from metering.registry.checks import RegistryError
from metering.registry.entries import InstallationEntry, ServicePointEntry, SiteEntry, UtilityEntry
from metering.registry.sheets import write_tables
from metering.registry.tables import read_tables
from telemetry.obis import Medium


@given(
    name=st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20),
    values=st.dictionaries(st.sampled_from(["6-0:1.0.0", "6-0:2.0.0"]), st.decimals(0, 9, places=6).map(str)),
)
def test_any_name_and_value_survives_the_way_through_csv(name: str, values: dict[str, str]) -> None:
    installed = datetime(2026, 10, 1, 9, 30, tzinfo=UTC)
    utility = UtilityEntry("u", "U", "UTC")
    full = UtilityEntry(
        "u",
        "U",
        "UTC",
        sites=[SiteEntry("s", name.strip(), name.strip())],
        service_points=[
            ServicePointEntry(
                "p",
                Medium.HEAT,
                name=name.strip(),
                installations=[InstallationEntry("KAM-1", installed, start_values=values)],
            )
        ],
    )
    with TemporaryDirectory() as folder:
        write_tables(Path(folder), full)
        tables = read_tables(Path(folder), utility)
    assert tables.problems == []
    (point,) = tables.utility.service_points
    assert (tables.utility.sites, point.name) == (full.sites, name.strip())
    assert point.installations == full.service_points[0].installations


def test_a_name_that_a_spreadsheet_would_compute_is_exported_as_a_text_and_imported_as_itself() -> None:
    formula = "=cmd|' /C calc'!A0"
    full = UtilityEntry("u", "U", "UTC", sites=[SiteEntry("s", formula, "-12")])
    with TemporaryDirectory() as folder:
        write_tables(Path(folder), full)
        exported = (Path(folder) / "sites.csv").read_text(encoding="utf-8").splitlines()[1]
        tables = read_tables(Path(folder), UtilityEntry("u", "U", "UTC"))
    assert exported == f"s,'{formula},-12,"
    assert tables.utility.sites == full.sites


@given(
    header=st.sampled_from(["code,medium\n", "code;medium\n", '"code","medium"\n', ""]),
    content=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)),
)
def test_any_bytes_are_problems_and_no_fault(header: str, content: bytes) -> None:
    with TemporaryDirectory() as folder:
        (Path(folder) / "meters.csv").write_bytes(header.encode() + content)
        with suppress(RegistryError):
            read_tables(Path(folder), UtilityEntry("u", "U", "UTC"))
