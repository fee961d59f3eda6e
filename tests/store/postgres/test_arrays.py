"""Binary arrays: what PostgreSQL reads is what numpy had, to the last microsecond."""

from datetime import UTC, datetime

import numpy as np
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from store.postgres.arrays import (
    _BIGINT,
    _SMALLINT,
    BigintArray,
    ByteaArray,
    IntArray,
    SmallintArray,
    TimestamptzArray,
    adapt,
    decode,
    encode,
    from_microseconds,
    microseconds,
)


@given(hnp.arrays(np.int64, st.integers(0, 50)))
def test_every_array_comes_back_as_it_went(array: np.ndarray) -> None:
    assert np.array_equal(decode(encode(array, _BIGINT), _BIGINT), array)


@given(st.datetimes(timezones=st.just(UTC)))
def test_instants_are_exact_to_the_microsecond(instant: datetime) -> None:
    assert from_microseconds(microseconds(instant)) == instant


def test_a_value_that_does_not_fit_is_refused_not_wrapped() -> None:
    with pytest.raises(OverflowError):
        encode(np.array([40_000], np.int64), _SMALLINT)


def test_the_server_understands_each_type(connection: psycopg.Connection) -> None:
    cursor = adapt(connection.cursor())
    at = datetime(2026, 10, 25, 0, 59, 59, 999_999, UTC)
    cursor.execute(
        "select %s::text, %s::text, %s::text, %s::text",
        (
            SmallintArray(np.array([-1, 32_767], np.int16)),
            IntArray(np.array([7], np.int32)),
            BigintArray(np.array([-(2**63), 2**63 - 1])),
            TimestamptzArray(np.array([microseconds(at)])),
        ),
    )
    assert cursor.fetchone() == (
        "{-1,32767}",
        "{7}",
        "{-9223372036854775808,9223372036854775807}",
        '{"2026-10-25 00:59:59.999999+00"}',
    )


def test_columns_of_arrays_arrive_as_numpy_arrays(connection: psycopg.Connection) -> None:
    cursor = adapt(connection.cursor())
    row = cursor.execute(
        "select array['2000-01-01Z'::timestamptz], array[1, 2]::int[], '{}'::bigint[]"
    ).fetchone()
    assert row is not None
    assert row[0].tolist() == [946_684_800_000_000]
    assert row[1].dtype == np.int32
    assert len(row[2]) == 0


def test_an_array_with_nulls_has_no_numpy_form(connection: psycopg.Connection) -> None:
    cursor = adapt(connection.cursor())
    cursor.execute("select array[1, null]::int[]")
    with pytest.raises(ValueError, match="nulls"):
        cursor.fetchone()


@pytest.mark.parametrize("items", [[], [b""], [b"\x68\x00\xff", b"", b"\x16" * 300]])
def test_byte_strings_arrive_as_they_are(connection: psycopg.Connection, items: list[bytes]) -> None:
    cursor = adapt(connection.cursor())
    assert cursor.execute("select %s", (ByteaArray(items),)).fetchone() == (items,)
