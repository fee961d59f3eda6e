"""Document of a message: the same names and forms as what `/v1/billing/{period}` gives to those who pull.

A message is made anew for each attempt and is the same to the byte: keys sorted, values exact decimals, and
nothing in it that could change after the close.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from metering.billing.canonical_hash import decimal, instant, offset
from metering.delivery.control_totals import control_sums
from metering.delivery.outgoing import OutgoingReading
from telemetry.quality import Quality

TYPE = "billing.readings"


def webhook_id(message_id: UUID) -> str:
    """The name of a message, the same at every attempt."""
    return f"msg_{message_id.hex}"


def body(
    name: str, utility: str, period: str, created_at: datetime, readings: Sequence[OutgoingReading]
) -> bytes:
    """JSON in UTF-8. `timestamp`: when the close made the message; count and totals are for control."""
    told = {
        "type": TYPE,
        "timestamp": instant(created_at),
        "data": {
            "delivery": name,
            "utility": utility,
            "period": period,
            "count": len(readings),
            "totals": totals(readings),
            "readings": [reading(each) for each in readings],
        },
    }
    return json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def totals(readings: Sequence[OutgoingReading]) -> dict[str, str]:
    """Consumption by `<obis> <unit>`, true-ups beside it, as a billing system is asked to sum them."""
    sums = control_sums((f"{each.obis} {each.unit}", each.consumption, each.true_up) for each in readings)
    return {name: decimal(total) for name, total in sums.items()}


def reading(row: OutgoingReading) -> dict[str, Any]:
    """One version of a billing reading."""
    return {
        "cursor": row.id,
        "service_point": {"code": row.service_point, "account": row.account or None},
        "meters": row.meters,
        "obis": row.obis,
        "unit": row.unit,
        "period": row.period,
        "version": row.version,
        "starts_at": {"utc": instant(row.starts_at), "local_offset": offset(row.start_offset)},
        "ends_at": {"utc": instant(row.ends_at), "local_offset": offset(row.end_offset)},
        "start_value": decimal(row.start_value),
        "end_value": decimal(row.end_value),
        "consumption": decimal(row.consumption),
        "true_up": None if row.true_up is None else decimal(row.true_up),
        "quality": {"code": row.quality, "label": Quality(row.quality).label},
        "methods": {"start": row.start_method, "end": row.end_method},
        "content_hash": row.content_hash.hex(),
        "created_at": instant(row.created_at),
        "details": f"/v1/billing-readings/{row.id}",
    }
