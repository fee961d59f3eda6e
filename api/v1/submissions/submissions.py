"""`/v1/service-points/{code}/readings`: an inspector or a resident hands in a reading, and is told at once.

The program that sends it (a portal, an inspector's app) has the key and says who read the meter. What is
refused is kept as well, with the answer that was given. The same idempotency key gives the same answer.
"""

import hashlib
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import cache
from http import HTTPStatus
from typing import Annotated

from fastapi import Header, Path, Request
from fastapi.responses import Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from api.identity.authentication import KeyCaller, Store, requires
from api.identity.callers import KeyHolder
from api.v1.idempotency import reused
from api.v1.models import document_of
from api.v1.routing import resources
from api.web.problems import Problem, not_found, respond
from api.web.services import services
from metering.access import Scope
from metering.billing.rule_set import RuleSet, parse_rules
from metering.submissions.plausibility import SubmissionRefusal, refusal
from metering.submissions.receipt import Reception, SubmissionReceipt, register_meant
from store.billing.rule_sets import all_rules, verified_until
from store.fleet.utilities import UtilityRow
from store.submissions import submissions
from store.submissions.submissions import ConflictError, StoredSubmission, Submission
from telemetry.micro import ValueOutOfRangeError, to_micro
from telemetry.obis import Obis

router = resources("readings")

_BEFORE_ANY_WINDOW = timedelta(days=200)  # periods that ended before that take no readings any more
_ACCEPTED = "accepted"


class MeterReader(StrEnum):
    """Person who read the meter."""

    INSPECTOR = "inspector"
    RESIDENT = "resident"


class HandedIn(BaseModel):
    """Reading of a meter. `meter` and `obis` are needed only where the service point has several."""

    model_config = ConfigDict(extra="forbid")

    value: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,13}(\.[0-9]{1,6})?$")] = Field(
        description="As the meter shows it, in the register's unit.", examples=["412.318"]
    )
    read_at: AwareDatetime | None = Field(default=None, description="Instant of the reading; default: now.")
    author: str = Field(min_length=1, max_length=200, description="Who read it: a name or a number of yours.")
    role: MeterReader
    meter: str | None = Field(default=None, max_length=64, examples=["KAM-06855817"])
    obis: str | None = Field(default=None, max_length=32, examples=["8-0:1.0.0"])
    photo: str = Field(default="", max_length=500, description="A reference to a picture that you keep.")
    confirmed: bool = Field(default=False, description="An inspector has seen that a high value is right.")


class Receipt(BaseModel):
    """Receipt of a reading that was taken; `counts_in` is the period that it counts in."""

    id: int
    service_point: str
    read_at: datetime
    value: str
    counts_in: str
    detail: str
    at: datetime


@router.post(
    "/service-points/{code}/readings",
    dependencies=[requires(Scope.READINGS_WRITE)],
    status_code=201,
    response_model=Receipt,
    summary="Hand in a reading",
)
def hand_in(
    request: Request,
    caller: KeyCaller,
    store: Store,
    code: Annotated[str, Path(max_length=200)],
    reading: HandedIn,
    *,
    idempotency_key: Annotated[str, Header(min_length=1, max_length=100)],
) -> Receipt | Response:
    """201 when it is taken, else 422 with what is wrong: too low or high, digits, another meter, closed."""
    fingerprint = hashlib.sha256(f"{code}\n{reading.model_dump_json()}".encode()).digest()
    before = submissions.known(store, caller.utility.id, idempotency_key)
    if before is None:
        point = submissions.service_point(store, caller.utility.id, code)
        if point is None:
            raise not_found("This service point", "The registry lists its code, as in /v1/billing.")
        now = services(request).clock()
        judged = _judged(
            store,
            caller.utility,
            point,
            reading,
            now=now,
            idempotency_key=idempotency_key,
            fingerprint=fingerprint,
        )
        before = _keep(store, caller, judged, now)
    if before.request_hash != fingerprint:
        raise reused()
    return _answer(request, code, reading.value, before)


