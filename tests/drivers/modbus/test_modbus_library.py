"""The profiles that Hesper brings: a source, golden answers and a probe in each, read in the least time."""

import csv
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from fractions import Fraction
from importlib.resources import files
from pathlib import Path

import pytest

from drivers.driver import IdentityError, Target
from drivers.line import SerialSettings
from drivers.modbus.blocks import RegisterBlock, plan, wire_time
from drivers.modbus.encoding import WordOrder, decode
from drivers.modbus.framing import MAX_REGISTERS
from drivers.modbus.master import ModbusDriver
from drivers.modbus.profile import GoldenAnswers, ModbusProfile
from drivers.modbus.profile_file import load_profile, profile_names
from drivers.modbus.timing import TURNAROUND, transaction_time
from drivers.modbus.virtual import RegisterMeter
from drivers.simulated import SimulatedLine
from telemetry.micro import to_micro
from telemetry.obis import Obis
from telemetry.readout import Quantity

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
NAMES = profile_names()

# The collected map that each profile is held against.
MAPS = {
    "abb-a-b-series": "abb",
    "bernecker-mpm3pm": "mpm3pm",
    "bg-etech-ds100": "ds100",
    "bg-etech-ws100": "ws100",
    "carlo-gavazzi-em24": "carlogavazzi-em24",
    "carlo-gavazzi-em24-e1": "carlogavazzi-em24_e1",
    "carlo-gavazzi-em330": "carlogavazzi-ex3x0",
    "chint-dtsu666": "dtsu666",
    "ddm18sd": "ddm18sd",
    "dzg-dvh4013": "dzg",
    "eastron-sdm120": "sdm120",
    "eastron-sdm220": "sdm220",
    "eastron-sdm230": "sdm230",
    "eastron-sdm54": "sdm54",
    "eastron-sdm630": "sdm",
    "eastron-sdm72": "sdm72",
    "eastron-sdm72v2": "sdm72v2",
    "eastron-x96-1a": "x961a",
    "eltako-dsz15d": "eltako",
    "finder-7m24": "finder7m24",
    "finder-7m38": "finder7m38",
    "inepro-pro380": "inepro",
    "janitza-b23": "janitza",
    "lovato-dmg610": "dmg610",
    "orno-we504": "orno1p504",
    "orno-we514": "orno1p",
    "orno-we516": "orno3p",
    "orno-we525": "orno1p525",
    "saia-ale3-bidirectional": "sbc",
    "saia-ale3-tariffs": "sbc",
    "schneider-iem3000": "iem3000",
    "siemens-pac2200": "pac2200",
    "solaredge-mtr-3y": "semtr3y",
    "wago-879": "wago87930",
}
# Where other evidence speaks against the map; the profile says which.
MOVED = {
    ("bg-etech-ds100", "export_energy_total"): 0x0118,
    ("carlo-gavazzi-em24", "import_energy_partial"): 0x003E,
    ("siemens-pac2200", "frequency"): 0x0037,
}
SIGNED = {"saia-ale3-bidirectional", "saia-ale3-tariffs"}
# Not named honestly by any OBIS code (see docs/profiles.md), beside total harmonic distortion.
_WHOLE_METER = {"voltage", "current"}
_ENERGY = {f"active_energy_{part}" for part in ("total", "t1", "t2", "l1", "l2", "l3")}
_REACTIVE = {quantity.replace("active", "reactive") for quantity in _ENERGY}
LEFT_OUT = {
    "bernecker-mpm3pm": _ENERGY,
    "bg-etech-ds100": _WHOLE_METER | _ENERGY,
    "bg-etech-ws100": _ENERGY,
    "inepro-pro380": _WHOLE_METER | _ENERGY | _REACTIVE,
    "orno-we516": _ENERGY | _REACTIVE,
    "orno-we525": _ENERGY | _REACTIVE,
    "schneider-iem3000": _WHOLE_METER,
    "solaredge-mtr-3y": {"active_energy_total", "import_energy_total", "export_energy_total"} | _REACTIVE,
    "wago-879": _WHOLE_METER,
}
# The same quantity has the same code in all profiles, but for these.
NAMED_APART = {"saia-ale3-tariffs", "siemens-pac2200", "solaredge-mtr-3y"}


