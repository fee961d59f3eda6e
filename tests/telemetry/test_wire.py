"""The wire format: round trips, and WireError for everything else."""

import contextlib
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry import wire
from telemetry.micro import LIMIT
from telemetry.obis import Obis
from telemetry.readout import Quantity, Readout
from telemetry.status import Status
from telemetry.wire import Ack, Batch, GatewayStatus, Health, Outcome, WireError
from tests.telemetry.read_back import read_back

AT = datetime(2026, 11, 22, 0, 0, tzinfo=UTC)
MESSAGES = [Batch, Ack, GatewayStatus, Health]

quantities = st.one_of(
    st.builds(Quantity, st.integers(-(10**15) + 1, 10**15 - 1), st.just("m3")),
    st.builds(lambda tens: Quantity(tens * 10, "m3"), st.integers(-LIMIT // 10 + 1, LIMIT // 10 - 1)),
)
readouts = st.builds(
    Readout,
    meter=st.just("KAM-06855817"),
    at=st.integers(0, 4_102_444_800_000).map(wire.from_milliseconds),
    values=st.dictionaries(st.sampled_from(["8-0:1.0.0", "6-0:2.0.0", "9-1:1.0.2"]), quantities),
    status=st.integers(0, 2047).map(Status),
    raw=st.binary(max_size=40),
)


@given(readouts)
def test_a_readout_survives_the_wire(readout: Readout) -> None:
    batch = Batch("b7c1", 4711, 1_795_305_603_120, [wire.wire_readout(readout)])
    received = wire.decode(wire.encode(batch), Batch)
    assert received == batch
    assert read_back(received.readouts[0]) == readout


def test_the_documented_message_is_understood() -> None:
    text = b"""{"epoch":"b7c1","batch":4711,"sent_at":1795305603120,"of a later version":{},
     "readouts":[{"meter":"KAM-06855817","at":1795305600000,"status":0,
                  "values":{"6-0:1.0.0":37319.0,"6-0:2.0.0":56.108},"raw":"aPf3aAgR"}]}"""
    readout = read_back(wire.decode(text, Batch).readouts[0])
    assert readout.at == AT
    assert readout.values == {
        "6-0:1.0.0": Quantity(37_319_000_000, "kW.h"),
        "6-0:2.0.0": Quantity(56_108_000, "m3"),
    }
    assert readout.raw == bytes.fromhex("68F7F7680811")


def test_a_unit_is_named_only_where_it_is_not_the_usual_one() -> None:
    values = {"6-0:1.0.0": Quantity(1, "GJ"), "6-0:2.0.0": Quantity(1, "m3")}
    sent = wire.wire_readout(Readout("KAM-1", AT, values))
    assert sent.units == {"6-0:1.0.0": "GJ"}
    assert read_back(sent).values == values


@given(st.sampled_from(MESSAGES), st.binary(max_size=200))
def test_arbitrary_bytes_are_a_wire_error(kind: type[msgspec.Struct], payload: bytes) -> None:
    with pytest.raises(WireError):
        wire.decode(payload, kind)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["epoch", "batch", "sent_at", "readouts", "meter", "at", "values"]), inner
        )
    ),
    max_leaves=12,
)


@given(st.sampled_from(MESSAGES), json_values)
def test_any_json_is_a_message_or_a_wire_error(kind: type[msgspec.Struct], value: object) -> None:
    with contextlib.suppress(WireError):
        assert isinstance(wire.decode(msgspec.json.encode(value), kind), kind)


@pytest.mark.parametrize(
    "payload",
    [b"[" * 100_000, b'{"epoch":' * 50_000, b"x" * 1_000_001, b'{"epoch":"\xff"}'],
    ids=["deep list", "deep object", "too large", "not UTF-8"],
)
def test_hostile_payloads_are_a_wire_error(payload: bytes) -> None:
    with pytest.raises(WireError):
        wire.decode(payload, Batch)


def test_a_code_without_a_usual_unit_must_name_one() -> None:
    sent = wire.WireReadout("KAM-1", 0, {"1-0:99.99.9": 1.0})
    assert Obis.parse("1-0:99.99.9").unit is None
    with pytest.raises(WireError, match="no usual unit"):
        read_back(sent)


def test_an_ack_says_what_became_of_each_batch() -> None:
    ack = Ack("b7c1", [1, 2], [Outcome(1, stored=5), Outcome(2, known=4, quarantined={"unknown_meter": 1})])
    assert wire.decode(wire.encode(ack), Ack) == ack
