"""Service points of which nothing was measured in a period: no meter was there, or one that never answered.

Each is an exception for every register that would have been billed, so that a close has an answer for every
service point: nothing drops out of a bill because nobody wrote an installation down.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from metering.billing.canonical_hash import BillingException, instant
from metering.billing.evidence import Evidence
from telemetry.obis import Medium, Obis

USUAL: Mapping[int, Obis] = {
    Medium.ELECTRICITY: Obis(1, 0, 1, 8, 0),
    Medium.HEAT_COST: Obis(4, 0, 1, 0, 0),
    Medium.COOLING: Obis(5, 0, 1, 0, 0),
    Medium.HEAT: Obis(6, 0, 1, 0, 0),
    Medium.GAS: Obis(7, 0, 3, 0, 0),
    Medium.COLD_WATER: Obis(8, 0, 1, 0, 0),
    Medium.HOT_WATER: Obis(9, 0, 1, 0, 0),
}
"""What is billed of a medium where no register is known yet. Points of other media are not missed."""


@dataclass(frozen=True, slots=True)
class UnmeteredPoint:
    """Service point at which no meter was installed in a period, and a register that is missed there.

    `obis`: a billed register of the meter nearest in time; None where no register of it is known, or no meter
    ever was there. `removed_at` and `installed_at`: the last removal before, the first installation after.
    """

    service_point_id: int
    medium: int
    obis: str | None
    removed_at: datetime | None
    installed_at: datetime | None


@dataclass(frozen=True, slots=True)
class UnreadMeter:
    """Meter at a service point of which no register is known: nothing of it ever arrived."""

    service_point_id: int
    medium: int
    meter: str


def no_meter(row: UnmeteredPoint) -> BillingException | None:
    """Exception of a point without a meter; None where it has no register that could be billed."""
    obis = row.obis or _usual(row.medium)
    if obis is None:
        return None
    if row.removed_at is None and row.installed_at is None:
        detail = "no meter was ever installed here"
        remedy = "record the installation with its start value"
    elif row.removed_at is None:
        assert row.installed_at is not None
        detail = f"the first meter was installed at {instant(row.installed_at)}"
        remedy = "if something was delivered before, record that installation with its start value"
    elif row.installed_at is None:
        detail = f"the last meter was removed at {instant(row.removed_at)}"
        remedy = "record the installation that followed with its start value"
    else:
        detail = (
            f"one meter was removed at {instant(row.removed_at)} and the next installed at "
            f"{instant(row.installed_at)}"
        )
        remedy = "record the installation in between with its start value"
    if row.installed_at is None:
        remedy += ", or end the service point (`ended_at` in the registry)"
    evidence = Evidence((), removed_at=_utc(row.removed_at), installed_at=_utc(row.installed_at))
    return BillingException(row.service_point_id, obis, "no_meter", f"{detail}: {remedy}", evidence)


def never_read(rows: Sequence[UnreadMeter], registers: Sequence[str]) -> list[BillingException]:
    """Exceptions of one point with meters that never answered, for `registers` of its other meters.

    Where it has no other, for the usual register of its medium.
    """
    meters = [row.meter for row in rows]
    usual = _usual(rows[0].medium)
    named = " and ".join(meters)
    detail = f"nothing was ever read of {named}: look why it does not answer, or import a reading"
    evidence = Evidence((), unread=tuple(meters))
    return [
        BillingException(rows[0].service_point_id, obis, "never_read", detail, evidence)
        for obis in registers or ([usual] if usual else [])
    ]


def _usual(medium: int) -> str | None:
    return str(USUAL[medium]) if medium in USUAL else None


def _utc(at: datetime | None) -> datetime | None:
    return None if at is None else at.astimezone(UTC)
