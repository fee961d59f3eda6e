"""Canonical content: what was issued before evidence was a struct keeps its text and hash, to the byte."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.billing.boundary import Boundary, Missing, ReadingAt, boundary_of
from metering.billing.canonical_hash import CanonicalContent, canonical
from metering.billing.evidence import Evidence, evidence_from
from metering.billing.method import Method
from telemetry.status import Status

ISSUED = [
    json.loads(line)
    for line in Path(__file__)
    .with_name("canonical_of_untyped_evidence.jsonl")
    .read_text(encoding="utf-8")
    .splitlines()
]
"""Content and hash of one billing reading of each shape, as the closes of the tests gave them before."""

AT = datetime(2026, 9, 30, 22, tzinfo=UTC)


def fields(kind: Any) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(kind)}


def keys(value: Any) -> set[str]:
    if isinstance(value, list):
        return set().union(*map(keys, value))
    return set(value).union(*map(keys, value.values())) if isinstance(value, dict) else set()


def test_issued_content_keeps_its_text_and_its_hash() -> None:
    assert len(ISSUED) == 39
    for issued in ISSUED:
        content = msgspec.json.decode(issued["content"], type=CanonicalContent)
        assert canonical(content) == issued["content"]
        assert hashlib.sha256(canonical(content).encode()).hexdigest() == issued["sha256"]


def test_issued_evidence_is_read_whole_from_what_the_database_has() -> None:
    for issued in ISSUED:
        stored = json.loads(issued["content"])["evidence"]
        assert json.loads(canonical(evidence_from(stored))) == stored
        for part in evidence_from(stored).installations:
            for end in (part.start, part.end):
                assert boundary_of(end).evidence() == end


def test_issued_evidence_has_every_field_at_least_once() -> None:
    told = set().union(*(keys(json.loads(issued["content"])) for issued in ISSUED))
    of_exceptions_only = {"removed_at", "installed_at", "unread"}
    assert told >= fields(CanonicalContent) | fields(Evidence) - of_exceptions_only
    assert told >= {"carried", "settled", "basis", "norms", "periods", "rule", "kind", "reason", "true_up"}


@pytest.mark.parametrize(
    ("name", "value"), [("meter", 7), ("start", None), ("consumption", "much"), ("multiplied", "2")]
)
def test_evidence_that_nobody_wrote_so_is_none(name: str, value: object) -> None:
    stored = json.loads(ISSUED[0]["content"])["evidence"]
    stored["installations"][0][name] = value
    assert evidence_from(stored) == Evidence(())


places = st.datetimes(
    AT.replace(year=1990, tzinfo=None), AT.replace(year=2100, tzinfo=None), timezones=st.just(UTC)
)
readings = st.builds(
    ReadingAt,
    places,
    st.integers(-(10**15), 10**15),
    st.builds(Status, st.integers(0, 255)),
)
reasons = st.lists(st.text(), max_size=3).map(tuple)
boundaries = st.builds(
    Boundary,
    places,
    st.integers(-(10**15), 10**15),
    st.sampled_from(Method),
    places,
    st.lists(readings, max_size=2).map(tuple),
    reasons,
)


@given(boundaries | st.builds(Missing, places, st.text(), reasons))
def test_canonical_text_is_sorted_json_without_spaces(found: Boundary | Missing) -> None:
    evidence = found.evidence()
    plain = msgspec.to_builtins(evidence)
    assert canonical(evidence) == json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert msgspec.convert(plain, type(evidence)) == evidence


@given(boundaries)
def test_a_boundary_comes_back_from_its_evidence(found: Boundary) -> None:
    assert boundary_of(found.evidence()) == found


def test_instants_are_written_in_utc_whatever_the_clock() -> None:
    local = AT.astimezone(ZoneInfo("Asia/Kathmandu")) + timedelta(microseconds=100)
    assert '"instant":"2026-09-30T22:00:00.000100Z"' in canonical(Missing(local, "", ()).evidence())
