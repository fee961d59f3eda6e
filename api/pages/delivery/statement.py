"""The reconciliation statement of an account, on screen and on paper: both sides, and why they differ."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from api.identity.authentication import PageVisitor, Store, Visitor, requires
from api.pages.frame.rendering import page
from api.printing.pdf import document, pdf_response
from api.printing.statement_sheet import sheet
from api.web.problems import invalid, not_found
from api.web.services import services
from api.words.language import Language, language_of
from api.words.presentation import neighbour_month
from api.words.vocabulary import facts_of, phrase, quality_name
from metering.access import Scope
from store.delivery.accounts import account_points, accounts
from store.delivery.statements import Line, Total, exclusions, reconcile, totals, versions

router = APIRouter(include_in_schema=False)

_ACCOUNTS = 50
_MOST_YEARS = 10
_SHOWN_MONTHS = 12
AccountPath = Annotated[str, Path(max_length=200)]
_MONTH = r"^(\d{4}-(0[1-9]|1[0-2]))?$"
First = Annotated[str, Query(alias="from", pattern=_MONTH)]
Last = Annotated[str, Query(alias="to", pattern=_MONTH)]


@dataclass(frozen=True, slots=True)
class Remark:
    """Why something is as it is; `detail` is the store's own words, in English."""

    text: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Statement:
    """Both sides' figures of an account by month, `first` and `last` included."""

    account: str
    points: dict[str, str]
    first: str
    last: str
    lines: list[Line]
    totals: list[Total]

    @property
    def agreed(self) -> bool:
        """Whether nothing differs."""
        return not any(line.difference for line in self.lines)

    @property
    def months(self) -> list[tuple[str, list[Line], list[Total]]]:
        """(period, its lines, its sums), the latest first."""
        periods = sorted({line.period for line in self.lines}, reverse=True)
        return [
            (
                period,
                [line for line in self.lines if line.period == period],
                [total for total in self.totals if total.period == period],
            )
            for period in periods
        ]


@router.get("/accounts", dependencies=[requires(Scope.BILLING_READ)])
def search_accounts(
    request: Request,
    visitor: PageVisitor,
    store: Store,
    q: Annotated[str, Query(max_length=100)] = "",
) -> Response:
    """Accounts to choose from."""
    found = accounts(store, visitor.caller.utility.id, text=q.strip() or None, limit=_ACCOUNTS + 1)
    return page(
        request,
        visitor,
        "delivery/accounts.html",
        accounts=found[:_ACCOUNTS],
        more=len(found) > _ACCOUNTS,
        q=q.strip(),
    )


@router.get("/accounts/{account}/statement", dependencies=[requires(Scope.BILLING_READ)])
def show_statement(
    *,
    request: Request,
    visitor: PageVisitor,
    store: Store,
    account: AccountPath,
    first: First = "",
    last: Last = "",
) -> Response:
    """What was issued and acknowledged by month; by default of the last twelve."""
    statement = _statement(request, visitor, store, account=account, months=(first, last))
    language, zone = language_of(request), visitor.caller.utility.zone
    return page(
        request,
        visitor,
        "delivery/statement.html",
        statement=statement,
        remarks=lambda line: remarks(line, language, visitor),
        zone=zone,
    )


@router.get("/accounts/{account}/statement.pdf", dependencies=[requires(Scope.BILLING_READ)])
def print_statement(
    *,
    request: Request,
    visitor: PageVisitor,
    store: Store,
    account: AccountPath,
    first: First = "",
    last: Last = "",
) -> Response:
    """The same as a sheet of paper."""
    statement = _statement(request, visitor, store, account=account, months=(first, last))
    language = language_of(request)
    head, story = sheet(
        statement,
        language,
        visitor.caller.utility,
        lambda line: [f"{one.text} {one.detail}".strip() for one in remarks(line, language, visitor)],
        printed_by=visitor.caller.name,
        now=services(request).clock(),
    )
    return pdf_response(document(head, story, language), f"statement-{statement.first}-{statement.last}")


def _statement(
    request: Request, visitor: Visitor, store: Store, *, account: str, months: tuple[str, str]
) -> Statement:
    """`months`: the first and the last, empty for the default. Raises Problem."""
    utility = visitor.caller.utility
    first, last = months
    points = account_points(store, utility.id, account)
    if not points:
        raise not_found("This account", "The page of accounts lists those of your utility.")
    last = last or f"{services(request).clock().astimezone(utility.zone):%Y-%m}"
    first = first or neighbour_month(last, 1 - _SHOWN_MONTHS)
    if last < first:
        raise invalid("query.to", "Name the earlier month first: `from` is after `to`.")
    if int(last[:4]) - int(first[:4]) > _MOST_YEARS:
        raise invalid("query.to", "Ask for at most ten years at once.")
    span = (utility.id, account, first, last)
    lines = reconcile(versions(store, *span), exclusions(store, *span))
    return Statement(account, points, first, last, lines, totals(lines))


def remarks(line: Line, language: Language, visitor: Visitor) -> Sequence[Remark]:
    """Why there is a difference, an estimate, or no figure, in the reader's language."""
    zone = visitor.caller.utility.zone
    found = []
    ours, theirs = line.issued, line.acknowledged
    if line.excluded is not None:
        said = language.gettext(
            "Left out of accounting: %(reason)s.", reason=phrase(line.excluded.reason, language)
        )
        if ours is not None:
            said += " " + language.gettext("What was issued before stands until then.")
        found.append(Remark(said, language.local_instants(facts_of(line.excluded.detail), zone)))
    if ours is None:
        return found
    if line.estimated:
        said = language.gettext(
            "Version %(version)s was not measured: %(quality)s.",
            version=ours.version,
            quality=quality_name(ours.quality, language),
        )
        found.append(Remark(said))
    if theirs is ours:
        return found
    if theirs is None:
        said = language.gettext("Version %(version)s is not acknowledged yet.", version=ours.version)
    else:
        said = language.gettext(
            "Version %(version)s changes version %(before)s by %(amount)s and is not acknowledged yet.",
            version=ours.version,
            before=theirs.version,
            amount=language.amount(ours.consumption - theirs.consumption, line.unit),
        )
    if ours.delivered_at is None:
        sent = language.gettext(
            "Issued %(at)s, not delivered.", at=language.local_time(ours.created_at, zone)
        )
    else:
        sent = language.gettext("Delivered %(at)s.", at=language.local_time(ours.delivered_at, zone))
    return [*found, Remark(f"{said} {sent}")]
