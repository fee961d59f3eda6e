"""A configuration that cannot be used says on which line, where, and what to write instead."""

import re
import tomllib
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.line import SerialSettings
from gateway.buffer.source import BufferLimits
from gateway.config.document import GatewayConfig
from gateway.config.file import ConfigError, load_config
from gateway.config.toml_lines import TomlLines

GOOD = """\
utility = "stadtwerke"
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
settings = "2400 8E1"
schedule = "1h"

[[line.meter]]
address = 5
meter = "KAM-06855817"
timeout = 1.5

[[line.meter]]
address = "6"
schedule = "midnight"

[[line]]
name = "roof"
port = "tcp://127.0.0.1:5000"
protocol = "modbus"

[[line.meter]]
address = 1
meter = "EAS-12345678"
profile = "eastron-sdm630"
"""


def load(tmp_path: Path, text: str) -> GatewayConfig:
    path = tmp_path / "gateway.toml"
    path.write_text(text, "utf-8")
    return load_config(path)


def problems(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, text)
    return str(refused.value).splitlines()


def test_a_whole_file_is_read_with_its_defaults(tmp_path: Path) -> None:
    config = load(tmp_path, GOOD)
    basement, roof = config.line
    assert (config.mqtt.port, config.clock) == (1883, "ntp")
    assert config.buffer.path == tmp_path / "buffer.sqlite", "paths count from the file's folder"
    assert basement.serial_settings == SerialSettings(2400, 8, "E", 1)
    assert roof.serial_settings == SerialSettings(9600, 8, "N", 1), "the protocol's own"
    assert [meter.address for meter in basement.meter] == ["5", "6"]
    assert [str(config.schedule(basement, meter)) for meter in basement.meter] == ["1h", "midnight"]
    target = config.target(basement.meter[0])
    assert (target.address, target.meter, target.timeout) == ("5", "KAM-06855817", 1.5)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            ('"mbus"', '"mbuss"'),
            ("line 14: [[line]] 'basement': protocol 'mbuss' is not known; "
            "use dlms, mbus, modbus, optical or sml"),
        ),
        (
            ('"2400 8E1"', '"2400 8X1"'),
            ("line 15: [[line]] 'basement': '2400 8X1' is not a serial setting such as "
            "'2400 8E1' or '9600 8N1'"),
        ),
        (
            ('"/dev/ttyUSB0"', '"COM3"'),
            ("line 13: [[line]] 'basement': 'COM3' names no line; write the path of a serial "
            "port (/dev/serial/by-id/...), or tcp://host:port"),
        ),
        (
            ('"midnight"', '"7min"'),
            ("line 25: [[line.meter]] '6': '7min' is not a schedule; use an interval that "
            "divides the hour, such as 15min, 1h or 10s, or midnight"),
        ),
        (
            ("timeout = 1.5", "load_profile = true"),
            ("line 21: [[line.meter]] 'KAM-06855817': mbus meters keep no load profile that could be "
            "read; remove it"),
        ),
        (
            ("timeout", "timeuot"),
            ("line 21: [[line.meter]] 'KAM-06855817': timeuot is not a setting; "
            "did you mean timeout?"),
        ),
        (
            ('address = "6"', 'address = "5"'),
            "line 24: [[line.meter]] '5': KAM-06855817 has address '5' on this line, too; mend one",
        ),
        (
            ("EAS-12345678", "KAM-06855817"),
            ("line 34: [[line.meter]] 'KAM-06855817': KAM-06855817 is on line 'basement' already; "
            "remove one"),
        ),
        (
            ('name = "roof"', 'name = "basement"'),
            ("line 28: [[line]] 'basement': another line is called 'basement' already; "
            "give each its own name"),
        ),
        (
            ("tcp://127.0.0.1:5000", "/dev/ttyUSB0"),
            ("line 29: [[line]] 'roof': line 'basement' has /dev/ttyUSB0 already; "
            "put its meters there"),
        ),
        (
            ('profile = "eastron-sdm630"', ""),
            ("line 32: [[line.meter]] 'EAS-12345678': Modbus needs a register map; "
            'write profile = "eastron-sdm630" or another profile'),
        ),
        (
            ('"eastron-sdm630"', '"eastron-sdm63"'),
            (
                "line 32: [[line.meter]] 'EAS-12345678': no profile 'eastron-sdm63'; take one of "
                "eastron-sdm630, or the path of a .toml file"
            ),
        ),
        (
            ('address = "6"', 'address = "251"'),
            (
                "line 24: [[line.meter]] '251': address '251' is no M-Bus address; give the primary "
                "address, 1 to 250 (0: a meter that has no address yet; 254: the only meter on the line), or "
                "the secondary one: the 8 digits on the meter, or 16 with maker, version and medium"
            ),
        ),
        (
            ("address = 1\n", "address = 248\n"),
            ("line 33: [[line.meter]] 'EAS-12345678': address '248' is not a Modbus unit; "
            "write a number from 1 to 247"),
        ),
        (
            ('"Europe/Berlin"', '"Berlin"'),
            "line 3: time_zone 'Berlin' is not known; use a name such as 'Europe/Berlin'",
        ),
        (
            ('"gw-7"', '"gw/7"'),
            ("line 2: 'gw/7' cannot be a topic segment: 1 to 64 letters, digits, '.', '_' or '-', "
            "beginning with a letter or digit ('+', '#' and '/' are refused)"),
        ),
        (
            ('host = "127.0.0.1"', ""),
            'line 5: [mqtt]: host is missing; write host = "mqtt.example.org"',
        ),
        (
            ('utility = "stadtwerke"', ""),
            'utility is missing; write utility = "stadtwerke"',
        ),
        (
            ('host = "127.0.0.1"', 'host = "127.0.0.1"\nport = 70000'),
            "line 7: [mqtt]: port = 70000: input should be less than or equal to 65535",
        ),
        (
            ('host = "127.0.0.1"', 'host = "127.0.0.1"\nca = "ca.pem"'),
            ("line 7: [mqtt]: there is no file {folder}/ca.pem; check the path, which counts from "
            "the configuration's folder"),
        ),
        (
            ('"1h"', "15"),
            ("line 16: [[line]] 'basement': schedule is a text or several; "
            'write schedule = "15min", or ["1h", "midnight"]'),
        ),
        (
            ('"midnight"', '"midnight"\nmin_interval = "often"'),
            ("line 26: [[line.meter]] '6': 'often' is not a length of time; write a number and its "
            "unit: 15min, 1h or 1d"),
        ),
        (
            ('"midnight"', '"15min"\nmin_interval = "1h"'),
            ("line 25: [[line.meter]] '6': schedule 15min asks more often than this meter's "
            'min_interval allows; write a slower one for it, such as schedule = "midnight"'),
        ),
        (
            ("timeout = 1.5", 'min_interval = "2h"'),
            ("line 21: [[line.meter]] 'KAM-06855817': schedule 1h asks more often than this meter's "
            'min_interval allows; write a slower one for it, such as schedule = "midnight"'),
        ),
        (
            ("timeout = 1.5", 'password = "a"\npassword_file = "gateway.toml"'),
            ("line 22: [[line.meter]] 'KAM-06855817': password is given already; write one of the two"),
        ),
        (
            ('protocol = "mbus"', 'protocol = "mbus"\nswitch_pause = 0.4'),
            "line 15: [[line]] 'basement': only optical heads need time to change speed; remove it",
        ),
        (
            ("meter = \"KAM-06855817\"", "meter = \"06855817\""),
            ("line 20: [[line.meter]] '06855817': '06855817' is not a meter id: three letters of "
            "the FLAG manufacturer, a hyphen, and the serial number in capitals and digits, "
            "such as KAM-06855817"),
        ),
        (
            ('name = "basement"', "name = basement"),
            ("line 12: this is not TOML: Invalid value; texts stand in quotes, "
            'as in name = "basement"'),
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_line_place_and_remedy(
    tmp_path: Path, change: tuple[str, str], expected: str
) -> None:
    (told,) = problems(tmp_path, GOOD.replace(*change))
    assert re.sub("^gateway.toml:? ", "", told) == expected.replace("{folder}", str(tmp_path))


SECRET = "0123456789ABCDEF0123456789abcdef"
METER = 'meter = "KAM-06855817"\n'


def test_secrets_reach_the_driver_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(SECRET + "\n", "utf-8")
    text = GOOD.replace(METER, f'{METER}key_file = "key"\npassword = "12345678"\n')
    config = load(tmp_path, text)
    target = config.target(config.line[0].meter[0])
    assert (target.key, target.password) == (bytes.fromhex(SECRET), "12345678")
    for shown in (repr(config), str(config), repr(target), config.model_dump_json()):
        assert SECRET not in shown
        assert "12345678" not in shown.replace("EAS-12345678", "")


@pytest.mark.parametrize(
    "secret",
    ['key = "0123456789ABCDEF"', "key = 123456789012", 'password = ["123456789012"]', 'key_file = "wrong"'],
)
def test_what_is_wrong_with_a_secret_is_said_without_showing_it(tmp_path: Path, secret: str) -> None:
    (tmp_path / "wrong").write_text("0123456789ABCDEF", "utf-8")
    (told,) = problems(tmp_path, GOOD.replace(METER, f"{METER}{secret}\n"))
    assert told.startswith("gateway.toml line 21: [[line.meter]] 'KAM-06855817': ")
    assert "123456789" not in told


def test_further_settings_are_read(tmp_path: Path) -> None:
    text = GOOD.replace('"buffer.sqlite"', '"buffer.sqlite"\nmax_days = 10\nmax_megabytes = 200')
    text = text.replace('schedule = "midnight"', 'schedule = ["1h", "midnight"]\nmin_interval = "1h"')
    text = text.replace(
        '"Europe/Berlin"', '"Europe/Berlin"\nclock_wait = "10min"\nmeter_clock_limit = "5min"'
    )
    config = load(tmp_path, text)
    assert config.buffer.limits == BufferLimits(days=10, bytes=200_000_000)
    meter = config.line[0].meter[1]
    assert str(config.schedule(config.line[0], meter)) == "1h and midnight"
    assert meter.min_interval == timedelta(hours=1)
    assert (config.clock_wait, config.meter_clock_limit) == (timedelta(minutes=10), timedelta(minutes=5))


def test_an_optical_head_may_need_time_to_change_its_speed(tmp_path: Path) -> None:
    text = GOOD.replace('"mbus"', '"optical"\nswitch_pause = 0.35').replace('"2400 8E1"', '"300 7E1"')
    assert load(tmp_path, text).line[0].driver_options == {"switch_pause": 0.35}


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = GOOD.replace('"1h"', '"2h"').replace('"modbus"', '"knx"').replace("[buffer]", "[bufer]")
    told = problems(tmp_path, text)
    assert [line.partition(":")[0] for line in told] == [
        "gateway.toml",
        "gateway.toml line 8",
        "gateway.toml line 16",
        "gateway.toml line 30",
    ]
    assert told[1] == "gateway.toml line 8: bufer is not a setting; did you mean buffer?"


def test_a_line_without_meters_is_told_what_to_add(tmp_path: Path) -> None:
    text = GOOD[: GOOD.index("[[line.meter]]")]
    assert problems(tmp_path, text) == [
        "gateway.toml line 11: [[line]] 'basement': meter is missing; write a table [[line.meter]] below it"
    ]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"none\.toml: cannot be read: No such file or directory; check the path"
    ):
        load_config(tmp_path / "none.toml")


