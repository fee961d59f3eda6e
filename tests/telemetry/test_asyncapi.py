"""deploy/asyncapi.yaml and the code say the same."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from telemetry import wire
from telemetry.topics import ROOT, Kind

DOCUMENT = Path(__file__).resolve().parents[2] / "deploy" / "asyncapi.yaml"
KINDS = {
    "batch": wire.Batch,
    "ack": wire.Ack,
    "status": wire.GatewayStatus,
    "health": wire.Health,
    "config": wire.DesiredConfig,
    "command": wire.Command,
    "reply": wire.Reply,
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    loaded = yaml.safe_load(DOCUMENT.read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def test_every_kind_of_topic_is_documented_and_no_other(document: dict[str, Any]) -> None:
    addresses = {channel["address"] for channel in document["channels"].values()}
    assert addresses == {f"{ROOT}/{{utility}}/{{gateway}}/{kind.value}" for kind in Kind}


def test_every_schema_is_the_code_s_own(document: dict[str, Any]) -> None:
    _, components = msgspec.json.schema_components(
        list(KINDS.values()), ref_template="#/components/schemas/{name}"
    )
    assert document["components"]["schemas"] == components, "run scripts/asyncapi-schemas"


@pytest.mark.parametrize("name", KINDS)
def test_every_example_is_a_message(document: dict[str, Any], name: str) -> None:
    examples = document["components"]["messages"][name]["examples"]
    assert examples
    for example in examples:
        payload = msgspec.json.encode(example["payload"])
        assert isinstance(wire.decode(payload, KINDS[name]), KINDS[name])
        assert set(example["payload"]) <= set(KINDS[name].__struct_fields__), "a field that the code ignores"


def test_the_size_limit_in_the_text_is_the_code_s(document: dict[str, Any]) -> None:
    assert f"{wire.MAX_MESSAGE_BYTES:,} bytes" in document["info"]["description"]
