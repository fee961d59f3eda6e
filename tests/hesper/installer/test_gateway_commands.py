"""The installer's commands on real ports, with virtual meters behind right and wrong wiring."""

import json
import os
import socket
import tomllib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import serial
from typer.testing import CliRunner

from drivers.bus import VirtualBus, garbled
from drivers.driver import Clock, Driver, Found, Target
from drivers.host import PtyMeterHost, TcpMeterHost, Wiring
from drivers.line import Line, SerialSettings, Transmission, VirtualMeter
from drivers.mbus.virtual import VirtualMBusMeter
from drivers.modbus.framing import Transport
from drivers.modbus.profile_file import load_profile
from drivers.modbus.virtual import RegisterMeter
from drivers.optical.codec.dataset import decode_sets
from drivers.optical.virtual import OPTICAL, VirtualOpticalMeter
from hesper.cli import build
from hesper.commands.gateways import plan
from hesper.commands.gateways import read as read_command
from hesper.commands.gateways import scan as scan_command
from hesper.installer.advice import KINDS
from hesper.installer.scan import scan as scan_line
from telemetry.readout import Quantity, Readout
from telemetry.status import Status
from tests.drivers.dlms.household import CLOSED, METER, meter_of
from tests.drivers.optical.meters import EMH

PLAIN = SerialSettings(9600, 8, "N", 1)
EVEN = SerialSettings(9600, 8, "E", 1)
WATER = bytes.fromhex(  # of a water meter that calls itself PAD-12345678
    "681F1F6808027278563412244001075500000003131531 00DA023B13018B60043718021816"
)
ABB = ("--protocol", "modbus", "--profile", "abb-a-b-series", "--timeout", "0.4")


def family(unit: int, name: str = "abb-a-b-series", **options: object) -> RegisterMeter:
    words = load_profile(name).golden[0].words
    return RegisterMeter(unit, lambda: words, turnaround=0.0, **options)  # type: ignore[arg-type]


class Tuned:
    """A meter that makes noise of what it hears, and of what it says, at settings that are not its own."""

    def __init__(self, meter: VirtualMeter, settings: SerialSettings, *, silent: bool = False) -> None:
        self.meter, self.settings, self.silent = meter, settings, silent

    def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
        said = self.meter.hear(data, settings)
        if settings == self.settings:
            return said
        return [] if self.silent else [Transmission(garbled(one.data), one.delay) for one in said]


class Deaf:
    """A meter whose wires A and B are swapped hears nothing that makes sense to it."""

    def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
        return []