keys = st.text("abcdefgh_", min_size=1, max_size=4)
values = st.one_of(
    st.integers(), st.booleans(), st.sampled_from(['"a = b"', "'[x]'", '"# no"', '"""\n[no]\nx = 1\n"""'])
).map(lambda value: str(value).lower() if isinstance(value, bool) else str(value))
long_values = st.lists(values, max_size=3).map(lambda items: "[\n  " + ",\n  ".join(items) + "\n]")


@given(st.lists(st.dictionaries(keys, st.one_of(values, long_values), max_size=4), max_size=4))
def test_each_key_of_an_array_of_tables_is_found_on_its_own_line(tables: list[dict[str, str]]) -> None:
    text, expected = "", {}
    for number, table in enumerate(tables):
        text += "[[t]]  # a comment with = and [\n\n"
        for key, value in table.items():
            expected["t", number, key] = text.count("\n") + 1
            text += f"{key} = {value} # done\n"
    tomllib.loads(text)
    lines = TomlLines(text)
    assert {path: lines.find(path) for path in expected} == expected


@given(st.text())
def test_no_text_upsets_the_line_finder(text: str) -> None:
    assert TomlLines(text).find(("line", 0)) is None or "line" in text


def test_the_configuration_in_the_readme_can_be_used(tmp_path: Path) -> None:
    readme = (Path(__file__).resolve().parents[3] / "gateway" / "README.md").read_text("utf-8")
    (example,) = re.findall(r"```toml\n(.*?)```", readme, re.DOTALL)
    config = load(tmp_path, example)
    assert [len(line.meter) for line in config.line] == [2, 1]
    assert config.mqtt_settings.tls is not None


