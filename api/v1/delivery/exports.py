"""`/v1/exports`: readings of a range, and a period's billing readings, streamed as CSV or Parquet.

A file goes out as the database sends it, so its size is bounded by the range alone. It has a session of its
own to the end of the download: that of the request has committed by then, and the audit log has the request.
What breaks off on our side breaks the connection, so that no half of a file looks whole.
"""

from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import closing
from datetime import timedelta
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Any

import psycopg
from fastapi import Path, Query, Request
from fastapi.responses import StreamingResponse
from psycopg.abc import Buffer
from pydantic import AwareDatetime, StringConstraints
from starlette.concurrency import iterate_in_threadpool

from api.identity.authentication import Caller, KeyCaller, requires
from api.v1.registry.registration import medium_code
from api.v1.routing import resources
from api.web.problems import Problem, invalid, not_found
from api.web.services import Services, services
from metering.access import Scope
from metering.delivery import delimited, parquet
from store.delivery import outgoing
from store.postgres.roles import enter_utility
from store.readings import export

router = resources("exports")

DEFAULT_SPAN = timedelta(days=1)
LONGEST_SPAN = timedelta(days=31)
LONGEST_SPAN_OF_SOME = timedelta(days=400)  # of a site or of meters
_MOST_METERS = 100
_SECONDS_TO_WAIT = 30
_AT_ONCE = 64 * 1024  # bytes of a piece: each row by itself would be a change of threads

Pieces = Iterator[Buffer]


class FileFormat(StrEnum):
    """Of an exported file."""

    CSV = "csv"
    PARQUET = "parquet"


_MEDIA_TYPES = {FileFormat.CSV: "text/csv", FileFormat.PARQUET: "application/vnd.apache.parquet"}
_FILES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file.", "content": {media_type: {} for media_type in _MEDIA_TYPES.values()}}
}

MeterName = Annotated[str, StringConstraints(max_length=40)]
FormatName = Annotated[FileFormat, Path(description="How the file is written.")]


@router.get(
    "/exports/readings.{file_format}",
    dependencies=[requires(Scope.READINGS_READ)],
    summary="Readings of a range as a file",
    response_class=StreamingResponse,
    responses=_FILES,
)
def export_readings(
    *,
    request: Request,
    caller: KeyCaller,
    file_format: FormatName,
    start: Annotated[AwareDatetime | None, Query(alias="from")] = None,
    end: Annotated[AwareDatetime | None, Query(alias="to")] = None,
    site: Annotated[str | None, Query(max_length=100)] = None,
    medium: Annotated[str | None, Query(max_length=30, examples=["heat"])] = None,
    meter: Annotated[list[MeterName] | None, Query(max_length=_MOST_METERS)] = None,
) -> StreamingResponse:
    """From `from` (included) to `to` (not), as they are stored, by register and instant: else the last day.

    At most 31 days, of a site or of meters 400. Columns: meter, obis, measured_at (UTC), value, unit, status,
    received_at.
    """
    longest = LONGEST_SPAN if site is None and meter is None else LONGEST_SPAN_OF_SOME
    until = end or services(request).clock()
    since = start or until - DEFAULT_SPAN
    if not timedelta(0) < until - since <= longest:
        raise invalid(
            "query.from", f"`from` has to lie before `to`, at most {longest.days} days; ask in parts."
        )
    wanted = export.Range(
        caller.utility.code,
        since,
        until,
        meter,
        site,
        None if medium is None else medium_code(medium),
        table="utility_readings",
    )

    def pieces(session: psycopg.Connection) -> Pieces:
        if file_format is FileFormat.CSV:
            return export.csv(session, wanted)
        from metering.delivery.readings import pieces as parquet_pieces  # noqa: PLC0415 - needs an extra

        return parquet_pieces(export.blocks(session, wanted), export.registers(session, wanted))

    return _file(request, caller, pieces, f"readings-{since:%Y%m%d}-{until:%Y%m%d}", file_format)


@router.get(
    "/exports/billing/{period}.{file_format}",
    dependencies=[requires(Scope.BILLING_READ)],
    summary="A period's billing readings as a file",
    response_class=StreamingResponse,
    responses=_FILES,
)
def export_billing_readings(
    *,
    request: Request,
    caller: KeyCaller,
    period: Annotated[str, Path(pattern=r"^\d{4}-(0[1-9]|1[0-2])$", examples=["2026-10"])],
    file_format: FormatName,
    cursor: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
) -> StreamingResponse:
    """The highest version of each service point and register up to `cursor`, as of `hesper deliver file`."""

    def pieces(session: psycopg.Connection) -> Pieces:
        issue = outgoing.issue(session, caller.utility.code, period, cursor)
        if issue is None:
            raise not_found("A billing reading of this period", "/v1/billing/{period} lists those issued.")
        held = outgoing.held(session, issue)
        if file_format is FileFormat.CSV:
            return delimited.pieces(issue, held, delimited.DIALECTS["rfc4180"])
        return parquet.pieces(issue, held)

    return _file(request, caller, pieces, f"billing-{period}", file_format)


def _file(
    request: Request,
    caller: Caller,
    pieces: Callable[[psycopg.Connection], Pieces],
    name: str,
    file_format: FileFormat,
) -> StreamingResponse:
    """What `pieces` gives of a session of the caller's utility. Raises Problem before anything is sent."""
    shared = services(request)
    if not shared.exports.acquire(blocking=False):
        raise Problem(
            HTTPStatus.TOO_MANY_REQUESTS,
            "exports-busy",
            f"{shared.settings.exports_at_once} exports are running. Try again when one of them is done.",
            headers={"Retry-After": str(_SECONDS_TO_WAIT)},
        )
    stream = _held(shared, caller.utility.id, pieces)
    try:
        first = next(stream)  # so that what is wrong from the start is told as a problem
    except ModuleNotFoundError as error:
        if error.name != "pyarrow":
            raise
        raise invalid("path.file_format", "Parquet is not installed here; ask for csv.") from None
    return StreamingResponse(
        _sent(request, first, stream),
        media_type=_MEDIA_TYPES[file_format],
        headers={"Content-Disposition": f'attachment; filename="{name}.{file_format}"'},
    )


def _held(
    shared: Services, utility_id: int, pieces: Callable[[psycopg.Connection], Pieces]
) -> Generator[bytes]:
    """The pieces; a session and one of the places for exports are held to the last, or until it is closed."""
    try:
        with shared.pool.connection() as session:
            enter_utility(session, utility_id)
            session.execute(
                "select set_config('statement_timeout', %s, true)", (f"{shared.settings.export_seconds}s",)
            )
            waiting = bytearray()
            for piece in pieces(session):
                waiting += piece
                if len(waiting) >= _AT_ONCE:
                    yield bytes(waiting)
                    waiting.clear()
            yield bytes(waiting)
    finally:
        shared.exports.release()


async def _sent(request: Request, first: bytes, rest: Generator[bytes]) -> AsyncIterator[bytes]:
    """All of it, unless whoever asked has gone: the server takes pieces for nobody without a word."""
    with closing(rest):
        yield first
        async for piece in iterate_in_threadpool(rest):
            if await request.is_disconnected():
                return
            yield piece
