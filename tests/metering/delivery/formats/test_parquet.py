"""Parquet: exact decimals and instants."""

import io
from decimal import Decimal

import pyarrow.parquet as pq

from telemetry.micro import from_micro, to_micro
from tests.metering.delivery.formats.samples import END, ROWS, row, written


def test_parquet_holds_exact_decimals_and_instants() -> None:
    table = pq.read_table(io.BytesIO(written("parquet")))
    assert str(table.schema.field("consumption").type) == "decimal128(19, 6)"
    assert str(table.schema.field("starts_at").type) == "timestamp[us, tz=UTC]"
    assert table.column("consumption").to_pylist() == [from_micro(each.consumption) for each in ROWS]
    assert table.column("meters").to_pylist()[0] == ["KAM-1", "KAM-2"]
    assert table.column("ends_at").to_pylist() == [END] * 5


def test_what_settles_earlier_estimates_is_a_column_of_its_own() -> None:
    settled = [row("flat-1", "8-0:1.0.0", "m3", "12.5", true_up=to_micro("-2.25"))]
    (stored,) = pq.read_table(io.BytesIO(written("parquet", settled))).to_pylist()
    assert stored["true_up"] == Decimal("-2.25")