HEAD = """
utility = "stadtwerke"
gateway = "gw-7"
time_zone = "Europe/Berlin"
[mqtt]
host = "broker"
[buffer]
path = "buffer.sqlite"
[[line]]
name = "head"
port = "/dev/ttyUSB1"
protocol = "PROTOCOL"
[[line.meter]]
"""


@pytest.mark.parametrize(
    ("protocol", "meter", "expected"),
    [
        ("optical", 'profile = "energomera"', None),
        ("optical", 'profile = "energomer"', "no optical profile 'energomer'; take one of iec,"),
        ("sml", "", None),
        ("sml", 'address = "5"', "an SML meter is alone on its head; remove it"),
        ("sml", 'profile = "iec"', "sml meters describe themselves; remove the profile"),
        ("dlms", 'address = "16"', None),
        ("dlms", 'address = "sixteen"', "address 'sixteen'"),
        ("dlms", f'address = "16"\nkey = "{"0f" * 32}"', None),
        ("mbus", f'address = "5"\nkey = "{"0f" * 32}"', "only DLMS has two keys; write the one of 32 digits"),
        ("mbus", 'address = "5"\nkey = "0f"', "a meter's key is 32 hexadecimal digits (AES-128)"),
    ],
)
def test_each_protocol_says_what_its_meters_need(
    tmp_path: Path, protocol: str, meter: str, expected: str | None
) -> None:
    text = HEAD.replace("PROTOCOL", protocol) + meter + "\n"
    if expected is None:
        load(tmp_path, text)
    else:
        (problem,) = problems(tmp_path, text)
        assert expected in problem


@pytest.mark.parametrize(
    ("protocol", "settings", "problem"),
    [
        ("dlms", "", None),
        ("optical", "", None),
        ("optical", 'profile = "energomera"', "the optical profile 'energomera' knows no load profile"),
        ("optical", 'profile = "iec-push"', "the optical profile 'iec-push' knows no load profile"),
        ("dlms", 'schedule = "1h"\nmin_interval = "1h"', "min_interval is not to be asked for more"),
        ("sml", "", "sml meters keep no load profile"),
    ],
)
def test_a_load_profile_is_wanted_only_of_meters_that_can_tell_it(
    tmp_path: Path, protocol: str, settings: str, problem: str | None
) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(
        'utility = "u"\ngateway = "g"\ntime_zone = "UTC"\nmqtt.host = "localhost"\nbuffer.path = "b"\n'
        f'[[line]]\nname = "l"\nport = "/dev/l"\nprotocol = "{protocol}"\n'
        f"[[line.meter]]\nload_profile = true\n{settings}\n"
    )
    if problem is None:
        assert load_config(file).line[0].meter[0].load_profile
    else:
        with pytest.raises(ConfigError, match=problem):
            load_config(file)
