"""Jinja with words and figures in the reader's language, and the menu of every signed-in page."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.templating import Jinja2Templates
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context

from api.pages.meters.spans import bucket_name, chart_of
from api.v1.models import plain
from api.words import presentation, vocabulary, written
from api.words.evidence_words import evidence_name
from api.words.explanations import estimated_loss, explain, finding_title
from api.words.language import Language, language_of, languages
from api.words.presentation import N_
from api.words.telegram_words import quantity_name
from metering.access import Scope

_TEMPLATES = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class MenuEntry:
    """An entry of the main menu, for those who may go there."""

    section: str  # what a template sets to be shown as the present place
    title: str
    path: str
    scope: Scope


MENU = (
    MenuEntry("overview", N_("Overview"), "/", Scope.METERS_READ),
    MenuEntry("findings", N_("Findings"), "/findings", Scope.FINDINGS_READ),
    MenuEntry("quarantine", N_("Quarantine"), "/quarantine", Scope.TELEGRAMS_READ),
    MenuEntry("verification", N_("Verification"), "/verification", Scope.METERS_READ),
    MenuEntry("months", N_("Months"), "/months", Scope.BILLING_READ),
)

_SPOKEN: tuple[Callable[..., str], ...] = (  # filters of these names
    *(Language.number, Language.percent, Language.decimal, Language.unit, Language.duration, Language.fact),
    *(Language.local_time, Language.local_date, Language.local_dates, Language.day, Language.month),
    Language.age,
)

# Style sheets of every page (static/css), in the order in which they win over each other.
STYLES = ["base", "frame", "findings", "tables", "forms", "gateways", "meters", "fleet", "billing", "narrow"]


def templates() -> Jinja2Templates:
    """The templates: everything is escaped, a missing name is an error, `_()` and the filters speak the
    language of the context."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_callables(  # type: ignore[attr-defined]  # the extension brings it
        _spoken(Language.gettext), _ngettext, newstyle=True
    )
    environment.filters |= {
        **{method.__name__: _spoken(method) for method in _SPOKEN},
        "count_of": _spoken(Language.count),  # `count` is Jinja's own
        "words": _told(vocabulary.phrase),
        "evidence_name": _told(evidence_name),
        "quantity": _told(quantity_name),
        "scope_name": _told(vocabulary.scope_name),
        "remedy": _told(vocabulary.remedy),
        "facts_of": vocabulary.facts_of,
        "written": _told(lambda text, zone, language: written.translated(text, language, zone)),
        "state_name": _told(vocabulary.state_name),
        "method": _told(vocabulary.method_name),
        "medium": _told(vocabulary.medium_name),
        "register": _told(vocabulary.register_name),
        "quality": _told(vocabulary.quality_name),
        "finding_title": _told(finding_title),
        "expiry": _told(presentation.expiry),
        "bucket": _told(bucket_name),
        "explain": _told(_of_finding(explain)),
        "estimated_loss": _told(_of_finding(estimated_loss)),
        "chart_of": chart_of,
        "plain": plain,
        "hex_lines": presentation.hex_lines,
    }
    environment.globals |= {
        "spark_height": presentation.SPARK_HEIGHT,
        "menu": MENU,
        "styles": STYLES,
        "languages": languages(),
    }
    return Jinja2Templates(env=environment, context_processors=[_reader])


def _reader(request: Request) -> dict[str, Any]:
    return {"language": language_of(request)}


@pass_context
def _ngettext(context: Context, one: str, more: str, count: int) -> str:
    return str(context["language"].words.ngettext(one, more, count))


def _spoken(method: Callable[..., str]) -> Callable[..., str]:
    """A method of Language as a filter: `{{ micro | number }}`."""

    @pass_context
    def spoken(context: Context, *given: Any) -> str:
        return method(context["language"], *given)

    return spoken


def _of_finding(function: Callable[..., str | None]) -> Callable[..., str | None]:
    """A function of evidence that is given the finding instead."""
    return lambda finding, *more: function(finding.kind, finding.evidence, finding.unit, *more)


def _told(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that takes the language last as a filter: `{{ kind | finding_title }}`."""

    @pass_context
    def told(context: Context, *given: Any) -> Any:
        return function(*given, context["language"])

    return told