def hesper(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(build(["gateway"]), ["gateway", *arguments], env={"COLUMNS": "300"})
    return result.exit_code, result.stdout, result.stderr


def trouble(*arguments: str) -> tuple[str, list[str]]:
    """The kind of what went wrong, and what to try, of a command that gave up."""
    code, out, _ = hesper(*arguments, "--json")
    assert code == 1
    said = json.loads(out)
    return said["kind"], said["try"]


@pytest.fixture
def line() -> Iterator[PtyMeterHost]:
    meters = [family(2), family(3, "dzg-dvh4013"), RegisterMeter(4, lambda: {(4, 0): 1}, turnaround=0.0)]
    with PtyMeterHost(VirtualBus(meters), PLAIN) as host:
        yield host


def scan(spec: str, *more: str) -> tuple[int, str, str]:
    return hesper("scan", spec, "--protocol", "modbus", "--settings", "9600 8N1", "--timeout", "0.4", *more)


def test_a_scan_ends_in_a_configuration_that_can_be_checked_planned_and_read(
    line: PtyMeterHost, tmp_path: Path
) -> None:
    file = tmp_path / "gateway.toml"
    code, out, err = scan(line.spec, "--address", "1-4", "--output", str(file), "--utility", "aurora")
    assert (code, err) == (0, "")
    told = out.splitlines()
    assert [one.partition("  ")[0] for one in told[:3]] == ["ABB-3108845", "a meter", "a meter"]
    assert told[-1] == f"{file} is a proposed configuration; next: hesper gateway check {file}"
    code, out, _ = hesper("check", str(file), "--json")
    assert (code, json.loads(out)["lines"]) == (
        0,
        [{"name": os.path.basename(line.spec), "port": line.spec, "protocol": "modbus", "meters": 2}],
    )
    code, out, _ = hesper("plan", str(file), "--json")
    assert (code, json.loads(out)["fits"]) == (0, True)
    code, out, _ = hesper("read", str(file), "ABB-3108845")
    assert code == 0
    assert out.startswith("ABB-3108845  at 20")
    assert "1-0:1.8.0   active energy import     19281.14  kWh" in out
    assert "s on the wire, 9 requests" in out, "those that the meter refused included"
    code, out, _ = hesper("read", str(file), "3", "--line", os.path.basename(line.spec), "--json")
    assert (code, json.loads(out)["meter"]) == (0, "NEW-2")


def test_a_scan_tells_a_program_everything_in_one_object(line: PtyMeterHost) -> None:
    code, out, err = scan(line.spec, "--address", "2-2", "--json")
    assert (code, err) == (0, "")
    said = json.loads(out)
    assert said["complete"] is True
    [protocol] = said["protocols"]
    assert protocol["found"] == [
        {
            "address": "2",
            "settings": "9600 8N1",
            "meter": "ABB-3108845",
            "profile": "abb-a-b-series",
            "description": "ABB A and B series; serial number 3108845",
        }
    ]
    assert (protocol["suspicions"], protocol["trouble"]) == ([], None)
    assert 'meter = "ABB-3108845"' in said["configuration"]


def test_a_scan_of_m_bus_meters_proposes_them_by_the_names_they_give_themselves() -> None:
    with PtyMeterHost(VirtualMBusMeter(1, [WATER]), SerialSettings(2400, 8, "E", 1)) as host:
        code, out, _ = hesper(
            *("scan", host.spec, "--protocol", "mbus", "--settings", "2400 8E1", "--address", "1-2", "--json")
        )
    assert code == 0
    line = tomllib.loads(json.loads(out)["configuration"])["line"][0]
    assert (line["protocol"], line["settings"]) == ("mbus", "2400 8E1")
    assert line["meter"] == [{"address": 1, "meter": "PAD-12345678"}]


def test_a_scan_of_modbus_tcp_needs_no_settings() -> None:
    with TcpMeterHost(family(1, transport=Transport.TCP)) as host:
        code, out, _ = hesper("scan", host.spec, "--transport", "tcp", "--address", "1", "--json")
    assert code == 0
    assert json.loads(out)["protocols"][0]["found"][0]["settings"] is None
    assert 'transport = "tcp"' in json.loads(out)["configuration"]
    assert "settings" not in json.loads(out)["configuration"]


def test_a_scan_that_meets_nobody_says_what_to_try() -> None:
    with PtyMeterHost(Deaf(), PLAIN) as host:
        code, out, err = scan(host.spec, "--address", "1-2")
    assert (code, out) == (1, "")
    assert "nothing found: no meter answered in modbus" in err
    assert "swap the wires A and B" in err


def test_a_scan_suspects_two_meters_of_one_address() -> None:
    bus = VirtualBus([family(1), family(2), family(2, "dzg-dvh4013")])
    with PtyMeterHost(bus, PLAIN) as host:
        code, _, err = scan(host.spec, "--address", "1-2")
    assert code == 0
    assert "suspicion: address 2 at 9600 8N1" in err
    assert "two meters share this unit id" in err


def test_a_scan_at_another_parity_suspects_the_settings() -> None:
    with PtyMeterHost(Tuned(family(2), EVEN), PLAIN) as host:
        code, _, err = scan(host.spec, "--address", "2")
    assert code == 1
    assert "not at this speed and parity" in err


def test_a_scan_that_is_given_up_proposes_what_it_has_found(
    line: PtyMeterHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def given_up(*arguments: object) -> Iterator[tuple[str, object]]:
        for protocol, event in scan_line(*arguments):  # type: ignore[arg-type]  # as the command passes them
            yield protocol, event
            if isinstance(event, Found):
                raise KeyboardInterrupt

    monkeypatch.setattr(scan_command, "scan_line", given_up)
    code, out, _ = scan(line.spec, "--address", "2-3", "--json")
    said = json.loads(out)
    assert (code, said["complete"]) == (0, False)
    assert [one["address"] for one in said["protocols"][0]["found"]] == ["2"]
    assert 'meter = "ABB-3108845"' in said["configuration"]
    assert "there may be more on this line" in scan(line.spec, "--address", "2-3")[2]


def test_a_scan_does_not_overwrite_a_configuration(line: PtyMeterHost, tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text("precious")
    code, _, err = scan(line.spec, "--output", str(file))
    assert (code, file.read_text()) == (2, "precious")
    assert "exists already" in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--protocol", "mbuss"), "known: "),
        (("--settings", "fast"), "2400 8E1"),
        (("--transport", "udp"), "known: rtu, tcp"),
        (("--utility", "a/b"), "'a/b' cannot be a topic segment"),
    ],
)
def test_a_wrong_word_is_answered_with_the_right_ones(arguments: tuple[str, ...], says: str) -> None:
    code, _, err = hesper("scan", "tcp://127.0.0.1:1", *arguments)
    assert code == 2
    assert says in err


def test_wrong_addresses_are_one_protocols_trouble(line: PtyMeterHost) -> None:
    code, _, err = hesper("scan", line.spec, "--protocol", "modbus", "--address", "0-5")
    assert code == 1
    assert "cannot be asked: '0-5' names no Modbus unit ids" in err
    assert "write 1-247" in err


def read(spec: str, *more: str) -> Sequence[str]:
    return ("read", "--port", spec, "--address", "2", *ABB, *more)


def test_a_meter_is_read_without_a_configuration_and_named_by_its_serial_number(line: PtyMeterHost) -> None:
    code, out, _ = hesper(*read(line.spec, "--json"))
    assert code == 0
    said = json.loads(out)
    assert (said["meter"], said["retries"]) == ("ABB-3108845", 0)
    [readout] = said["readouts"]
    assert readout["values"]["1-0:1.8.0"] == {
        "name": "active energy import",
        "value": "19281.14",
        "unit": "kW.h",
    }
    assert bytes.fromhex(readout["raw"])[0] == 2


def test_swapped_wires_and_a_wrong_address_are_silence() -> None:
    with PtyMeterHost(Deaf(), PLAIN) as host:
        kind, steps = trouble(*read(host.spec))
    assert kind == "no answer"
    assert "unit id" in steps[0]
    assert any("swap the wires A and B" in step for step in steps)


def test_a_wrong_speed_is_silence_or_noise_and_a_scan_finds_the_right_one() -> None:
    for silent, expected in ((True, "no answer"), (False, "garbled answer")):
        meter = Tuned(family(2), SerialSettings(19200, 8, "N", 1), silent=silent)
        with PtyMeterHost(meter, PLAIN) as host:
            kind, steps = trouble(*read(host.spec))
            assert kind == expected
            assert any("hesper gateway scan" in step for step in steps)
            code, out, _ = hesper(
                *("scan", host.spec, "--protocol", "modbus", "--settings", "9600 8N1"),
                *("--settings", "19200 8N1", "--address", "2", "--timeout", "0.4", "--json"),
            )
            [protocol] = json.loads(out)["protocols"]
            assert (code, [one["settings"] for one in protocol["found"]]) == (0, ["19200 8N1"])


def test_a_wrong_parity_behind_a_serial_server_is_noise() -> None:
    with TcpMeterHost(Tuned(family(2), EVEN), PLAIN) as host:
        kind, steps = trouble(*read(host.spec))
    assert kind == "garbled answer"
    assert "speed or parity" in steps[0]


def test_an_address_that_is_taken_twice_is_noise() -> None:
    with PtyMeterHost(VirtualBus([family(2), family(2, "eastron-sdm630")]), PLAIN) as host:
        kind, steps = trouble(*read(host.spec))
    assert (kind, "taken twice" in steps[1]) == ("garbled answer", True)


def test_a_port_that_is_not_there_or_held_or_closed_is_the_lines_trouble(line: PtyMeterHost) -> None:
    kind, steps = trouble(*read("/dev/serial/by-id/nothing"))
    assert (kind, "plugged in" in steps[0]) == ("line", True)
    with serial.Serial(line.spec, exclusive=True):
        kind, steps = trouble(*read(line.spec))
    assert (kind, "another program holds the port" in steps[0]) == ("line", True)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    kind, steps = trouble(*read(f"tcp://127.0.0.1:{port}"))
    assert (kind, "nothing listens" in steps[0]) == ("line", True)
    kind, steps = trouble(*read("COM3"))
    assert (kind, "tcp://host:port" in steps[0]) == ("line", True)


def test_another_meter_than_the_configured_one_is_told(line: PtyMeterHost, tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    scan(line.spec, "--address", "2", "--output", str(file))
    file.write_text(file.read_text().replace("ABB-3108845", "ABB-47"))
    kind, steps = trouble("read", str(file))
    assert (kind, "swapped or readdressed" in steps[0]) == ("another meter", True)


def test_a_profile_of_another_model_is_refused_by_the_meter(line: PtyMeterHost) -> None:
    arguments = read(line.spec)
    kind, steps = trouble(*(("siemens-pac2200" if one == "abb-a-b-series" else one) for one in arguments))
    assert (kind, "model" in steps[0]) == ("refused by the meter", True)


def test_a_question_that_lacks_something_is_told_what(line: PtyMeterHost) -> None:
    kind, steps = trouble("read", "--port", line.spec, "--protocol", "modbus", "--address", "2")
    assert (kind, "docs/profiles.md" in steps[0]) == ("cannot be asked", True)
    code, _, err = hesper("read")
    assert code == 2
    assert "name a configuration" in err


def test_a_meter_must_be_meant_clearly(line: PtyMeterHost, tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    scan(line.spec, "--address", "2-3", "--output", str(file))
    code, _, err = hesper("read", str(file))
    assert code == 2
    assert "several meters can be meant: ABB-3108845 on" in err
    code, _, err = hesper("read", str(file), "ABB-1")
    assert code == 2
    assert "no such meter is configured, only: ABB-3108845 on" in err


class Telling(Driver):
    """A meter that keeps a month, has a clock and a weak battery; its protocol cannot be planned."""

    protocol = "mbus"

    def read(self, target: Target) -> list[Readout]:
        self.tally.exchanges += 2
        self.tally.retries += 1
        at = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
        present, kept = ({"6-0:1.0.0": Quantity(value, "kW.h")} for value in (5_500_000, 4_250_000))
        return [
            Readout("KAM-1", at, present, Status.POWER_LOW, b"\x01", at + timedelta(seconds=90)),
            Readout("KAM-1", datetime(2026, 10, 31, 23, 0, tzinfo=UTC), kept, Status.HISTORICAL),
        ]


def telling(protocol: str, line: Line, clock: Clock, **options: object) -> Driver:
    """In the place of `open_driver`."""
    return Telling(line, clock)


CONFIGURED = """
utility = "aurora"
gateway = "gw-7"
time_zone = "Europe/Berlin"
[mqtt]
host = "127.0.0.1"
[buffer]
path = "buffer.sqlite"
[[line]]
name = "basement"
port = "/dev/ttyUSB0"
protocol = "mbus"
schedule = "SCHEDULE"
[[line.meter]]
address = 5
"""


@pytest.fixture
def basement(tmp_path: Path) -> Path:
    file = tmp_path / "gateway.toml"
    file.write_text(CONFIGURED.replace("SCHEDULE", "10s"))
    return file


def test_a_readout_shows_what_the_meter_kept_its_status_and_its_clock(
    basement: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_command, "open_driver", telling)
    code, out, _ = hesper("read", str(basement))
    assert code == 0
    rows = [" ".join(row.split()) for row in out.splitlines() if row]
    assert rows == [
        "KAM-1 at 2026-11-22 13:00:00 CET status: power low",
        "its clock is 90 s ahead of ours",
        "register name value unit",
        "6-0:1.0.0 heat energy 5.5 kWh",
        "kept by the meter at 2026-11-01 00:00:00 CET",
        "register name value unit",
        "6-0:1.0.0 heat energy 4.25 kWh",
        "0.000 s on the wire, 2 requests, 1 of them again",
    ]
    said = json.loads(hesper("read", str(basement), "5", "--json")[1])
    assert [(one["at"], one["status"], one["clock"], one["raw"]) for one in said["readouts"]] == [
        ("2026-11-22T12:00:00+00:00", ["power low"], "2026-11-22T12:01:30+00:00", "01"),
        ("2026-10-31T23:00:00+00:00", ["historical"], None, ""),
    ]


def test_a_plan_that_does_not_fit_names_the_slot_and_what_to_do(
    basement: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Telling, "readout_time", lambda self, target: 12.0)
    monkeypatch.setattr(plan, "open_driver", telling)
    code, out, _ = hesper("plan", str(basement), "--meters")
    rows = [" ".join(row.split()) for row in out.splitlines()]
    assert code == 1
    assert rows[1] == "basement 1 12.00 s 120.0% 12.00 s no"
    assert rows[3] == "basement address 5 10s 12.00 s 120.00%"
    assert rows[4].startswith("basement: address 5 would miss its slot at")
    assert rows[5] == "basement: poll less often, raise the line's speed, or move meters to another line"
    code, out, _ = hesper("plan", str(basement), "--json")
    said = json.loads(out)
    assert (code, said["fits"], said["lines"][0]["utilisation"]) == (1, False, 1.2)
    assert said["lines"][0]["skipped"][0]["meter"] == "address 5"


def test_a_plan_says_what_is_listening_and_where_little_room_is_left(
    basement: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Telling, "readout_time", lambda self, target: 9.5)
    monkeypatch.setattr(Telling, "only_listens", lambda self, target: True)
    monkeypatch.setattr(plan, "open_driver", telling)
    code, out, _ = hesper("plan", str(basement))
    assert code == 0
    assert "basement: address 5 sends when it wants; the longest wait for it is counted" in out
    assert "basement: little is left for retries and meters that are gone; stay below 90%" in out
    assert json.loads(hesper("plan", str(basement), "--json")[1])["lines"][0]["meters"][0]["listens"] is True


@pytest.mark.parametrize(
    ("ahead", "told"), [(0.4, "0 s ahead of"), (-7300.0, "2 hours behind"), (-5e8, "5787 days behind")]
)
def test_a_meters_clock_is_told_in_a_unit_that_can_be_grasped(
    basement: Path, monkeypatch: pytest.MonkeyPatch, ahead: float, told: str
) -> None:
    monkeypatch.setattr(read_command, "open_driver", telling)
    monkeypatch.setattr(read_command, "drift", lambda readout: ahead)
    assert f"its clock is {told} ours" in hesper("read", str(basement))[1]


def test_a_meter_that_does_not_say_who_it_is_is_read_by_hand_all_the_same(tmp_path: Path) -> None:
    meter = VirtualOpticalMeter(EMH, decode_sets(b"1.8.0(000012.50*kWh)\r\n"))
    with PtyMeterHost(meter, OPTICAL) as host:
        code, out, _ = hesper("read", "--port", host.spec, "--protocol", "optical")
    assert (code, out.partition("  ")[0]) == (0, "EMH-1")


def test_a_password_is_taken_from_a_file_and_shown_nowhere(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("open sesame\n")
    with TcpMeterHost(meter_of(access=CLOSED, reaction=0.0), wiring=Wiring(time_scale=0)) as host:
        where = ("read", "--port", host.spec, "--protocol", "dlms", "--address", "32/1")
        code, out, err = hesper(*where, "--password-file", str(secret))
        assert (code, out.partition("  ")[0]) == (0, METER)
        assert "sesame" not in out + err
        assert hesper(*where, "--password-file", str(tmp_path))[0] == 2
        secret.write_text("sesame street")
        code, out, err = hesper(*where, "--password-file", str(secret))
        assert (code, "sesame" in out + err) == (1, False)
        assert "refused" in err
        code, _, err = hesper(*where[:-1], "16/1")
        assert (code, "another client may be shown it" in err) == (1, True)


def test_a_load_profile_is_read_by_hand(tmp_path: Path) -> None:
    with TcpMeterHost(meter_of(reaction=0.0), wiring=Wiring(time_scale=0)) as host:
        file = tmp_path / "gateway.toml"
        file.write_text(
            'utility = "u"\ngateway = "g"\ntime_zone = "Europe/Berlin"\nmqtt.host = "m"\nbuffer.path = "b"\n'
            f'[[line]]\nname = "l"\nport = "{host.spec}"\nprotocol = "dlms"\n'
            f'[[line.meter]]\nmeter = "{METER}"\nload_profile = true\n'
        )
        code, out, _ = hesper("read", str(file), "--since", "2026-11-23T03:30")
        said = json.loads(hesper("read", str(file), "--since", "2026-11-23T03:30", "--json")[1])
        assert json.loads(hesper("read", str(file), "--since", "2026-12-24", "--json")[1])["readouts"] == []
    rows = [" ".join(row.split()) for row in out.splitlines()]
    assert code == 0
    assert rows[1] == "2026-11-23 03:30 CET 1-0:1.8.0 active energy import 0.398 kWh"
    assert rows[3] == "2026-11-23 03:45 CET 1-0:1.8.0 active energy import 0.399 kWh"
    assert rows[5:7] == ["", "2 periods"]
    assert [(one["at"], one["status"]) for one in said["readouts"]] == [
        (f"2026-11-23T02:{minute}:00+00:00", ["historical"]) for minute in (30, 45)
    ]


@pytest.fixture
def heat() -> Iterator[PtyMeterHost]:
    meters = [VirtualMBusMeter(0, [WATER]), VirtualMBusMeter(7, [WATER])]
    with PtyMeterHost(VirtualBus(meters), SerialSettings(2400, 8, "E", 1)) as host:
        yield host


def test_a_new_m_bus_meter_is_given_an_address_that_nobody_has(heat: PtyMeterHost) -> None:
    new = ("commission", heat.spec, "--address", "0", "--timeout", "0.4")
    assert trouble(*new, "--to-address", "7", "--yes")[0] == "cannot be asked"
    assert hesper(*new, "--to-address", "5")[0] == 1, "it asks, and nobody says yes"
    assert hesper("read", "--port", heat.spec, "--protocol", "mbus", "--address", "0")[0] == 0
    code, out, _ = hesper(*new, "--to-address", "5", "--yes", "--json")
    assert (code, json.loads(out)) == (0, {"done": "set the address to 5", "address": "0"})
    assert hesper("read", "--port", heat.spec, "--protocol", "mbus", "--address", "5")[0] == 0
    assert hesper("commission", heat.spec, "--address", "5", "--reset", "--yes")[:2] == (0, "done\n")


def test_one_thing_at_a_time_is_done_to_a_meter(heat: PtyMeterHost) -> None:
    for asked in ([], ["--reset", "--to-baud", "9600"]):
        code, _, err = hesper("commission", heat.spec, "--address", "0", "--yes", *asked)
        assert (code, "say one thing" in err) == (2, True)


def test_a_telegram_is_explained_beside_the_installers_other_tools() -> None:
    code, out, _ = hesper("decode", WATER.hex())
    assert (code, out.partition("  ")[0]) == (0, "PAD-12345678")


def test_a_plan_says_of_whom_it_does_not_know_the_wire_time(
    basement: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "open_driver", telling)
    code, out, _ = hesper("plan", str(basement))
    assert code == 0
    assert "the wire time of 1 of its meters is not known and not counted (mbus cannot tell" in out


def test_every_kind_of_trouble_is_explained_to_installers() -> None:
    """docs/installing.md has a row for each."""
    text = (Path(__file__).resolve().parents[3] / "docs" / "installing.md").read_text("utf-8")
    named = [row.split("|")[1].strip(" `") for row in text.splitlines() if row.startswith("| `")]
    assert sorted(named) == sorted([*(kind for _, kind in KINDS), "suspicion", "nothing found"])
