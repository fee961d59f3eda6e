"""`/v1/meters`, their readings and findings, and `/v1/telegrams`."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Path, Query, Request
from pydantic import AwareDatetime

from api.authentication import Caller, KeyCaller, Store, requires
from api.conditional import UNCHANGED, Conditional
from api.evidence import telegram_path
from api.fields import Fields, fields_of
from api.models import (
    Finding,
    FindingPage,
    Installation,
    LastReading,
    Meter,
    MeterDetail,
    MeterPage,
    Reading,
    ReadingPage,
    Register,
    RegisterList,
    RegisterWithReading,
    ServicePoint,
    Site,
    Telegram,
    decimal_text,
    local_instant,
    medium_label,
    plain,
    quality_code,
    register_name,
)
from api.problems import invalid, not_found
from api.routing import resources
from api.services import services
from store.access import Scope
from store.queries import findings as finding_queries
from store.queries import meters as meter_queries
from store.queries import readings as reading_queries
from telemetry.obis import Medium
from telemetry.status import Status

router = resources("meters")

DEFAULT_SPAN = timedelta(days=31)
LONGEST_SPAN = timedelta(days=400)
_CURSOR = re.compile(r"(-?\d{1,18})\.(\d{1,10})")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

ObisText = Annotated[str | None, Query(pattern=r"^\d{1,3}-\d{1,3}:\d{1,3}\.\d{1,3}\.\d{1,3}$")]
MeterId = Annotated[str, Path(max_length=40, examples=["KAM-06855817"])]


@router.get("/meters", dependencies=[requires(Scope.METERS_READ)], summary="The utility's meters, by id")
def list_meters(
    *,
    caller: KeyCaller,
    store: Store,
    cursor: Annotated[str | None, Query(max_length=40)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    medium: Annotated[str | None, Query(max_length=30, examples=["cold water"])] = None,
    site: Annotated[str | None, Query(max_length=100)] = None,
    q: Annotated[str | None, Query(max_length=100)] = None,
    only: Annotated[Fields, fields_of(Meter)],
) -> MeterPage:
    """`q` is a part of the meter id, model, site, service point or account."""
    rows = meter_queries.meters_page(
        store,
        caller.utility.id,
        after=cursor,
        limit=limit + 1,
        medium=_medium(medium),
        site=site,
        search=q,
    )
    page = rows[:limit]
    return MeterPage(
        meters=[only.of(_meter(row)) for row in page],
        next_cursor=page[-1].code if len(rows) > limit else None,
    )


@router.get(
    "/meters/{meter_id}",
    dependencies=[requires(Scope.METERS_READ)],
    summary="A meter with its registers and installations",
    responses=UNCHANGED,
)
def get_meter(
    caller: KeyCaller,
    store: Store,
    meter_id: MeterId,
    asked: Conditional,
    only: Annotated[Fields, fields_of(MeterDetail)],
) -> MeterDetail:
    """What the registry has of one meter."""
    return asked.answer(_detail(caller, store, _find(caller, store, meter_id)), only)


@router.get(
    "/meters/{meter_id}/registers",
    dependencies=[requires(Scope.METERS_READ)],
    summary="A meter's registers with their last readings",
)
def list_registers(caller: KeyCaller, store: Store, meter_id: MeterId) -> RegisterList:
    """The billed ones first."""
    row = _find(caller, store, meter_id)
    return RegisterList(
        meter=row.code,
        registers=[
            RegisterWithReading(**_register(register).model_dump(), last=_last(register))
            for register in meter_queries.registers(store, row.id)
        ],
    )


def _detail(caller: Caller, store: Store, row: meter_queries.MeterRow) -> MeterDetail:
    return MeterDetail(
        **_meter(row).model_dump(),
        registers=[_register(register) for register in meter_queries.registers(store, row.id)],
        installations=[
            Installation(
                service_point=ServicePoint(
                    code=place.point_code, name=place.point_name, account=place.account or None
                ),
                valid_from=place.valid_from,
                valid_to=place.valid_to,
                multiplier=plain(place.multiplier),
            )
            for place in meter_queries.installations(store, caller.utility.id, row.id)
        ],
    )


@router.get(
    "/meters/{meter_id}/readings",
    dependencies=[requires(Scope.READINGS_READ)],
    summary="A meter's readings with their quality",
)
def list_readings(
    *,
    request: Request,
    caller: KeyCaller,
    store: Store,
    meter_id: MeterId,
    obis: ObisText = None,
    start: Annotated[AwareDatetime | None, Query(alias="from")] = None,
    end: Annotated[AwareDatetime | None, Query(alias="to")] = None,
    cursor: Annotated[str | None, Query(max_length=40)] = None,
    limit: Annotated[int, Query(ge=1, le=5000)] = 500,
) -> ReadingPage:
    """From `from` (included) to `to` (not), by instant: by default the last 31 days, at most 400 days."""
    row = _find(caller, store, meter_id)
    until = end or services(request).clock()
    since = start or until - DEFAULT_SPAN
    if not timedelta(0) < until - since <= LONGEST_SPAN:
        raise invalid(
            "query.from", f"`from` has to lie before `to`, at most {LONGEST_SPAN.days} days; ask in parts."
        )
    rows = reading_queries.readings_page(
        store, row.id, obis=obis, start=since, end=until, after=_reading_cursor(cursor), limit=limit + 1
    )
    page = rows[:limit]
    zone = caller.utility.zone
    return ReadingPage(
        meter=row.code,
        from_=since,
        to=until,
        readings=[
            Reading(
                obis=reading.obis,
                measured_at=local_instant(reading.measured_at, zone),
                value=decimal_text(reading.value),
                unit=reading.unit,
                quality=quality_code(reading.quality),
                marks=reading.rules,
                status=Status(reading.status).labels(),
                received_at=reading.received_at,
                telegram=telegram_path(row.code, reading.measured_at),
            )
            for reading in page
        ],
        next_cursor=_write_cursor(page[-1]) if len(rows) > limit else None,
    )


@router.get(
    "/meters/{meter_id}/findings",
    dependencies=[requires(Scope.FINDINGS_READ)],
    summary="What was found at a meter",
)
def list_meter_findings(
    *,
    caller: KeyCaller,
    store: Store,
    meter_id: MeterId,
    state: Annotated[str | None, Query(pattern="^(open|acknowledged|resolved|false alarm)$")] = None,
    cursor: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> FindingPage:
    """The last detected first."""
    row = _find(caller, store, meter_id)
    found = finding_queries.findings_page(
        store,
        caller.utility.id,
        finding_queries.FindingFilter(state=state, meter_id=row.id),
        before=cursor,
        limit=limit + 1,
    )
    page = found[:limit]
    zone = caller.utility.zone
    return FindingPage(
        findings=[
            Finding(
                id=finding.id,
                meter=finding.meter,
                obis=finding.obis,
                kind=finding.kind,
                severity=finding.severity,
                state=finding.state,
                started_at=local_instant(finding.started_at, zone),
                ended_at=local_instant(finding.ended_at, zone) if finding.ended_at else None,
                detected_at=finding.detected_at,
                evidence=finding.evidence,
            )
            for finding in page
        ],
        next_cursor=page[-1].id if len(found) > limit else None,
    )


@router.get(
    "/telegrams/{meter_id}/{measured_at}",
    dependencies=[requires(Scope.TELEGRAMS_READ)],
    summary="The bytes behind readings",
)
def get_telegram(caller: KeyCaller, store: Store, meter_id: MeterId, measured_at: AwareDatetime) -> Telegram:
    """The telegram as the meter sent it, and the message that brought it."""
    row = _find(caller, store, meter_id)
    found = reading_queries.telegram(store, caller.utility.id, row.id, measured_at)
    if found is None:
        raise not_found(
            f"A telegram of {row.code} at that instant",
            "Imported readings have none, and telegrams are kept for a limited time.",
        )
    return Telegram(
        meter=row.code,
        measured_at=found.measured_at,
        received_at=found.received_at,
        gateway=found.gateway,
        epoch=found.epoch,
        batch=found.batch,
        raw=found.raw.hex(),
    )


def _find(caller: Caller, store: Store, meter_id: str) -> meter_queries.MeterRow:
    row = meter_queries.meter(store, caller.utility.id, meter_id)
    if row is None:
        raise not_found("This meter", "/v1/meters lists the meters of your utility.")
    return row


def _meter(row: meter_queries.MeterRow) -> Meter:
    return Meter(
        id=row.code,
        model=row.model,
        medium=medium_label(row.medium),
        site=Site(code=row.site_code, name=row.site_name or "") if row.site_code else None,
        gateway=row.gateway,
        service_point=ServicePoint(code=row.point_code, name=row.point_name or "")
        if row.point_code
        else None,
        verified_until=row.verified_until,
    )


def _register(row: meter_queries.RegisterRow) -> Register:
    return Register(
        obis=row.obis,
        name=register_name(row.obis),
        unit=row.unit,
        kind=row.kind,
        billed=row.billed,
    )


def _last(row: meter_queries.RegisterRow) -> LastReading | None:
    if row.measured_at is None or row.value is None:
        return None
    return LastReading(measured_at=row.measured_at, value=decimal_text(row.value))


def _medium(text: str | None) -> int | None:
    if text is None:
        return None
    for medium in Medium:
        if text.lower().replace("_", " ") == medium.label:
            return medium.value
    known = ", ".join(medium.label for medium in Medium)
    raise invalid("query.medium", f"There is no such medium; known: {known}.")


def _reading_cursor(text: str | None) -> tuple[datetime, int] | None:
    """A cursor is `<microseconds since 1970>.<register id>` of the last reading seen."""
    if text is None:
        return None
    match = _CURSOR.fullmatch(text)
    if match and int(match[2]) < 2**31:
        try:
            return _EPOCH + timedelta(microseconds=int(match[1])), int(match[2])
        except OverflowError:
            pass
    raise invalid("query.cursor", "The cursor is not one of ours: give `next_cursor` of the page before.")


def _write_cursor(row: reading_queries.ReadingRow) -> str:
    return f"{(row.measured_at - _EPOCH) // timedelta(microseconds=1)}.{row.register_id}"
