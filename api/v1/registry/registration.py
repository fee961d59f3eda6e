"""Changes of the registry by `/v1`: through `store.registry`, signed and with a reason.

A change has the rules, history and audit log that `hesper registry` has; what is refused says what to write.
"""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any

from psycopg import Connection
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from api.identity.callers import Caller
from api.v1.models import medium_label
from api.web.problems import Problem, invalid
from metering.registry.checks import RegistryError
from metering.registry.entries import UtilityEntry
from store.registry import RegistrySummary, apply_entries
from store.registry.history import sign
from telemetry.obis import Medium

_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


def _within_reason(instant: datetime) -> datetime:
    if not _FIRST <= instant < _LAST:
        raise ValueError("the instant lies before 1970 or after 2200")
    return instant


RegistryInstant = Annotated[AwareDatetime, AfterValidator(_within_reason)]
Code = Annotated[str, StringConstraints(pattern=r"^\w[\w.:-]{0,63}$")]
Reference = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Text = Annotated[str, StringConstraints(max_length=200)]


class EntryChange(BaseModel):
    """Every change says why; the history keeps it. In a PATCH, what is not named stays as it is."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(min_length=1, max_length=500, examples=["wrong label"])

    def named(self) -> dict[str, Any]:
        """Fields that are to change, without the reason."""
        return self.model_dump(include=self.model_fields_set - {"reason"})


def sign_change(store: Connection[Any], caller: Caller, change: EntryChange) -> None:
    """Signs what follows in this transaction as the caller's, for that reason."""
    sign(store, caller.actor, change.reason)


def register(store: Connection[Any], caller: Caller, change: EntryChange, **entries: Any) -> RegistrySummary:
    """Apply entries (`sites=[...]`, `meters=[...]`) as a document would. Raises Problem."""
    sign_change(store, caller, change)
    utility = caller.utility
    try:
        return apply_entries(
            store, utility.id, UtilityEntry(utility.code, utility.name, utility.time_zone, **entries)
        )
    except RegistryError as error:
        raise refused(error) from None


def refused(error: RegistryError) -> Problem:
    """A 422 with the entry and the remedy."""
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "registry-refused",
        f"{error}. To mend it: {error.advice}.",
        entry=error.entry,
    )


def already_registered(what: str, path: str) -> Problem:
    """A 409 for what is to be added and is there."""
    return Problem(
        HTTPStatus.CONFLICT,
        "already-registered",
        f"{what} is registered already. Look at it at {path}, and change it there.",
    )


def medium_code(text: str, where: str = "query.medium") -> int:
    """The medium with this name. Raises Problem."""
    for medium in Medium:
        if text.lower().replace("_", " ") == medium.label:
            return medium.value
    known = ", ".join(medium_label(medium.value) for medium in Medium)
    raise invalid(where, f"There is no such medium; known: {known}.")
