"""`/v1/findings`: what validation and the detectors found, and what people make of it.

A finding is changed one at a time with `If-Match`, or up to 500 at once, each with its result. Every change
is a row of history with who made it, when and why; no validation takes it back
(`store/validation/finding_changes.py`)."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal, TypeVar

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from api.identity.authentication import KeyCaller, Store, requires
from api.v1.conditional import UNCHANGED, Conditional, Match
from api.v1.fields import Fields, Sparse, fields_of
from api.v1.idempotency import ONCE
from api.v1.models import Instant, MediumLabel, Site, TextOrNone, document_of, local_instant
from api.v1.parameters import LARGEST_ID, Before, Code, Id, Limit, MediumFilter
from api.v1.registry.registration import medium_code
from api.v1.routing import resources
from api.web.problems import Problem, not_found
from metering.access import Scope
from store.fleet.utilities import UtilityRow
from store.validation import finding_changes
from store.validation.finding_changes import (
    LONGEST_NOTE,
    MOST,
    ChangeOutcome,
    FindingChange,
    FindingChangeError,
    FindingState,
)
from store.validation.finding_list import FindingFilter, ListedFinding, finding, findings_page

router = resources("findings")

Kind = Annotated[str | None, Query(max_length=64, examples=["negative_step"])]


class FindingSummary(Sparse):
    """An event that somebody should look at; `ended_at` null: it goes on. `assignee` is a login."""

    id: int
    meter: str
    obis: str
    unit: str
    medium: MediumLabel
    site: Site | None
    kind: str
    severity: Literal["info", "warning", "alarm"]
    state: FindingState
    assignee: TextOrNone
    started_at: Instant
    ended_at: Instant | None
    detected_at: datetime


class FindingChanged(BaseModel):
    """What somebody did with a finding; null: that was left as it was. `assignee` empty: nobody."""

    at: datetime
    author: str
    state: FindingState | None
    assignee: str | None
    note: str


class FindingDetail(FindingSummary):
    """A finding with the numbers that a person can check, and all that was done with it."""

    evidence: dict[str, Any]
    history: list[FindingChanged]


_Summary = TypeVar("_Summary", bound=FindingSummary)


class FindingList(BaseModel):
    """The last detected first; `next_cursor` null: this is the last page."""

    findings: list[FindingSummary]
    next_cursor: int | None


class FindingPatch(BaseModel):
    """What is to be so; what is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")

    state: FindingState | None = Field(
        None, description="`resolved` and `false alarm` take a note: the month close does not wait for them."
    )
    assignee: str | None = Field(
        None, max_length=200, description="The login of somebody at the utility; empty: nobody."
    )
    note: str = Field("", max_length=LONGEST_NOTE)

    def wanted(self) -> FindingChange:
        """As the store takes it."""
        return FindingChange(self.state, self.assignee, self.note.strip())


class FindingsPatch(FindingPatch):
    """The same for several findings."""

    ids: list[Annotated[int, Field(ge=1, le=LARGEST_ID)]] = Field(min_length=1, max_length=MOST)


class FindingOutcome(BaseModel):
    """What came of one: `unchanged` if it was so already, `unknown` if the utility has no such finding."""

    id: int
    outcome: ChangeOutcome


class FindingsChanged(BaseModel):
    """What came of each, by id."""

    results: list[FindingOutcome]


@router.get(
    "/findings", dependencies=[requires(Scope.FINDINGS_READ)], summary="Findings, the last detected first"
)
def list_findings(
    *,
    caller: KeyCaller,
    store: Store,
    state: FindingState | None = None,
    kind: Kind = None,
    severity: Literal["info", "warning", "alarm"] | None = None,
    site: Code = None,
    medium: MediumFilter = None,
    assignee: Code = None,
    before: Before = None,
    limit: Limit = 100,
    only: Annotated[Fields, fields_of(FindingSummary)],
) -> FindingList:
    """`kind=negative_step` stands for its parts too (`negative_step.glitch`), no `assignee=` for nobody's."""
    wanted = FindingFilter(
        state, kind, severity, site, None if medium is None else medium_code(medium), assignee
    )
    rows = findings_page(store, caller.utility.id, wanted, before=before, limit=limit + 1)
    page = rows[:limit]
    return FindingList(
        findings=[only.of(_document(FindingSummary, row, caller.utility)) for row in page],
        next_cursor=page[-1].id if len(rows) > limit else None,
    )


@router.get(
    "/findings/{finding_id}",
    dependencies=[requires(Scope.FINDINGS_READ)],
    summary="A finding with its evidence and history",
    responses=UNCHANGED,
)
def get_finding(
    caller: KeyCaller,
    store: Store,
    finding_id: Id,
    asked: Conditional,
    only: Annotated[Fields, fields_of(FindingDetail)],
) -> FindingDetail:
    """What was found, and who did what with it."""
    return asked.answer(_detail(caller, store, finding_id), only)


@router.patch(
    "/findings/{finding_id}",
    dependencies=[requires(Scope.FINDINGS_WRITE), ONCE],
    summary="Acknowledge, assign, resolve, reopen a finding",
)
def change_finding(
    caller: KeyCaller, store: Store, finding_id: Id, patch: FindingPatch, match: Match
) -> FindingDetail:
    """With a note, or without where none is needed. What is so already is no error and no change."""
    finding_changes.lock(store, caller.utility.id, [finding_id])
    match.check(_detail(caller, store, finding_id))
    _change(caller, store, [finding_id], patch)
    return match.answer(_detail(caller, store, finding_id))


@router.post(
    "/findings/changes",
    dependencies=[requires(Scope.FINDINGS_WRITE), ONCE],
    summary=f"Change up to {MOST} findings at once",
)
def change_findings(caller: KeyCaller, store: Store, patch: FindingsPatch) -> FindingsChanged:
    """The same for each; an id that is not known leaves the others as they are."""
    outcomes = _change(caller, store, patch.ids, patch)
    return FindingsChanged(results=[FindingOutcome(id=one, outcome=outcomes[one]) for one in outcomes])


def _change(caller: KeyCaller, store: Store, ids: list[int], patch: FindingPatch) -> dict[int, ChangeOutcome]:
    try:
        return finding_changes.change(store, caller.utility.id, ids, patch.wanted(), author=caller.actor)
    except FindingChangeError as error:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY, "finding-change-refused", f"{error}: {error.advice}."
        ) from None


def _detail(caller: KeyCaller, store: Store, finding_id: int) -> FindingDetail:
    row = finding(store, caller.utility.id, finding_id)
    if row is None:
        raise not_found("This finding", "/v1/findings lists them.")
    changes = finding_changes.changes_of(store, caller.utility.id, finding_id)
    history = [document_of(FindingChanged, one, at=one.created_at) for one in changes]
    return _document(FindingDetail, row, caller.utility, history=history)


def _document(document: type[_Summary], row: ListedFinding, utility: UtilityRow, **given: Any) -> _Summary:
    return document_of(
        document,
        row,
        site=Site(code=row.site, name=row.site_name or "") if row.site else None,
        started_at=local_instant(row.started_at, utility.zone),
        ended_at=row.ended_at and local_instant(row.ended_at, utility.zone),
        **given,
    )
