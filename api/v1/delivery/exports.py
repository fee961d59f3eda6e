"""`/v1/exports`: readings of a range, and a period's billing readings, streamed as a file.

A file goes out as the database sends it, so its size is bounded by the range alone. It has a session of its
own to the end of the download: that of the request has committed by then, and the audit log has the request.
What breaks off on our side breaks the connection, so that no half of a file looks whole.
"""

from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator
from contextlib import closing
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, Any

import psycopg
from fastapi import Path, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime, StringConstraints
from starlette.concurrency import iterate_in_threadpool

from api.identity.authentication import KeyCaller, requires
from api.identity.callers import Caller
from api.v1.registry.registration import medium_code
from api.v1.routing import resources
from api.web.problems import Problem, invalid, not_found
from api.web.services import Services, services
from metering.access import Scope
from metering.delivery.format import Format, InexpressibleError
from metering.delivery.formats import BILLING_WRITERS, FORMATS, READINGS_WRITERS
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

Pieces = Iterator[bytes]
MediaTypes = dict[int | str, dict[str, Any]]


def _format(names: Iterable[str]) -> Any:
    """The last part of an address: one of these formats."""
    return Path(
        description="Format of the file.",
        pattern=f"^({'|'.join(names)})$",
        json_schema_extra={"enum": list(names)},
    )


def _files(names: Iterable[str]) -> MediaTypes:
    """The media types of these formats, for the OpenAPI."""
    return {200: {"description": "The file.", "content": {FORMATS[name].media_type: {} for name in names}}}


MeterName = Annotated[str, StringConstraints(max_length=40)]
BillingFormat = Annotated[str, _format(BILLING_WRITERS)]
ReadingsFormat = Annotated[str, _format(READINGS_WRITERS)]


@router.get(
    "/exports/readings.{file_format}",
    dependencies=[requires(Scope.READINGS_READ)],
    summary="Readings of a range as a file",
    response_class=StreamingResponse,
    responses=_files(READINGS_WRITERS),
)
def export_readings(
    *,
    request: Request,
    caller: KeyCaller,
    file_format: ReadingsFormat,
    start: Annotated[AwareDatetime | None, Query(alias="from")] = None,
    end: Annotated[AwareDatetime | None, Query(alias="to")] = None,
    site: Annotated[str | None, Query(max_length=100)] = None,
    medium: Annotated[str | None, Query(max_length=30, examples=["heat"])] = None,
    meter: Annotated[list[MeterName] | None, Query(max_length=_MOST_METERS)] = None,
) -> StreamingResponse:
    """Readings as they are stored, by register and instant, from `from` (included) to `to` (not).

    By default of the last day; at most 31 days, of a site or of meters 400. Columns: meter, obis,
    measured_at (UTC), value, unit, status, received_at.
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
        registers = export.registers(session, wanted)
        return READINGS_WRITERS[file_format](export.blocks(session, wanted), registers)

    return _file(request, caller, pieces, f"readings-{since:%Y%m%d}-{until:%Y%m%d}", FORMATS[file_format])


@router.get(
    "/exports/billing/{period}.{file_format}",
    dependencies=[requires(Scope.BILLING_READ)],
    summary="A period's billing readings as a file",
    response_class=StreamingResponse,
    responses=_files(BILLING_WRITERS),
)
def export_billing_readings(
    *,
    request: Request,
    caller: KeyCaller,
    period: Annotated[str, Path(pattern=r"^\d{4}-(0[1-9]|1[0-2])$", examples=["2026-10"])],
    file_format: BillingFormat,
    cursor: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
) -> StreamingResponse:
    """The highest version of each service point and register up to `cursor`.

    The same period up to the same cursor gives the same bytes, as from `hesper deliver file`. A register that
    the format has no words for is refused; where much was sent before, the download breaks off.
    """

    def pieces(session: psycopg.Connection) -> Pieces:
        issue = outgoing.issue(session, caller.utility.code, period, cursor)
        if issue is None:
            raise not_found("A billing reading of this period", "/v1/billing/{period} lists those issued.")
        return BILLING_WRITERS[file_format](issue, outgoing.held(session, issue))

    return _file(request, caller, pieces, f"billing-{period}", FORMATS[file_format])


def _file(
    request: Request,
    caller: Caller,
    pieces: Callable[[psycopg.Connection], Pieces],
    name: str,
    file_format: Format,
) -> StreamingResponse:
    """The answer that streams what `pieces` gives in a session of the caller's utility. Raises Problem."""
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
    except InexpressibleError as error:
        raise invalid("path.file_format", f"{error}.") from None
    except ModuleNotFoundError as error:
        if not file_format.extra:
            raise
        raise invalid(
            "path.file_format", f"{file_format.title} is not installed here; ask for csv."
        ) from error
    return StreamingResponse(
        _sent(request, first, stream),
        media_type=file_format.media_type,
        headers={"Content-Disposition": f'attachment; filename="{name}.{file_format.extension}"'},
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
    """The file, unless whoever asked has gone: the server takes pieces for nobody without a word."""
    with closing(rest):
        yield first
        async for piece in iterate_in_threadpool(rest):
            if await request.is_disconnected():
                return
            yield piece
