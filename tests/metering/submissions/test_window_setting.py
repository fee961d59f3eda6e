"""Setting of a window: a further version of the rule set that says everything that it said before."""

from datetime import date
from pathlib import Path

import pytest

from metering.billing.method import BUILT_IN, Method
from metering.billing.rule_set import EXAMPLES, RulesError, parse_rules
from metering.periods.submission_window import LateReading, SubmissionWindow
from metering.submissions.window_setting import with_window

HEAT = SubmissionWindow(-7, 1, media=(6,), counts_in=0, late=LateReading.REFUSE, since=date(2026, 2, 1))


def test_a_utility_without_rules_gets_a_ladder_that_counts_what_is_handed_in() -> None:
    rules = parse_rules(with_window(None, HEAT))
    assert rules.ladder == (*BUILT_IN, Method.HANDED_IN)
    assert rules.submission == (HEAT,)
    assert rules.label == "submission-windows 1"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_a_further_version_keeps_what_the_rule_set_says(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    before, after = parse_rules(text), parse_rules(with_window(text, HEAT))
    assert (after.name, after.version) == (before.name, f"{before.version}+1")
    assert after.submission == (*before.submission, HEAT)
    assert (after.ladder, after.norms, after.average) == (before.ladder, before.norms, before.average)
    assert after.window_on(6, date(2026, 2, 1)) == HEAT
    assert after.window_on(6, date(2026, 1, 1)) == before.window_on(6, date(2026, 1, 1))
    cold_water = SubmissionWindow(1, 5, media=(8,), since=date(2026, 2, 1))
    assert parse_rules(with_window(with_window(text, HEAT), cold_water)).version == f"{before.version}+2"


@pytest.mark.parametrize(
    ("content", "window", "said"),
    [
        (with_window(None, HEAT), HEAT, "begin a day later"),
        ('name = "own"\nversion = "1"\n', HEAT, "no step handed_in"),
        (None, SubmissionWindow(31, 1, media=(6,), since=date(2026, 2, 1)), "from 1 to 28"),
    ],
)
def test_a_window_that_cannot_be_set_says_why(
    content: str | None, window: SubmissionWindow, said: str
) -> None:
    with pytest.raises(RulesError, match=said):
        with_window(content, window)
