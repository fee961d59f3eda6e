"""Parameters of lists and periods that modules of `/v1` share, and their bounds."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Path, Query
from pydantic import AwareDatetime

from api.v1.readings.readings import DEFAULT_SPAN, LONGEST_SPAN
from api.web.problems import invalid

MOST = 1000  # entries of a page
LARGEST_ID = 2**63 - 1

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PLACE = re.compile(r"(-?\d{1,18})\.(\d{1,10})\.([a-z_.]{1,60})")

Before = Annotated[
    int | None, Query(alias="cursor", ge=1, le=LARGEST_ID, description="`next_cursor` of the page before.")
]
Limit = Annotated[int, Query(ge=1, le=MOST)]
Code = Annotated[str | None, Query(max_length=100)]
FindingStateFilter = Annotated[str | None, Query(pattern="^(open|acknowledged|resolved|false alarm)$")]
ObisFilter = Annotated[str | None, Query(pattern=r"^\d{1,3}-\d{1,3}:\d{1,3}\.\d{1,3}\.\d{1,3}$")]
MediumFilter = Annotated[str | None, Query(max_length=30, examples=["cold water"])]
From = Annotated[
    AwareDatetime | None, Query(alias="from", description="Included; default: 31 days before `to`.")
]
To = Annotated[AwareDatetime | None, Query(alias="to", description="Not included; default: now.")]
Period = Annotated[str, Path(pattern=r"^\d{4}-(0[1-9]|1[0-2])$", examples=["2026-10"])]
PeriodFilter = Annotated[str | None, Query(pattern=r"^\d{4}-(0[1-9]|1[0-2])$", examples=["2026-10"])]
Id = Annotated[int, Path(ge=1, le=LARGEST_ID)]


def span(start: datetime | None, end: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    """The time that `from` and `to` ask for. Raises Problem where it is empty or too long."""
    until = end or now
    since = start or until - DEFAULT_SPAN
    if not timedelta(0) < until - since <= LONGEST_SPAN:
        raise invalid(
            "query.from", f"`from` has to lie before `to`, at most {LONGEST_SPAN.days} days; ask in parts."
        )
    return since, until


def place_of(cursor: str | None) -> tuple[int, datetime, str] | None:
    """The (register id, instant, rule) that a cursor of marks stands for. Raises Problem."""
    if cursor is None:
        return None
    match = _PLACE.fullmatch(cursor)
    if match and int(match[2]) < 2**31:
        try:
            return int(match[2]), _EPOCH + timedelta(microseconds=int(match[1])), match[3]
        except OverflowError:
            pass
    raise invalid("query.cursor", "The cursor is not one of ours: give `next_cursor` of the page before.")


def cursor_of(register_id: int, at: datetime, rule: str) -> str:
    """`<microseconds since 1970>.<register id>.<rule>`, of the last mark seen."""
    return f"{(at - _EPOCH) // timedelta(microseconds=1)}.{register_id}.{rule}"