def factory(profile: ModbusProfile) -> SerialSettings:
    """The settings of a profile, or those that most meters are given."""
    return profile.settings or SerialSettings()


def expected(profile: ModbusProfile, golden: GoldenAnswers) -> dict[str, Quantity]:
    units = {register.obis: register.unit for register in profile.registers}
    return {obis: Quantity(to_micro(text), units[obis]) for obis, text in golden.values.items()}


def without_gaps(words: Mapping[tuple[int, int], int]) -> dict[tuple[int, int], int]:
    """The words of a meter that answers 0 where it has no register."""
    spans: dict[int, list[int]] = defaultdict(list)
    for function, address in words:
        spans[function].append(address)
    return {
        (function, address): words.get((function, address), 0)
        for function, taken in spans.items()
        for address in range(min(taken), max(taken) + 1)
    }


def test_hesper_brings_more_than_twenty_families() -> None:
    assert len(NAMES) >= 30
    assert set(NAMES) == set(MAPS)


def shortcomings(profile: ModbusProfile) -> set[str]:
    """What keeps a profile from being shipped."""
    proven = {obis for golden in profile.golden for obis in golden.values}
    faults = {
        "its source is no document's address": not profile.source.startswith(("https://", "http://")),
        "it has no golden answers": not profile.golden,
        "it has no probe": profile.probe is None,
        "golden answers do not say what they are": not all(golden.comment for golden in profile.golden),
        "a register has no comment": not all(register.comment for register in profile.registers),
        "a register is in no golden answer": proven != {register.obis for register in profile.registers},
        "its serial number is in no golden answer": profile.identity is not None
        and not any(golden.serial for golden in profile.golden),
    }
    return {fault for fault, holds in faults.items() if holds}


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_has_a_source_golden_answers_for_every_register_and_a_probe(name: str) -> None:
    assert shortcomings(load_profile(name)) == set()


def test_a_profile_without_golden_answers_is_not_shipped(tmp_path: Path) -> None:
    path = tmp_path / "hasty.toml"
    shipped = files("drivers").joinpath("profiles", "eastron-sdm630.toml").read_text("utf-8")
    path.write_text(shipped.partition("[[golden]]")[0], "utf-8")
    assert shortcomings(load_profile(str(path))) == {
        "it has no golden answers",
        "a register is in no golden answer",
        "its serial number is in no golden answer",
    }


@pytest.mark.parametrize("name", NAMES)
def test_the_driver_reads_the_golden_answers(name: str) -> None:
    """From a meter that refuses whatever it has no register for."""
    profile = load_profile(name)
    for golden in profile.golden:
        meter = RegisterMeter(7, lambda words=golden.words: words)
        driver = ModbusDriver(SimulatedLine(meter, factory(profile)), lambda: NOW)
        [readout] = driver.read(Target("7", meter=f"EAS-00{golden.serial or 1}", profile=name))
        assert readout.values == expected(profile, golden)


@pytest.mark.parametrize("name", NAMES)
def test_a_meter_that_answers_across_gaps_is_read_in_the_planned_requests(name: str) -> None:
    profile = load_profile(name)
    golden = profile.golden[0]
    words = without_gaps(golden.words)
    meter = RegisterMeter(7, lambda: words)
    driver = ModbusDriver(SimulatedLine(meter, factory(profile)), lambda: NOW)
    [readout] = driver.read(Target("7", meter=f"EAS-{golden.serial or 1}", profile=name))
    assert readout.values == expected(profile, golden)
    planned = plan(profile, factory(profile))
    identity = [RegisterBlock((profile.identity,))] if profile.identity else []
    assert [(one.function, one.address, one.count) for one in meter.requests] == [
        (block.function, block.address, block.count) for block in [*planned, *identity]
    ]


@pytest.mark.parametrize("name", [name for name in NAMES if load_profile(name).identity])
def test_a_meter_with_another_serial_number_is_not_taken_for_the_configured_one(name: str) -> None:
    profile = load_profile(name)
    golden = profile.golden[0]
    assert golden.serial, "a profile that knows a serial number shows one in its golden answers"
    meter = RegisterMeter(7, lambda: golden.words)
    driver = ModbusDriver(SimulatedLine(meter, factory(profile)), lambda: NOW)
    with pytest.raises(IdentityError) as caught:
        driver.read(Target("7", meter="EAS-123", profile=name))
    assert caught.value.found.endswith(f"-{golden.serial}")


