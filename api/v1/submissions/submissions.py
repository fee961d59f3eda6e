"""`/v1/service-points/{code}/readings`: an inspector or a resident hands in a reading, and is told at once.

The program that sends it (a portal, an inspector's app) has the key and says who read the meter. What is
refused is kept as well, with the answer that was given. The same idempotency key gives the same answer.
"""

import hashlib
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated

from fastapi import Header, Path, Request
from fastapi.responses import Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from api.identity.authentication import KeyCaller, KeyHolder, Store, requires
from api.v1.idempotency import reused
from api.v1.routing import resources
from api.web.problems import Problem, not_found, respond
from api.web.services import services
from metering.access import Scope
from metering.submissions.plausibility import HISTORY, Refusal, refusal
from store.fleet.utilities import UtilityRow
from store.submissions import submissions
from store.submissions.submissions import ConflictError, RegisterRow, StoredSubmission, Submission
from store.submissions.windows import Opening, Window, in_force, opening, period_containing
from telemetry.micro import ValueOutOfRangeError, to_micro

router = resources("readings")

OLDEST = timedelta(days=7)  # between the reading of a meter and its hand-in
_ACCEPTED = "accepted"


class Role(StrEnum):
    """Who read the meter."""

    INSPECTOR = "inspector"
    RESIDENT = "resident"


class HandedIn(BaseModel):
    """A reading. `meter` and `obis` are needed only where the service point has several."""

    model_config = ConfigDict(extra="forbid")

    value: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,13}(\.[0-9]{1,6})?$")] = Field(
        description="As the meter shows it, in the register's unit.", examples=["412.318"]
    )
    read_at: AwareDatetime | None = Field(default=None, description="When it was read; default: now.")
    author: str = Field(min_length=1, max_length=200, description="Who read it: a name or a number of yours.")
    role: Role
    meter: str | None = Field(default=None, max_length=64, examples=["KAM-06855817"])
    obis: str | None = Field(default=None, max_length=32, examples=["8-0:1.0.0"])
    photo: str = Field(default="", max_length=500, description="A reference to a picture that you keep.")
    confirmed: bool = Field(default=False, description="An inspector has seen that a high value is right.")


class Receipt(BaseModel):
    """The reading was taken; `counts_in` is the period that it counts in."""

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
    return Receipt(
        id=kept.id,
        service_point=code,
        read_at=kept.read_at,
        value=value,
        counts_in=kept.counts_in,
        detail=kept.detail,
        at=kept.at,
    )


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
    today = now.astimezone(utility.zone).date()
    try:
        value = to_micro(reading.value)
    except ValueOutOfRangeError as error:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY, "wrong-digits", f"{error}. Read the meter again."
        ) from None
    window = in_force(submissions.windows(store, utility.id, medium), today)
    taken = opening(window, today) if window else None
    found = _register(submissions.registers_at(store, point_id, read_at), reading)
    register = found if isinstance(found, RegisterRow) else None
    wrong = _untimely(window, taken, today, read_at, now)
    if wrong is None and isinstance(found, Refusal):
        wrong = found
    if wrong is None and register is not None:
        known = submissions.history(store, register.id, read_at - HISTORY, read_at)
        confirmed = reading.confirmed and reading.role is Role.INSPECTOR
        wrong = refusal(value, read_at, register, known, confirmed=confirmed)
    counts_in, detail = _place(taken, today, utility, read_at)
    return Submission(
        service_point_id=point_id,
        register_id=register.id if register else None,
        read_at=read_at,
        value=value,
        role=reading.role,
        author=reading.author,
        photo=reading.photo,
        verdict=wrong.name if wrong else _ACCEPTED,
        detail=wrong.detail if wrong else detail,
        counts_in=None if wrong else counts_in,
        idempotency_key=idempotency_key,
        request_hash=fingerprint,
    )


def _untimely(
    window: Window | None, taken: Opening | None, today: date, read_at: datetime, now: datetime
) -> Refusal | None:
    """Why no reading of that instant is taken today."""
    if window and window.refuses_late and taken and today < taken.first:
        return Refusal(
            "window-closed",
            f"The window is closed until {taken.first}; it is open to {taken.last}. Read the meter then.",
        )
    if read_at > now:
        return Refusal(
            "read-in-future", f"{read_at:%Y-%m-%d %H:%M} UTC is still to come. Give the instant of reading."
        )
    if now - read_at > OLDEST:
        return Refusal(
            "read-long-ago", f"A reading is handed in within {OLDEST.days} days. Read the meter again."
        )
    return None


def _register(found: list[RegisterRow], reading: HandedIn) -> RegisterRow | Refusal:
    """The register that is meant, or why none is."""
    if reading.meter is not None and reading.meter not in {row.meter for row in found}:
        there = ", ".join(sorted({row.meter for row in found})) or "none"
        return Refusal(
            "meter-unknown",
            f"Meter {reading.meter} was not installed here then; installed: {there}. Compare its number.",
        )
    meant = [row for row in found if reading.meter in (None, row.meter) and reading.obis in (None, row.obis)]
    if len(meant) == 1:
        return meant[0]
    if not found:
        return Refusal("meter-unknown", "No meter with a billed register was installed here then.")
    choices = ", ".join(f"{row.meter} {row.obis}" for row in found)
    return Refusal("register-unclear", f"Name the meter and the register (obis), one of: {choices}.")


def _place(taken: Opening | None, today: date, utility: UtilityRow, read_at: datetime) -> tuple[str, str]:
    """(the period that a reading counts in, what the sender is told)."""
    if taken is None:
        period = period_containing(read_at.astimezone(utility.zone).date(), utility.reading_day)
        return period, f"Taken. It counts in {period}."
    if today >= taken.first:
        return taken.counts_in, f"Taken. It counts in {taken.counts_in}."
    return taken.counts_in, (
        f"Taken late: the days for readings are over, so it counts in {taken.counts_in}. "
        f"The next are from {taken.first} to {taken.last}."
    )
