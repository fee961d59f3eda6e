"""What a gateway shows of its configuration has every secret taken out, or is not shown at all."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.file import load_config
from gateway.remote.configuration_files import ConfigurationFiles
from gateway.remote.redacted import MASK, NotShownError, masked, running_text
from telemetry.wire import DesiredConfig
from tests.gateway.test_gateway_process import HEAD, MBUS_LINE, MBUS_METER

KEY = "00112233445566778899AABBCCDDEEFF"


def test_keys_and_passwords_are_masked_and_all_else_is_as_it_was_written() -> None:
    text = f"""\
# old: key = "{KEY.lower()}"
[[line]]
name = "password"   # a name like any other

[[line.meter]]
address = 1
key   = "{KEY}" # of the supplier
[[line.meter]]
'password' = '12"34'
key_file = "keys/2"
"""
    shown = masked(text)
    assert KEY not in shown.upper()
    assert "12" not in shown
    expected = text.replace(f'"{KEY}"', f'"{MASK}"').replace("'12\"34'", f'"{MASK}"')
    assert shown == expected.replace(KEY.lower(), MASK)


@pytest.mark.parametrize(
    "meters",
    [
        f'meter = [\n  {{address = 1, key = "{KEY}"}},\n  {{address = 2, password = "secret"}},\n]',
        'meter = [{address = 1, password = """\nsecret"""}]',
        '[[line.meter]]\npassword = """\nsecret"""',
        '[[line.meter]]\n"passw\\u006frd" = "secret"',
    ],
)
def test_a_secret_that_cannot_be_told_from_the_text_is_not_shown(meters: str) -> None:
    with pytest.raises(NotShownError, match="key_file"):
        masked(f'[[line]]\nname = "a"\n{meters}\n')


@given(secret=st.text(min_size=6), before=st.sampled_from(["", "address = 1\n", "# x\n"]))
def test_no_password_is_ever_shown(secret: str, before: str) -> None:
    quoted = '"' + "".join(f"\\U{ord(one):08x}" if not one.isalnum() else one for one in secret) + '"'
    text = f"[[line]]\n[[line.meter]]\n{before}password = {quoted}\n"
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return  # a lone surrogate: no TOML
    assert tomllib.loads(masked(text))["line"][0]["meter"][0]["password"] == MASK


def test_what_runs_is_shown_whichever_it_is_and_never_a_text_that_does_not_run(tmp_path: Path) -> None:
    installed = tmp_path / "gateway.toml"
    text = HEAD.format(port=1883, clock="trusted") + MBUS_LINE.format(port="/dev/ttyUSB0")
    installed.write_text(text + MBUS_METER.format(address=1))
    files, running = ConfigurationFiles(installed), load_config(installed)
    assert running_text(files, running, "") == installed.read_text()

    installed.write_text(text + MBUS_METER.format(address=2))
    with pytest.raises(NotShownError, match="was not started anew"):
        running_text(files, running, "")

    desired = DesiredConfig("12", text + MBUS_METER.format(address=3))
    with pytest.raises(NotShownError, match="being tried"):
        running_text(files, running, "12")
    files.keep(desired)
    assert running_text(files, running, "12") == desired.toml