@pytest.mark.parametrize("name", NAMES)
def test_no_other_partition_into_requests_takes_less_wire_time(name: str) -> None:
    profile = load_profile(name)
    settings = factory(profile)
    rows = sorted(profile.registers, key=lambda one: (one.function, one.address))
    least = [0.0]  # of the first n registers
    for last in range(len(rows)):
        least.append(
            min(
                least[first] + transaction_time(settings, words, turnaround=TURNAROUND, pause=profile.pause)
                for first in range(last + 1)
                if rows[first].function == rows[last].function
                and (words := rows[last].end - rows[first].address) <= MAX_REGISTERS
            )
        )
    assert wire_time(plan(profile, settings), settings, profile.pause) == pytest.approx(least[-1])


@pytest.mark.parametrize("name", NAMES)
def test_golden_answers_pin_word_order_address_and_sign(name: str) -> None:
    profile = load_profile(name)
    golden = profile.golden[0]
    shown: set[tuple[str, int]] = set()
    for register in profile.registers:
        words = [golden.words[register.function, at] for at in range(register.address, register.end)]
        if len(words) > 1:
            other = WordOrder.LITTLE if register.word_order is WordOrder.BIG else WordOrder.BIG
            assert decode(words, register.encoding, other) != decode(
                words, register.encoding, register.word_order
            )
        quantity = register.quantity(words)
        assert quantity is not None
        shown.add((register.unit, abs(quantity.micro)))
    assert len(shown) == len(profile.registers), "a swapped address would not be noticed"
    signed = [
        register.obis
        for register in profile.registers
        if "power" in register.comment and not register.encoding.value.startswith("uint")
    ]
    assert not signed or any(golden.values[obis].startswith("-") for obis in signed)


@pytest.mark.parametrize("name", NAMES)
def test_every_register_has_a_name_in_the_shared_language(name: str) -> None:
    assert [r.obis for r in load_profile(name).registers if Obis.parse(r.obis).definition is None] == []


def _rows(table: str, shared_data: Path) -> list[dict[str, str]]:
    with (shared_data / "modbus-maps" / f"{table}.csv").open(newline="") as file:
        return [row for row in csv.DictReader(file) if "thd" not in row["quantity"]]


@pytest.mark.parametrize("name", NAMES)
def test_registers_agree_with_the_collected_map(name: str, shared_data: Path) -> None:
    """Except for what is left out, and for what other evidence has corrected."""
    facts: set[tuple[object, ...]] = set()
    for row in _rows(MAPS[name], shared_data):
        quantity, encoding = row["quantity"], row["encoding"]
        if quantity in LEFT_OUT.get(name, ()):
            continue
        if name in SIGNED and "active_power" in quantity:
            encoding = encoding.removeprefix("u")
        facts.add(
            (
                MOVED.get((name, quantity), int(row["address"], 16)),
                int(row["function_code"]),
                encoding,
                row["word_order"] if row["words"] != "1" else None,
                Fraction(row["scale"]),
                {"VA": "V.A"}.get(row["unit"], row["unit"]),
            )
        )
    assert facts == {
        (
            register.address,
            register.function,
            register.encoding.value,
            register.word_order.value if register.encoding.words > 1 else None,
            register.scale,
            register.unit,
        )
        for register in load_profile(name).registers
    }


def test_a_quantity_has_the_same_name_in_every_profile(shared_data: Path) -> None:
    names: dict[str, set[str]] = defaultdict(set)
    for name in sorted(set(NAMES) - NAMED_APART):
        registers = {register.address: register.obis for register in load_profile(name).registers}
        for row in _rows(MAPS[name], shared_data):
            if row["quantity"] not in LEFT_OUT.get(name, ()) and (name, row["quantity"]) not in MOVED:
                names[row["quantity"]].add(registers[int(row["address"], 16)])
    assert {quantity: codes for quantity, codes in names.items() if len(codes) > 1} == {}
    assert names["import_energy_t1"] == {"1-0:1.8.1"}
    assert names["voltage"] == names["voltage_l1"] == {"1-0:32.7.0"}
