"""Visit: a request for a page, with all that it is answered by."""

from dataclasses import dataclass
from datetime import date, datetime
from http import HTTPStatus
from typing import Annotated, Any

import psycopg
from fastapi import Depends, Request
from fastapi.responses import Response

from api.identity.authentication import PageVisitor, Store
from api.identity.callers import Caller, Visitor
from api.web.services import Services, services
from api.words.language import Language, language_of
from store.fleet.utilities import UtilityRow


@dataclass(frozen=True, slots=True)
class Visit:
    """Request of a signed-in browser, and the one instant and language of all that is shown."""

    request: Request
    visitor: Visitor
    store: psycopg.Connection
    now: datetime
    language: Language

    @property
    def services(self) -> Services:
        return services(self.request)

    @property
    def caller(self) -> Caller:
        return self.visitor.caller

    @property
    def utility(self) -> UtilityRow:
        return self.caller.utility

    @property
    def today(self) -> date:
        """The day by the utility's clocks."""
        return self.now.astimezone(self.utility.zone).date()

    def page(self, template: str, *, status: HTTPStatus = HTTPStatus.OK, **context: Any) -> Response:
        """A signed-in page: whose it is, the zone of its times, and the token of its forms."""
        return self.services.templates.TemplateResponse(
            self.request,
            template,
            {
                "utility": self.utility,
                "zone": self.utility.zone,
                "who": self.caller.name,
                "may": self.caller.may,
                "form_token": self.visitor.form_token,
                "now": self.now,
                "today": self.today,
                **context,
            },
            status_code=status,
        )


async def _visit(request: Request, visitor: PageVisitor, store: Store) -> Visit:
    return Visit(request, visitor, store, services(request).clock(), language_of(request))


PageVisit = Annotated[Visit, Depends(_visit)]
