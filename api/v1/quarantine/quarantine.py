"""`/v1/quarantine`: what came and could not be used, and `/v1/new-meters`: who reports and is not registered.

Nothing of it is lost: a person mends the cause and has it replayed, accepts the meter, or discards it. Each
is a request that a worker does; the answer tells where it says what came of it.
"""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.identity.authentication import KeyCaller, Store, requires
from api.v1.conditional import UNCHANGED, Conditional
from api.v1.fields import Fields, Sparse, fields_of
from api.v1.idempotency import ONCE
from api.v1.models import document_of
from api.v1.parameters import LARGEST_ID, MOST, Code, Id, Limit
from api.v1.quarantine import payloads
from api.v1.routing import resources
from api.v1.tasks import TaskDocument, document
from api.web.problems import invalid, not_found
from metering.access import Scope
from store import quarantine
from store.quarantine import QuarantineRow, Selection
from store.registry.strangers import stranger, strangers_page
from store.tasks import TaskKind, ask

router = resources("quarantine")

Text = Annotated[str, StringConstraints(max_length=2000, pattern=r"\S")]


EntryState = Literal["waiting", "replayed", "discarded"]


class Waiting(Sparse):
    """Entry of the quarantine. `detail` says why; `state` what became of it."""

    id: int
    state: EntryState
    reason: str = Field(examples=["unknown_meter"])
    detail: str
    gateway: str
    meter: str | None
    bytes: int
    received_at: datetime


class WaitingValue(BaseModel):
    """A value as it came; `unit` null: the register's usual one."""

    obis: str
    value: float
    unit: str | None


class WaitingReadout(BaseModel):
    """A readout of the message; `raw` is the telegram in hexadecimal."""

    meter: str
    measured_at: datetime | None
    values: list[WaitingValue]
    status: list[str]
    raw: str


class WaitingDetail(Waiting):
    """With what the message says: readouts where it can be read, else its text or bytes."""

    topic: str
    readouts: list[WaitingReadout]
    text: str | None


class WaitingList(BaseModel):
    """The oldest first; `counts` are of all that agree, by reason. `next_cursor` null: the last page."""

    entries: list[Waiting]
    counts: dict[str, int]
    next_cursor: int | None


class QuarantineSelection(BaseModel):
    """Selection of entries: those that agree with everything that is given. Something has to be."""

    model_config = ConfigDict(extra="forbid")

    ids: list[Annotated[int, Field(ge=1, le=LARGEST_ID)]] | None = Field(None, min_length=1, max_length=MOST)
    reason: str | None = Field(None, max_length=64)
    gateway: str | None = Field(None, max_length=100)
    meter: str | None = Field(None, max_length=64)


class QuarantineTask(BaseModel):
    """Entries to replay or discard, and the reason."""

    model_config = ConfigDict(extra="forbid")

    entries: QuarantineSelection
    reason: Text


class UnknownMeter(BaseModel):
    """A meter that reports and is not registered, and how many of its readouts wait."""

    meter: str
    readouts: int
    first_at: datetime
    last_at: datetime


class UnknownMeterList(BaseModel):
    """By meter id; `next_cursor` null: this is the last page."""

    meters: list[UnknownMeter]
    next_cursor: str | None


class Acceptance(BaseModel):
    """Facts of the meter that its telegrams do not tell."""

    model_config = ConfigDict(extra="forbid")

    model: str | None = Field(None, max_length=200)
    site: str | None = Field(None, max_length=100, description="The code of the site where it is.")
    reason: Text


@router.get(
    "/quarantine",
    dependencies=[requires(Scope.TELEGRAMS_READ)],
    summary="List quarantine entries, the oldest first",
)
def list_quarantine(
    *,
    caller: KeyCaller,
    store: Store,
    state: EntryState = "waiting",
    reason: Code = None,
    gateway: Code = None,
    meter: Code = None,
    cursor: Annotated[int, Query(ge=0, le=LARGEST_ID)] = 0,
    limit: Limit = 100,
    only: Annotated[Fields, fields_of(Waiting)],
) -> WaitingList:
    """Behind `cursor`, in order."""
    wanted = Selection(reason=reason, gateway=gateway, meter=meter, state=state, utility_id=caller.utility.id)
    rows = quarantine.select(store, wanted, after=cursor, limit=limit + 1)
    page = rows[:limit]
    return WaitingList(
        entries=[only.of(_waiting(row)) for row in page],
        counts=quarantine.count(store, wanted),
        next_cursor=page[-1].id if len(rows) > limit else None,
    )


