"""Topics: what is not in the contract is refused, wildcards above all."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.topics import Kind, Topic, TopicError, subscription


def test_text_and_topic_are_inverse() -> None:
    text = "hesper/v1/stadtwerke/house-1/readings"
    assert str(Topic.parse(text)) == text
    assert Topic.parse(text) == Topic("stadtwerke", "house-1", Kind.READINGS)


@pytest.mark.parametrize("segment", ["+", "#", "a/b", "", "a+", " a", "a\x00", "-a", "ä", "x" * 65])
def test_a_segment_with_a_wildcard_or_separator_is_refused(segment: str) -> None:
    with pytest.raises(TopicError, match="cannot be a topic segment"):
        Topic("utility", segment, Kind.READINGS)


@pytest.mark.parametrize(
    "text",
    ["hesper/v2/u/g/readings", "hesper/v1/u/g", "hesper/v1/u/g/x", "hesper/v1/u/g/readings/x", "$SYS/broker"],
)
def test_other_topics_are_not_ours(text: str) -> None:
    with pytest.raises(TopicError):
        Topic.parse(text)


@given(st.text())
def test_any_text_is_a_topic_or_an_error(text: str) -> None:
    with contextlib.suppress(TopicError):
        assert str(Topic.parse(text)) == text


def test_ingesters_share_one_subscription() -> None:
    assert subscription(Kind.READINGS, share="ingest") == "$share/ingest/hesper/v1/+/+/readings"
    assert subscription(Kind.ACK) == "hesper/v1/+/+/ack"
    with pytest.raises(TopicError):
        subscription(Kind.ACK, share="#")
