"""A protocol is a folder that declares itself: a forgotten half fails here by the protocol's name."""

import inspect
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import drivers
from drivers.driver import Driver, Target
from drivers.errors import DecodeError, DriverError
from drivers.line import SerialSettings
from drivers.protocol import PROTOCOLS, CapturedTelegram, MeterProtocol, protocol_named, protocols

FOLDER = Path(drivers.__file__).parent
ROOT = FOLDER.parent
FOLDERS = sorted(path.parent.name for path in FOLDER.glob("*/master.py"))
TELEGRAMS = {
    "dlms": "7E A0 07 03 21 93 0F 01 7E",
    "mbus": "68 15 15 68 08 05 72 17 58 85 06 2D 2C 08 04 00 00 00 00 0C 06 51 73 03 00 B7 16",
    "modbus": "01 03 00 00 00 02 C4 0B",
    "optical": b"/ISk5MT174\r\n1.8.0(000123.4*kWh)\r\n".hex(),
    "sml": "1B 1B 1B 1B 01 01 01 01 76",
}
UNEXPLAINED = {
    "dlms": "only within its association",
    "modbus": "name the meter's --profile",
    "sml": "is not whole",
}
ADDRESSES = {
    "dlms": (["", "16/1", "1/1/17"], ["a", "999"]),
    "mbus": (
        ["0", "250", "254", "06855817", "0685FFFF", "KAM-06855817", "068558172D2C0104"],
        ["", "251", "0685581", "0685581G"],
    ),
    "modbus": (["1", "247"], ["", "0", "248", "\u0661"]),
    "optical": (["", "12345678", "A1"], ["a!"]),
    "sml": ([""], ["1"]),
}
every = pytest.mark.parametrize("name", sorted({*PROTOCOLS, *FOLDERS}))


@every
def test_a_folder_with_a_master_declares_its_protocol(name: str) -> None:
    assert name in PROTOCOLS, f"drivers/protocol.py does not list {name}"
    assert (FOLDER / name / "protocol.py").is_file(), f"{name} has no protocol.py"
    protocol = protocol_named(name)
    assert isinstance(protocol, MeterProtocol)
    assert protocol.name == name


@every
def test_it_has_a_driver_of_its_name_with_settings_and_options(name: str) -> None:
    protocol = protocol_named(name)
    driver = protocol.driver()
    assert issubclass(driver, Driver)
    assert driver.protocol == name
    assert isinstance(protocol.settings, SerialSettings)
    assert set(protocol.options) <= set(inspect.signature(driver).parameters)
    assert protocol.has_load_profiles == (driver.load_profile is not Driver.load_profile)


@every
def test_it_has_a_virtual_meter(name: str) -> None:
    module = import_module(f"drivers.{name}.virtual")
    made = [
        one for one in vars(module).values() if inspect.isclass(one) and one.__module__ == module.__name__
    ]
    assert any(hasattr(one, "hear") for one in made), f"{name} has no virtual meter"


@every
def test_its_addresses_are_checked_with_advice(name: str) -> None:
    good, bad = ADDRESSES[name]
    for address in good:
        protocol_named(name).check_address(address)
    for address in bad:
        with pytest.raises(DriverError) as refused:
            protocol_named(name).check_address(address)
        assert refused.value.advice


@every
def test_its_telegrams_are_recognised_by_it_alone_and_explained_or_refused_in_words(name: str) -> None:
    data = bytes.fromhex(TELEGRAMS[name])
    assert [protocol.name for protocol in protocols() if protocol.recognises(data)] == [name]
    if name in UNEXPLAINED:
        with pytest.raises(DecodeError, match=UNEXPLAINED[name]):
            protocol_named(name).explain(CapturedTelegram(data))
    else:
        assert protocol_named(name).explain(CapturedTelegram(data)).protocol == name


@every
def test_it_says_what_to_check_when_nobody_answers(name: str) -> None:
    assert len(protocol_named(name).silence) >= 2


@every
def test_a_profile_that_it_does_not_know_is_a_problem(name: str) -> None:
    target = Target(ADDRESSES[name][0][0], meter="KAM-1", profile="of nobody")
    assert list(protocol_named(name).problems(target))


@every
def test_it_is_documented(name: str) -> None:
    title = protocol_named(name).title
    assert title in (FOLDER / name / "README.md").read_text("utf-8"), f"drivers/{name}/README.md"
    assert f"`{name}/`" in (FOLDER / "README.md").read_text("utf-8"), f"drivers/README.md lacks {name}/"
    for guide in ("installing.md", "drivers.md"):
        text = (ROOT / "docs" / guide).read_text("utf-8")
        assert re.search(rf"{re.escape(title)}|\b{name}\b", text), f"docs/{guide} lacks {name}"


@every
def test_no_other_protocol_is_loaded_with_it(name: str) -> None:
    script = (
        "import sys\nfrom drivers.protocol import protocol_named\n"
        f"protocol_named({name!r}).driver()\n"
        "print([name for name in sys.modules if name.endswith('.master')])"
    )
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert told.stdout.strip() == f"['drivers.{name}.master']"
