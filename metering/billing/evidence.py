"""Evidence of a billing reading as plain JSON: what anybody can check a figure with.

Values are decimals in the register's unit, instants ISO 8601 in UTC. `metering/billing/canonical_hash.py`
hashes it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from metering.billing.boundary import Boundary, Missing, ReadingAt
from metering.billing.canonical_hash import decimal, instant
from metering.billing.method import Method
from telemetry.micro import to_micro
from telemetry.status import Status


def boundary_evidence(found: Boundary | Missing) -> dict[str, Any]:
    """A boundary value with what it rests on, or why there is none."""
    if isinstance(found, Missing):
        return {
            "instant": instant(found.instant),
            "reason": found.reason,
            "passed_over": list(found.passed_over),
        }
    evidence = {
        "instant": instant(found.instant),
        "value": decimal(found.value),
        "method": found.method.value,
        "settled_at": instant(found.settled_at),
        "readings": [
            {
                "at": instant(reading.at),
                "value": decimal(reading.value),
                "status": int(reading.status),
                "status_labels": reading.status.labels(),
            }
            for reading in found.readings
        ],
        "passed_over": list(found.passed_over),
    }
    return evidence if found.basis is None else evidence | {"basis": dict(found.basis)}


def boundary_from(evidence: Mapping[str, Any]) -> Boundary:
    """The boundary of its evidence: the inverse of `boundary_evidence`."""
    return Boundary(
        datetime.fromisoformat(evidence["instant"]),
        to_micro(evidence["value"]),
        Method(evidence["method"]),
        datetime.fromisoformat(evidence["settled_at"]),
        tuple(
            ReadingAt(datetime.fromisoformat(each["at"]), to_micro(each["value"]), Status(each["status"]))
            for each in evidence["readings"]
        ),
        tuple(evidence["passed_over"]),
        evidence.get("basis"),
    )
