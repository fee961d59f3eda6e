"""Findings as a person reads them: a title, the evidence as a sentence with advice, and what was lost.

The sentences carry the numbers of the evidence, exactly. A kind without words in `findings/` is shown with
its evidence as it was written.
"""

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules
from zoneinfo import ZoneInfo

from api.words import findings
from api.words.facts import Facts, FindingWords
from api.words.language import Language
from api.words.presentation import in_words

FINDINGS: Mapping[str, FindingWords] = {
    kind: words
    for each in iter_modules(findings.__path__, f"{findings.__name__}.")
    for kind, words in import_module(each.name).WORDS.items()
}


def finding_title(kind: str, language: Language) -> str:
    """'negative_step.reset' -> 'Register reset'; the name in words for a kind that is not listed."""
    words = FINDINGS.get(kind)
    return words.title.said_in(language) if words else in_words(kind)


def explain(
    kind: str, evidence: Mapping[str, object], unit: str, zone: ZoneInfo, language: Language
) -> str | None:
    """The evidence as a sentence; None where there is none for this kind or its evidence is incomplete.

    `unit` is the register's UCUM code; instants are told by the clocks of `zone`.
    """
    words = FINDINGS.get(kind)
    if words is None:
        return None
    try:
        return words.sentence(Facts(evidence, unit, zone, language))
    except KeyError:
        return None


def estimated_loss(
    kind: str, evidence: Mapping[str, object], unit: str, zone: ZoneInfo, language: Language
) -> str | None:
    """About how much was lost or went past the meter, with its unit; None where nobody can say."""
    words, facts = FINDINGS.get(kind), Facts(evidence, unit, zone, language)
    if words is None or words.lost not in evidence or not facts.known(words.lost):
        return None
    return facts.amount(words.lost, words.lost_unit)
