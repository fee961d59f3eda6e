"""`/v1/registry-changes`: who changed what in the registry, when and why."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, Field

from api.identity.authentication import KeyCaller, Store, requires
from api.v1.models import document_of
from api.v1.routing import resources
from metering.access import Scope
from store.registry.history import changes_page

router = resources("registry")


class RegistryChange(BaseModel):
    """Change of the registry: an entry added (`before` null) or changed, with the columns that differ."""

    id: int
    changed_at: datetime
    author: str
    reason: str
    kind: str = Field(examples=["installations"])
    entry: str = Field(examples=["flat-12-heat KAM-06855817"])
    before: dict[str, Any] | None
    after: dict[str, Any]


class RegistryChangePage(BaseModel):
    """The last one first; `next_cursor` null: this is the last page."""

    changes: list[RegistryChange]
    next_cursor: int | None


@router.get(
    "/registry-changes",
    dependencies=[requires(Scope.METERS_READ)],
    summary="Who changed what in the registry, the last change first",
)
def list_registry_changes(
    caller: KeyCaller,
    store: Store,
    *,
    entry: Annotated[str | None, Query(max_length=200, examples=["flat-12-heat"])] = None,
    cursor: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> RegistryChangePage:
    """With `entry`, a code: of it and what belongs to it, as the installations of a service point."""
    rows = changes_page(store, caller.utility.id, entry=entry, before=cursor, limit=limit + 1)
    page = rows[:limit]
    return RegistryChangePage(
        changes=[document_of(RegistryChange, row, kind=row.entity) for row in page],
        next_cursor=page[-1].id if len(rows) > limit else None,
    )
