"""`/v1/meters/{meter_id}/verifications`: from when to when a meter may be billed by."""

from datetime import date

import msgspec
from pydantic import BaseModel

from api.identity.authentication import KeyCaller, Store, requires
from api.v1.idempotency import ONCE
from api.v1.models import document_of
from api.v1.registry.meters import MeterId, find_meter, meter_entry
from api.v1.registry.registration import EntryChange, Text, already_registered, register
from api.v1.routing import resources
from metering.access import Scope
from metering.registry.entries import VerificationEntry
from store.fleet import meters as meter_queries
from store.postgres.locks import hold

router = resources("meters")


class MeterVerification(BaseModel):
    """A verification of a meter: it holds from `verified_on` until the day `valid_until`, not included."""

    verified_on: date
    valid_until: date
    certificate: str


class VerificationList(BaseModel):
    """A meter's verifications, the first one first; `verified_until`: the last day that any of them says."""

    meter: str
    verified_until: date | None
    verifications: list[MeterVerification]


class NewVerification(EntryChange):
    """A verification that was made."""

    verified_on: date
    valid_until: date
    certificate: Text = ""


@router.get(
    "/meters/{meter_id}/verifications",
    dependencies=[requires(Scope.METERS_READ)],
    summary="A meter's verifications and from when to when they hold",
)
def list_verifications(caller: KeyCaller, store: Store, meter_id: MeterId) -> VerificationList:
    """The first one first."""
    row = find_meter(caller, store, meter_id)
    return VerificationList(
        meter=row.code,
        verified_until=row.verified_until,
        verifications=[
            document_of(MeterVerification, one) for one in meter_queries.verifications(store, row.id)
        ],
    )


@router.post(
    "/meters/{meter_id}/verifications",
    dependencies=[requires(Scope.REGISTRY_WRITE), ONCE],
    status_code=201,
    summary="Record a verification of a meter",
)
def record_verification(
    caller: KeyCaller, store: Store, meter_id: MeterId, new: NewVerification
) -> VerificationList:
    """The meter is verified until the latest day that any of its verifications holds."""
    hold(store, "meters", find_meter(caller, store, meter_id).id)
    row = find_meter(caller, store, meter_id)
    if any(one.verified_on == new.verified_on for one in meter_queries.verifications(store, row.id)):
        raise already_registered(
            f"A verification of {meter_id} on that day", f"/v1/meters/{meter_id}/verifications"
        )
    made = VerificationEntry(new.verified_on, new.valid_until, new.certificate)
    register(store, caller, new, meters=[msgspec.structs.replace(meter_entry(row), verifications=[made])])
    return list_verifications(caller, store, meter_id)
