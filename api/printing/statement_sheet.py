"""Reconciliation statement as a printed sheet, with room for both sides' signatures."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from api.printing.pdf import Column, Flowable, Letterhead, heading, space, table, text
from api.words.language import Language
from api.words.vocabulary import register_name
from metering.delivery.statement import Statement, StatementLine, StatementTotal, StatementVersion
from store.fleet.utilities import UtilityRow

_NOTHING = "–"
Remarks = Callable[[StatementLine], Sequence[str]]


def sheet(
    statement: Statement,
    points: Mapping[str, str],
    language: Language,
    utility: UtilityRow,
    remarks: Remarks,
    *,
    printed_by: str,
    now: datetime,
) -> tuple[Letterhead, list[Flowable]]:
    """Letterhead and contents: a table for each month, remarks under their lines, and who signs."""
    say = language.gettext
    head = Letterhead(
        utility=utility.name,
        title=say("Reconciliation statement"),
        facts=[
            (say("Billing account"), statement.account),
            (say("Service points"), ", ".join(points.values())),
            (say("Months"), f"{language.month(statement.first)} – {language.month(statement.last)}"),
            (say("Result"), say("Both sides agree.") if statement.agreed else say("The sides differ.")),
        ],
        printed=say("Printed %(at)s by %(who)s", at=language.local_time(now, utility.zone), who=printed_by),
    )
    columns = [
        Column(say("Register"), 3.0),
        Column(say("Issued"), 1.9, right=True),
        Column(say("Acknowledged"), 1.9, right=True),
        Column(say("Difference"), 1.9, right=True),
        Column(say("Remarks"), 3.7),
    ]
    story: list[Flowable] = []
    for period, lines, totals in statement.months:
        story.append(heading(language.month(period)))
        rows = [_row(line, points, language, remarks) for line in lines]
        rows += [_total(total, language) for total in totals]
        story.append(table(columns, rows))
    if not statement.lines:
        story.append(text(say("Nothing was issued in these months.")))
    signs = say("For %(side)s: ______________________    Date: ______________", side=utility.name)
    other = say("For %(side)s: ______________________    Date: ______________", side=say("the other side"))
    return head, [*story, space(10), text(signs), space(7), text(other)]


def _row(
    line: StatementLine,
    points: Mapping[str, str],
    language: Language,
    remarks: Remarks,
) -> list[str]:
    point = points.get(line.service_point, line.service_point)
    return [
        f"{point}, {register_name(line.obis, language)} ({line.obis})",
        _side(line.issued, line.unit, language),
        _side(line.acknowledged, line.unit, language),
        language.amount(line.difference, line.unit) if line.difference else _NOTHING,
        " ".join(remarks(line)),
    ]


def _side(side: StatementVersion | None, unit: str, language: Language) -> str:
    if side is None:
        return _NOTHING
    version = language.gettext("version %(version)s", version=side.version)
    return f"{language.amount(side.consumption, unit)} ({version})"


def _total(total: StatementTotal, language: Language) -> list[str]:
    obis, _, unit = total.register.partition(" ")
    return [
        language.gettext("Sum of %(register)s", register=register_name(obis, language)),
        language.amount(total.issued, unit),
        language.amount(total.acknowledged, unit),
        language.amount(total.difference, unit) if total.difference else _NOTHING,
        "",
    ]
