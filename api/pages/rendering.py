"""Jinja with our words and figures, and the context that every signed-in page has."""

from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from fastapi.templating import Jinja2Templates
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from api import presentation
from api.authentication import Visitor
from api.explanations import explain, finding_title
from api.models import medium_label, plain, quality_code, register_name
from api.pages.spans import chart_of
from api.services import services

_TEMPLATES = Path(__file__).resolve().parents[1] / "templates"


def templates() -> Jinja2Templates:
    """The templates: everything is escaped, and a missing name is an error."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": presentation.number,
        "unit": presentation.unit_sign,
        "local_time": presentation.local_time,
        "local_date": presentation.local_date,
        "local_dates": presentation.local_dates,
        "age": presentation.age,
        "words": presentation.in_words,
        "finding_title": finding_title,
        "explain": lambda finding, zone: explain(finding.kind, finding.evidence, finding.unit, zone),
        "chart_of": chart_of,
        "fact": presentation.fact,
        "local_instants": presentation.local_instants,
        "method": presentation.method_in_words,
        "month": presentation.month_name,
        "medium": medium_label,
        "register": register_name,
        "quality": lambda code: quality_code(code).label,
        "plain": plain,
        "hex_lines": presentation.hex_lines,
    }
    environment.globals["spark_height"] = presentation.SPARK_HEIGHT
    return Jinja2Templates(env=environment)


def page(request: Request, visitor: Visitor, template: str, **context: Any) -> Response:
    """A signed-in page: whose it is, the zone of its times, and the token of its forms."""
    shared = services(request)
    return shared.templates.TemplateResponse(
        request,
        template,
        {
            "utility": visitor.caller.utility,
            "zone": visitor.caller.utility.zone,
            "who": visitor.caller.name,
            "may": visitor.caller.may,
            "form_token": visitor.form_token,
            "now": shared.clock(),
            **context,
        },
    )
