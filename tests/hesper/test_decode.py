"""`hesper decode`: what people and programs get for a telegram, and for what is none."""

import json
from pathlib import Path

import pytest

from drivers.errors import DecodeError
from hesper.decode import TelegramInputError, explain, read_source, run

WATER = (
    "68 1F 1F 68 08 02 72 78 56 34 12 24 40 01 07 55 00 00 00 "
    "03 13 15 31 00 DA 02 3B 13 01 8B 60 04 37 18 02 18 16"
)
BUSY = "68 04 04 68 08 01 70 08 81 16"


def test_json_explains_every_record_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(WATER, as_json=True) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    shown = json.loads(captured.out)
    assert shown.pop("protocol") == "mbus"
    assert shown == {
        "meter": "PAD-12345678",
        "manufacturer": "PAD",
        "medium": "water",
        "status": [],
        "records": [
            {
                "function": "instantaneous",
                "storage": 0,
                "tariff": 0,
                "subunit": 0,
                "quantity": "volume",
                "unit": "m3",
                "value": "12.565",
                "obis": "8-0:1.0.0",
            },
            {
                "function": "maximum",
                "storage": 5,
                "tariff": 0,
                "subunit": 0,
                "quantity": "volume flow",
                "unit": "m3/h",
                "value": "0.113",
                "obis": None,
            },
            {
                "function": "instantaneous",
                "storage": 0,
                "tariff": 2,
                "subunit": 1,
                "quantity": "energy",
                "unit": "kW.h",
                "value": "218.37",
                "obis": None,
            },
        ],
    }


def test_a_person_gets_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(WATER, as_json=False) == 0
    shown = capsys.readouterr().out
    assert "PAD-12345678  water  status: no errors reported" in shown
    row = next(line for line in shown.splitlines() if line.startswith("volume "))
    assert row.split() == ["volume", "12.565", "m³", "8-0:1.0.0"]


@pytest.mark.parametrize(
    ("source", "says"),
    [(BUSY, "application busy"), ("68 03 03 68", "ends too early"), ("no such file", "neither a telegram")],
)
def test_what_cannot_be_decoded_is_said_clearly(
    source: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(source, as_json=True) == 1
    captured = capsys.readouterr()
    assert says in json.loads(captured.out)["error"]
    assert captured.err == ""
    assert run(source, as_json=False) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Cannot decode" in captured.err
    assert says in " ".join(captured.err.split())


def test_a_file_may_hold_hex_text_or_the_bytes_themselves(tmp_path: Path) -> None:
    raw = bytes.fromhex(WATER)
    (tmp_path / "text.hex").write_text(WATER.replace(" 68 08", "\n68 08"))
    (tmp_path / "raw.bin").write_bytes(raw)
    assert read_source(str(tmp_path / "text.hex")) == raw
    assert read_source(str(tmp_path / "raw.bin")) == raw
    assert read_source(WATER.lower().replace(" ", "")) == raw
    with pytest.raises(TelegramInputError):
        read_source(str(tmp_path))


def test_values_that_are_no_numbers_are_text() -> None:
    heading = "08 02 72 78 56 34 12 24 40 01 04 55 16 00 00"
    payload = bytes.fromhex(heading + "42 6C 5F 1C 0D 7C 02 42 41 02 44 43 0C 06 BD EB DD DD 0F 01 02")
    head = bytes((0x68, len(payload), len(payload), 0x68))
    explanation = explain(head + payload + bytes((sum(payload) & 0xFF, 0x16)))
    assert [(r.function, r.quantity, r.value) for r in explanation.records] == [
        ("instantaneous", "date", "2010-12-31"),
        ("instantaneous", "AB", "CD"),
        ("instantaneous", "energy", None),
        ("manufacturer specific", "manufacturer data", "01 02"),
    ]
    assert explanation.status == ["power low", "temporary error", "application error"]


def test_every_real_telegram_is_explained(shared_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in sorted((shared_data / "mbus-frames").glob("*.hex")):
        assert run(str(path), as_json=True) == 0, path.stem
        assert run(str(path), as_json=False) == 0
    for path in sorted((shared_data / "mbus-error-frames").glob("*.hex")):
        assert run(str(path), as_json=True) == 1, path.stem
    capsys.readouterr()
    with pytest.raises(DecodeError):
        explain(b"")
