"""deploy/asyncapi.yaml and the code say the same."""

import runpy
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from telemetry import wire
from telemetry.topics import ROOT, Kind

TREE = Path(__file__).resolve().parents[2]
SCRIPT = runpy.run_path(str(TREE / "scripts" / "asyncapi-schemas"))
DOCUMENT = TREE / "deploy" / "asyncapi.yaml"
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
    assert document["components"]["schemas"] == SCRIPT["schemas"](), "run scripts/asyncapi-schemas"


def test_no_description_has_the_indentation_of_the_code() -> None:
    for name, schema in SCRIPT["schemas"]().items():
        assert "\n  " not in schema.get("description", ""), f"{name}: Python 3.13 strips it, 3.12 does not"


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