def _keep(store: Store, caller: KeyHolder, judged: Submission, now: datetime) -> StoredSubmission:
    try:
        kept = submissions.add(store, caller.utility.id, caller.key_id, judged, now)
    except ConflictError:
        raise Problem(
            HTTPStatus.CONFLICT,
            "reading-exists",
            "Another value is stored for this register and instant. Give the instant of your own reading.",
        ) from None
    if kept is None:  # the same was sent twice at once
        kept = submissions.known(store, caller.utility.id, judged.idempotency_key)
    assert kept is not None
    return kept


def _answer(request: Request, code: str, value: str, kept: StoredSubmission) -> Receipt | Response:
    if kept.counts_in is None:
        problem = Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY, kept.verdict, kept.detail, submission=kept.id, service_point=code
        )
        return respond(request, problem)  # returned, not raised: what was refused is kept
    return document_of(Receipt, kept, service_point=code, value=value)


def _judged(
    store: Store,
    utility: UtilityRow,
    point: tuple[int, int],
    reading: HandedIn,
    *,
    now: datetime,
    idempotency_key: str,
    fingerprint: bytes,
) -> Submission:
    """The reading with its verdict."""
    point_id, medium = point
    read_at = (reading.read_at or now).astimezone(UTC)
    try:
        value = to_micro(reading.value)
    except ValueOutOfRangeError as error:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY, "wrong-digits", f"{error}. Read the meter again."
        ) from None
    found = register_meant(submissions.registers_at(store, point_id, read_at), reading.meter, reading.obis)
    register = None if isinstance(found, SubmissionRefusal) else found
    if register is not None:
        medium = Obis.parse(register.obis).a
    reception = Reception(utility.zone, utility.reading_day, medium, _rules(store, utility.id))
    doubt: SubmissionRefusal | None = None
    answer: SubmissionReceipt | SubmissionRefusal | None = reception.untimely(read_at, now)
    if answer is None and isinstance(found, SubmissionRefusal):
        answer = found
    if answer is None and register is not None:
        known = submissions.history(store, register.id, read_at)
        doubt = refusal(value, read_at, register, known)
        confirmed = reading.confirmed and reading.role is MeterReader.INSPECTOR
        answer = refusal(value, read_at, register, known, confirmed=True) if doubt and confirmed else doubt
    if answer is None and register is not None:
        since = f"{read_at - _BEFORE_ANY_WINDOW:%Y-%m}"
        answer = reception.receipt(
            read_at,
            now,
            billed=submissions.billed_periods(store, point_id, register.obis, since),
            verified_until=_verified_until(store, utility, register.meter, now),
            doubted=doubt is not None,
        )
    assert answer is not None
    return Submission(
        service_point_id=point_id,
        register_id=register.id if register else None,
        read_at=read_at,
        value=value,
        role=reading.role,
        author=reading.author,
        photo=reading.photo,
        verdict=answer.name if isinstance(answer, SubmissionRefusal) else _ACCEPTED,
        detail=answer.detail,
        counts_in=None if isinstance(answer, SubmissionRefusal) else answer.counts_in,
        idempotency_key=idempotency_key,
        request_hash=fingerprint,
    )


def _rules(store: Store, utility_id: int) -> Callable[[date], RuleSet]:
    """The rule set for the period that begins on a local day."""
    rows = all_rules(store, utility_id)  # by validity
    parsed = cache(parse_rules)

    def on(day: date) -> RuleSet:
        content = next((row.content for row in reversed(rows) if row.valid_from <= day), None)
        return RuleSet() if content is None else parsed(content)

    return on


def _verified_until(store: Store, utility: UtilityRow, meter: str, now: datetime) -> date | None:
    today = now.astimezone(utility.zone).date()
    return verified_until(store, [meter], utility.id, today).get(meter)