@router.get(
    "/quarantine/{entry_id}",
    dependencies=[requires(Scope.TELEGRAMS_READ)],
    summary="Get a quarantine entry with its content",
    responses=UNCHANGED,
)
def get_quarantined(
    caller: KeyCaller,
    store: Store,
    entry_id: Id,
    asked: Conditional,
    only: Annotated[Fields, fields_of(WaitingDetail)],
) -> WaitingDetail:
    """The message whole, decoded as far as it can be."""
    rows = quarantine.select(store, Selection([entry_id], state="", utility_id=caller.utility.id), limit=1)
    if not rows:
        raise not_found("This entry", "/v1/quarantine lists them.")
    (row,) = rows
    said = payloads.read(row.payload)
    detail = WaitingDetail(
        **_waiting(row).model_dump(),
        topic=row.topic,
        readouts=[_readout(one) for one in said.readouts],
        text=said.text,
    )
    return asked.answer(detail, only)


@router.post(
    "/quarantine/replays",
    dependencies=[requires(Scope.READINGS_WRITE), ONCE],
    status_code=HTTPStatus.ACCEPTED,
    summary="Replay quarantine entries",
)
def replay(response: Response, caller: KeyCaller, store: Store, task: QuarantineTask) -> TaskDocument:
    """After its cause was mended. Nothing is stored twice; what is refused again waits on."""
    return _ask(response, caller, store, TaskKind.REPLAY, task)


@router.post(
    "/quarantine/discards",
    dependencies=[requires(Scope.READINGS_WRITE), ONCE],
    status_code=HTTPStatus.ACCEPTED,
    summary="Discard quarantine entries",
)
def discard(response: Response, caller: KeyCaller, store: Store, task: QuarantineTask) -> TaskDocument:
    """Discarded entries stay on record, and do not wait again when they are sent again."""
    return _ask(response, caller, store, TaskKind.DISCARD, task)


@router.get(
    "/new-meters",
    dependencies=[requires(Scope.METERS_READ)],
    summary="List meters that report and are not registered",
)
def list_new_meters(
    caller: KeyCaller,
    store: Store,
    cursor: Annotated[str | None, Query(max_length=64)] = None,
    limit: Limit = 100,
) -> UnknownMeterList:
    """Their readouts wait in quarantine until the meter is accepted."""
    rows = strangers_page(store, caller.utility.id, after=cursor, limit=limit + 1)
    page = rows[:limit]
    return UnknownMeterList(
        meters=[document_of(UnknownMeter, row) for row in page],
        next_cursor=page[-1].meter if len(rows) > limit else None,
    )


@router.post(
    "/new-meters/{meter_id}/acceptance",
    dependencies=[requires(Scope.REGISTRY_WRITE), ONCE],
    status_code=HTTPStatus.ACCEPTED,
    summary="Register a new meter and replay its readouts",
)
def accept(
    response: Response,
    caller: KeyCaller,
    store: Store,
    meter_id: Annotated[str, Path(max_length=64)],
    acceptance: Acceptance,
) -> TaskDocument:
    """As its telegrams show it: medium, registers, gateway."""
    if stranger(store, caller.utility.id, meter_id) is None:
        raise not_found("This meter", "/v1/new-meters lists those that wait.")
    subject = acceptance.model_dump(include={"model", "site"}, exclude_none=True) | {"meter": meter_id}
    asked = ask(
        store,
        caller.utility.id,
        TaskKind.ACCEPT,
        subject,
        author=caller.actor,
        reason=acceptance.reason.strip(),
    )
    return document(asked, response)


def _ask(
    response: Response, caller: KeyCaller, store: Store, kind: TaskKind, task: QuarantineTask
) -> TaskDocument:
    subject = task.entries.model_dump(exclude_none=True)
    if not subject:
        raise invalid("body.entries", "Name entries by ids, reason, gateway or meter.")
    asked = ask(store, caller.utility.id, kind, subject, author=caller.actor, reason=task.reason.strip())
    return document(asked, response)


def _waiting(row: QuarantineRow) -> Waiting:
    return document_of(Waiting, row, bytes=len(row.payload))


def _readout(readout: payloads.QuarantinedReadout) -> WaitingReadout:
    return WaitingReadout(
        meter=readout.meter,
        measured_at=readout.at,
        values=[
            WaitingValue(obis=obis, value=value, unit=unit) for obis, (value, unit) in readout.values.items()
        ],
        status=readout.status,
        raw=readout.raw.hex(),
    )
