"""Reconciliation statement of an account, on screen and on paper: both sides, and why they differ."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from fastapi import Depends, Path, Query
from fastapi.responses import Response

from api.identity.authentication import requires
from api.pages.frame.visit import PageVisit, Visit
from api.printing.pdf import document, pdf_response
from api.printing.statement_sheet import sheet
from api.web.answering import page_routes
from api.web.problems import invalid, not_found
from api.words.presentation import N_
from api.words.vocabulary import facts_of, phrase, quality_name
from api.words.written import translated
from metering.access import Scope
from metering.delivery.statement import Statement, StatementLine, statement_months
from metering.periods.calendar import PeriodError
from store.delivery.accounts import account_points, accounts
from store.delivery.statements import statement

router = page_routes()

_PERIOD_ERRORS = (  # of statement_months, for the catalogues
    N_("Name the earlier month first: `from` is after `to`."),
    N_("Ask for at most ten years at once."),
)

_ACCOUNTS = 50
AccountPath = Annotated[str, Path(max_length=200)]
_MONTH = r"^(\d{4}-(0[1-9]|1[0-2]))?$"
First = Annotated[str, Query(alias="from", pattern=_MONTH)]
Last = Annotated[str, Query(alias="to", pattern=_MONTH)]


@dataclass(frozen=True, slots=True)
class Remark:
    """Explanation of a line; `detail` is what the close noted, in English."""

    text: str
    detail: str = ""


@router.get("/accounts", dependencies=[requires(Scope.BILLING_READ)])
def search_accounts(visit: PageVisit, q: Annotated[str, Query(max_length=100)] = "") -> Response:
    found = accounts(visit.store, visit.utility.id, text=q.strip() or None, limit=_ACCOUNTS + 1)
    more = len(found) > _ACCOUNTS
    return visit.page("delivery/accounts.html", accounts=found[:_ACCOUNTS], more=more, q=q.strip())


async def _reconciled(
    visit: PageVisit, account: AccountPath, first: First = "", last: Last = ""
) -> tuple[Statement, dict[str, str]]:
    """The statement, and the names of the account's service points by code. Raises Problem."""
    points = account_points(visit.store, visit.utility.id, account)
    if not points:
        raise not_found(N_("This account"), N_("The page of accounts lists those of your utility."))
    try:
        months = statement_months(first, last, f"{visit.today:%Y-%m}")
    except PeriodError as error:
        raise invalid("query.to", str(error)) from None
    return statement(visit.store, visit.utility.id, account, *months), points


Reconciled = Annotated[tuple[Statement, dict[str, str]], Depends(_reconciled)]


@router.get("/accounts/{account}/statement", dependencies=[requires(Scope.BILLING_READ)])
def show_statement(visit: PageVisit, reconciled: Reconciled) -> Response:
    """The figures as issued and as acknowledged, by month; by default of the last twelve."""
    found, points = reconciled
    return visit.page(
        "delivery/statement.html", statement=found, points=points, remarks=partial(remarks, visit)
    )


@router.get("/accounts/{account}/statement.pdf", dependencies=[requires(Scope.BILLING_READ)])
def print_statement(visit: PageVisit, reconciled: Reconciled) -> Response:
    found, points = reconciled
    head, story = sheet(
        found,
        points,
        visit.language,
        visit.utility,
        lambda line: [f"{one.text} {one.detail}".strip() for one in remarks(visit, line)],
        printed_by=visit.caller.name,
        now=visit.now,
    )
    return pdf_response(document(head, story, visit.language), f"statement-{found.first}-{found.last}")


def remarks(visit: Visit, line: StatementLine) -> Sequence[Remark]:
    """Reasons for a difference, an estimate, or no figure, in the reader's language."""
    language, zone = visit.language, visit.utility.zone
    found = []
    ours, theirs = line.issued, line.acknowledged
    if line.excluded is not None:
        said = language.gettext(
            "Left out of accounting: %(reason)s.", reason=phrase(line.excluded.reason, language)
        )
        if ours is not None:
            said += " " + language.gettext("What was issued before stands until then.")
        found.append(Remark(said, translated(facts_of(line.excluded.detail), language, zone)))
    if ours is None:
        return found
    if not ours.measured:
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
            amount=language.amount(line.difference, line.unit),
        )
    if ours.delivered_at is None:
        sent = language.gettext(
            "Issued %(at)s, not delivered.", at=language.local_time(ours.created_at, zone)
        )
    else:
        sent = language.gettext("Delivered %(at)s.", at=language.local_time(ours.delivered_at, zone))
    return [*found, Remark(f"{said} {sent}")]
