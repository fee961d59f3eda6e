"""Stored telegrams on pages: decoded where it can be said what they mean, and the reason where not."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from api.web.telegrams import Undecoded
from drivers.driver import Target
from drivers.line import SerialSettings
from drivers.modbus.master import ModbusDriver
from drivers.modbus.profile_file import load_profile
from drivers.modbus.virtual import RegisterMeter
from drivers.simulated import SimulatedLine
from hesper.telegrams import decode
from telemetry.explanation import Explanation
from tests.hesper.test_decode import BUSY, WATER

MODELS = ("", "SDM630", "eastron-sdm120", "no such model")


def captured(profile: str) -> bytes:
    """What a readout of a Modbus meter keeps as its telegram."""
    meter = RegisterMeter(7, lambda: load_profile(profile).golden[0].words)
    driver = ModbusDriver(
        SimulatedLine(meter, SerialSettings(9600)), lambda: datetime(2026, 11, 22, tzinfo=UTC)
    )
    [readout] = driver.read(Target("7", meter="EAS-22001234", profile=profile))
    return readout.raw


def test_an_m_bus_telegram_is_decoded_whatever_the_registry_says_of_the_model() -> None:
    for model in MODELS:
        said = decode(bytes.fromhex(WATER), model)
        assert isinstance(said, Explanation)
        assert said.records[0].value == "12.565"


def test_a_modbus_telegram_is_decoded_by_the_profile_that_the_model_names() -> None:
    said = decode(captured("eastron-sdm630"), "SDM630")
    assert isinstance(said, Explanation)
    assert {"1-0:1.8.0"} <= {record.obis for record in said.records}


def test_a_modbus_telegram_of_a_meter_without_a_known_model_says_what_to_do() -> None:
    for model in ("", "DRS-1"):
        said = decode(captured("eastron-sdm630"), model)
        assert isinstance(said, Undecoded)
        assert "model in the registry" in said.reason


def test_a_refusal_of_the_meter_is_no_reading() -> None:
    assert "busy" in str(decode(bytes.fromhex(BUSY), ""))


@given(raw=st.binary(max_size=300), model=st.sampled_from(MODELS))
def test_any_bytes_have_an_answer(raw: bytes, model: str) -> None:
    assert isinstance(decode(raw, model), Explanation | Undecoded)
