"""`/v1/service-points/{code}/supply`: fuses and contracts; `/v1/sites/{site}/balance`: house less flats."""

from datetime import date, timedelta
from typing import Annotated

from fastapi import Query, Request
from pydantic import BaseModel

from api.identity.authentication import KeyCaller, Store, requires
from api.v1.models import Amount, Instant, MediumLabel, TextOrNone, document_of, local_instant
from api.v1.registry.service_points import PointCode
from api.v1.registry.sites import SiteCode
from api.v1.routing import resources
from api.web.problems import invalid, not_found
from api.web.services import services
from metering.access import Scope
from store.fleet import places
from store.fleet import supply as queries
from store.validation import balance_days as balances

router = resources("registry")

_DAYS, _MOST_DAYS = 31, 400
_EARLIEST, _LATEST = date(1970, 1, 2), date(9998, 12, 31)


class MainFuse(BaseModel):
    """The main circuit breaker from a local day on: its rating in A of each phase."""

    since: date
    amperes: Amount
    phases: int


class SupplyContract(BaseModel):
    """Contract of who pays; `valid_to` null: it goes on. `account` is the billing system's reference."""

    valid_from: Instant
    valid_to: Instant | None
    account: TextOrNone


class Supply(BaseModel):
    """Supply of a service point: its main fuses and contracts, each in order of time."""

    service_point: str
    fuses: list[MainFuse]
    contracts: list[SupplyContract]


class BalanceLine(BaseModel):
    """A medium over the days on which the house meter's figure is known; null: on none of them.

    `difference`: `house` less `flats`. Of the flats' days `uncertain_share` (0 to 1) was not measured.
    """

    medium: MediumLabel
    obis: str
    unit: str
    days: int
    house: Amount | None
    flats: Amount | None
    difference: Amount | None
    points: int
    reporting: int
    uncertain_share: float


class BuildingBalance(BaseModel):
    """The balance of a building; `from` and `to` are local days, both included."""

    site: str
    first: date
    last: date
    media: list[BalanceLine]


@router.get(
    "/service-points/{code}/supply",
    dependencies=[requires(Scope.METERS_READ)],
    summary="Fuses and contracts of a service point",
)
def get_supply(caller: KeyCaller, store: Store, code: PointCode) -> Supply:
    """The validator holds consumption against them. `hesper registry` changes them."""
    point = places.service_point(store, caller.utility.id, code)
    if point is None:
        raise not_found("This service point", "/v1/service-points lists those of your utility.")
    zone = caller.utility.zone
    return Supply(
        service_point=point.code,
        fuses=[document_of(MainFuse, one) for one in queries.fuses(store, point.id)],
        contracts=[
            document_of(
                SupplyContract,
                one,
                valid_from=local_instant(one.valid_from, zone),
                valid_to=one.valid_to and local_instant(one.valid_to, zone),
            )
            for one in queries.contracts(store, point.id)
        ],
    )


@router.get(
    "/sites/{site}/balance",
    dependencies=[requires(Scope.READINGS_READ)],
    summary="What the house meters counted less what the flats did",
)
def get_balance(
    *,
    request: Request,
    caller: KeyCaller,
    store: Store,
    site: SiteCode,
    first: Annotated[date | None, Query(alias="from", ge=_EARLIEST, le=_LATEST)] = None,
    last: Annotated[date | None, Query(alias="to", ge=_EARLIEST, le=_LATEST)] = None,
) -> BuildingBalance:
    """By medium, over local days: by default the last 31 whole ones, at most 400."""
    found = places.site(store, caller.utility.id, site)
    if found is None:
        raise not_found("This site", "/v1/sites lists those of your utility.")
    today = services(request).clock().astimezone(caller.utility.zone).date()
    until = last or today - timedelta(days=1)
    since = first or until - timedelta(days=_DAYS - 1)
    if not timedelta(0) <= until - since < timedelta(days=_MOST_DAYS):
        raise invalid("query.from", f"`from` is a day up to `to`, at most {_MOST_DAYS} days; ask in parts.")
    rows = balances.balances(store, caller.utility.id, since, until, site=found.code)
    return BuildingBalance(
        site=found.code,
        first=since,
        last=until,
        media=[document_of(BalanceLine, row) for row in rows],
    )
