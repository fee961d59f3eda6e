"""A meter's year as PDF."""

from typing import Annotated

from fastapi import Path
from fastapi.responses import Response

from api.identity.authentication import requires
from api.pages.frame.visit import PageVisit
from api.pages.meters.choice import MeterId, RegisterCode, subject
from api.printing.meter_year import letterhead, months_of, story
from api.printing.pdf import document, pdf_response
from api.web.answering import page_routes
from metering.access import Scope

router = page_routes()


@router.get("/meters/{meter_id}/year/{year}.pdf", dependencies=[requires(Scope.READINGS_READ)])
def print_year(
    visit: PageVisit,
    meter_id: MeterId,
    year: Annotated[int, Path(ge=1990, le=2100)],
    register: RegisterCode = None,
) -> Response:
    about = subject(visit, meter_id, register)
    printed = about.language.gettext(
        "Printed on %(time)s by %(name)s",
        time=about.language.local_time(about.now, about.zone),
        name=visit.caller.name,
    )
    parts = story(about, year, months_of(about, year))
    content = document(letterhead(about, year, printed), parts, about.language)
    return pdf_response(content, f"{about.meter.code}-{year}")
