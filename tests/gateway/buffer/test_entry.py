"""A row comes back as it was written, or is known to be damaged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.buffer.entry import DamagedEntryError, Entry, pack, unpack
from telemetry.micro import to_wire
from telemetry.wire import Miss, WireReadout

text = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=20)
instants = st.integers(0, 253_402_300_799_999)
readouts = st.builds(
    WireReadout,
    meter=text,
    at=instants,
    values=st.dictionaries(text, st.integers(-9 * 10**15, 9 * 10**15).map(to_wire), max_size=20),
    status=st.integers(0, 32_767),
    units=st.dictionaries(text, text, max_size=3),
    raw=st.binary(max_size=300),
)
entries = readouts | st.builds(Miss, meter=text, at=instants, reason=text)


@given(entries)
def test_a_row_comes_back_as_it_was_written(entry: Entry) -> None:
    assert unpack(pack(entry)) == entry


@given(entries, st.data())
def test_any_changed_byte_is_noticed(entry: Entry, data: st.DataObject) -> None:
    body = bytearray(pack(entry))
    body[data.draw(st.integers(0, len(body) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(DamagedEntryError):
        unpack(bytes(body))


@given(st.binary(max_size=60) | st.none() | st.integers() | st.text())
def test_whatever_the_file_holds_raises_nothing_but_its_own_error(body: object) -> None:
    with pytest.raises(DamagedEntryError):
        unpack(body)


def test_a_telegram_costs_little_more_than_its_bytes() -> None:
    telegram = bytes(range(200))
    values = {f"6-0:{register}.0.0": 37319.0 + register for register in range(1, 13)}
    body = pack(WireReadout("KAM-06855817", 1_795_305_600_000, values, raw=telegram))
    assert len(body) < len(telegram) + 130
