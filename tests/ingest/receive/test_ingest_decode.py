"""Bytes to readouts: what is good is kept, what is not is a refusal, and nothing is raised."""

import json

from hypothesis import given
from hypothesis import strategies as st

from ingest.receive.decode import decode_readings
from ingest.receive.quarantine import QuarantineReason
from telemetry.wire import MAX_MESSAGE_BYTES, Batch, Miss

TOPIC = "hesper/v1/aurora/house/readings"
GOOD = {"meter": "KAM-1", "at": 1, "values": {"8-0:1.0.0": 1.5}}


def message(*readouts: object, **more: object) -> bytes:
    return json.dumps({"epoch": "e", "batch": 7, "sent_at": 1, "readouts": readouts} | more).encode()


def test_a_message_of_the_contract_is_decoded_whole() -> None:
    decoded = decode_readings(TOPIC, message(GOOD, GOOD))
    assert decoded.batch is not None
    assert [readout.values for readout in decoded.batch.readouts] == [{"8-0:1.0.0": 1.5}] * 2
    assert decoded.rows == 2
    assert not decoded.refusals


def test_broken_readouts_are_refused_one_by_one_and_the_others_kept() -> None:
    broken: list[object] = [
        GOOD | {"values": {"8-0:1.0.0": "twelve"}},
        GOOD | {"at": -1},
        {"meter": "KAM-1"},
        None,
    ]
    decoded = decode_readings(TOPIC, message(GOOD, *broken))
    assert decoded.batch is not None
    assert len(decoded.batch.readouts) == 1
    assert [refusal.reason for refusal in decoded.refusals] == [QuarantineReason.MALFORMED] * 4
    kept = json.loads(decoded.refusals[0].payload)
    assert kept == {"epoch": "e", "batch": 7, "sent_at": 1, "readouts": [broken[0]]}


def test_a_broken_missed_poll_costs_neither_the_others_nor_the_readouts() -> None:
    poll = {"meter": "KAM-1", "at": 2, "reason": "no answer"}
    decoded = decode_readings(TOPIC, message(GOOD, missed=[poll, {"meter": 3}]))
    assert decoded.batch is not None
    assert decoded.batch.missed == [Miss("KAM-1", 2, "no answer")]
    assert len(decoded.batch.readouts) == 1
    (refusal,) = decoded.refusals
    assert json.loads(refusal.payload)["missed"] == [{"meter": 3}]


def test_a_number_beyond_any_float_costs_only_its_own_readout() -> None:
    text = message(GOOD, GOOD | {"at": 2}).replace(b"1.5}}]", b"1e999}}]")
    decoded = decode_readings(TOPIC, text)
    assert decoded.batch is not None
    assert [readout.at for readout in decoded.batch.readouts] == [1]
    assert "out of range" in decoded.refusals[0].detail


def test_an_unusable_message_still_tells_which_batch_it_is() -> None:
    decoded = decode_readings(TOPIC, message(GOOD, readouts="none"))
    assert decoded.batch == Batch("e", 7, 0, [])
    assert [refusal.reason for refusal in decoded.refusals] == [QuarantineReason.MALFORMED]
    assert decoded.refusals[0].payload == message(GOOD, readouts="none")


def test_a_message_without_a_name_is_refused_whole() -> None:
    for payload in (
        b"",
        b"[",
        b"null",
        b"\xff\xfe",
        message(batch=0),
        message(epoch="a\x00b"),
        b"[" * 100_000,
    ):
        decoded = decode_readings(TOPIC, payload)
        assert decoded.batch is None
        assert [refusal.payload for refusal in decoded.refusals] == [payload]


def test_a_message_above_the_size_limit_is_refused_but_names_its_batch_so_that_it_is_not_sent_for_ever() -> (
    None
):
    decoded = decode_readings(TOPIC, message(GOOD) + b" " * MAX_MESSAGE_BYTES)
    assert decoded.batch == Batch("e", 7, 0, [])
    assert "at most" in decoded.refusals[0].detail


def test_a_foreign_topic_is_refused() -> None:
    decoded = decode_readings("hesper/v1/aurora/+/readings", message(GOOD))
    assert decoded.topic is None
    assert [refusal.reason for refusal in decoded.refusals] == [QuarantineReason.MALFORMED]


@given(st.text(), st.binary())
def test_arbitrary_bytes_are_refused_and_raise_nothing(topic: str, payload: bytes) -> None:
    assert decode_readings(topic, payload).refusals


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(GOOD, json_values)) | json_values, max_size=4)
)
def test_every_readout_of_a_readable_message_is_either_decoded_or_refused(readouts: list[object]) -> None:
    payload = json.dumps({"epoch": "e", "batch": 1, "sent_at": 1, "readouts": readouts})
    decoded = decode_readings(TOPIC, payload.encode("utf-8", "surrogatepass"))
    if decoded.batch is not None and decoded.batch.sent_at:
        assert len(decoded.batch.readouts) + len(decoded.refusals) == len(readouts)
    else:
        assert len(decoded.refusals) == 1
