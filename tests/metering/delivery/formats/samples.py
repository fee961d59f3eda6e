"""Billing readings of several media, and the file of a format that holds them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import strategies as st

from metering.delivery.formats import BILLING_WRITERS, FORMATS
from metering.delivery.outgoing import Issue, OutgoingReading
from telemetry.micro import to_micro

START, END = datetime(2026, 9, 30, 22, tzinfo=UTC), datetime(2026, 10, 31, 23, tzinfo=UTC)
ISSUE = Issue("stadt", "2026-10", START, END, 9, datetime(2026, 11, 2, 8, tzinfo=UTC))


def row(
    point: str, obis: str, unit: str, used: str, *, start: str = "100", **fields: object
) -> OutgoingReading:
    made = OutgoingReading(
        id=4,
        service_point=point,
        account="40001",
        meters=["KAM-1", "KAM-2"],
        obis=obis,
        unit=unit,
        period="2026-10",
        version=1,
        starts_at=START,
        ends_at=END,
        start_offset=timedelta(hours=2),
        end_offset=timedelta(hours=1),
        start_value=to_micro(start),
        end_value=to_micro(Decimal(start) + Decimal(used)),
        consumption=to_micro(used),
        quality=0,
        start_method="set_day",
        end_method="reading",
        content_hash=b"\x01" * 32,
        created_at=datetime(2026, 11, 1, 5, tzinfo=UTC),
    )
    return replace(made, **fields)  # type: ignore[arg-type]


ROWS = [
    row("flat-1 & <co>", "1-0:1.8.1", "kW.h", "123.456"),
    row("flat-1 & <co>", "1-0:1.8.2", "kW.h", "0.000001", version=2, quality=9, end_method="interpolation"),
    row("flat-2", "8-0:1.0.0", "m3", "12.5", meters=[]),
    row("flat-3", "6-0:1.0.0", "Gcal", "1.234567", account=""),
    row("flat-4", "6-0:1.0.0", "GJ", "-0.5", quality=10),
]

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def written(name: str, rows: list[OutgoingReading] | None = None, dialect: str | None = None) -> bytes:
    """The file of a format."""
    writer = BILLING_WRITERS[name] if dialect is None else FORMATS[name].dialects[dialect]
    return b"".join(writer(ISSUE, iter(ROWS if rows is None else rows)))
