"""Rule sets as files: what is refused, what windows and dates mean, and what the shipped examples say."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from metering.billing.method import Method
from metering.billing.rule_set import EXAMPLES as FOLDER
from metering.billing.rule_set import RulesError, normative, parse_rules

EXAMPLES = sorted(FOLDER.glob("*.toml"))
HEAD = 'name = "test"\nversion = "1"\n'


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_are_rule_sets_with_sources(path: Path) -> None:
    rules = parse_rules(path.read_text(encoding="utf-8"))
    assert rules.name == path.stem
    assert len(rules.sources) >= 3
    assert rules.verification.required
    assert Method.AVERAGE in rules.ladder


def test_there_is_an_example_of_three_countries() -> None:
    assert [path.stem[:2] for path in EXAMPLES] == ["de", "ru", "ua"]


def test_window_of_a_medium_is_the_latest_that_holds_for_the_period() -> None:
    rules = parse_rules(
        HEAD
        + "[[submission]]\nmedia = [1]\nfrom_day = 1\nuntil_day = 5\n"
        + "[[submission]]\nfrom_day = 15\nuntil_day = 25\n"
        + '[[submission]]\nmedia = [8]\nfrom = 2026-06-01\nfrom_day = -7\nuntil_day = 1\nlate = "refuse"\n'
    )

    def first_day(medium: int, day: date) -> int:
        window = rules.window_on(medium, day)
        assert window is not None
        return window.from_day

    assert [first_day(medium, date(2026, 5, 31)) for medium in (1, 8, 6)] == [1, 15, 15]
    assert [first_day(medium, date(2026, 6, 1)) for medium in (1, 8, 6)] == [1, -7, 15]
    assert parse_rules(HEAD).window_on(8, date(2026, 6, 1)) is None


def test_suspension_of_verification_has_effective_dates() -> None:
    rules = parse_rules(next(p for p in EXAMPLES if p.stem == "ru-decree-354").read_text(encoding="utf-8"))
    ran_out = date(2020, 3, 1)
    lapsed = rules.verification.lapsed
    assert lapsed(ran_out, date(2020, 4, 5))
    assert not lapsed(ran_out, date(2020, 4, 6))
    assert not lapsed(ran_out, date(2020, 12, 31))
    assert lapsed(ran_out, date(2021, 1, 1))
    assert not lapsed(ran_out, ran_out)
    assert rules.verification.lapses_on(date(2020, 7, 1)) == date(2021, 1, 1)
    assert rules.verification.lapses_on(date(2021, 7, 1)) == date(2021, 7, 2)


def test_norms_have_effective_dates_and_need_their_factor() -> None:
    rules = parse_rules(
        HEAD
        + '[[norms]]\nregister="8-0:1.0.0"\nfrom=2020-01-01\nmonthly="4"\nper="person"\n'
        + '[[norms]]\nregister="8-0:1.0.0"\nfrom=2026-07-01\nmonthly="4.56"\nper="person"\n'
    )
    two = {"person": Decimal(2)}
    assert normative(rules, "8-0:1.0.0", date(2026, 6, 1), two) == (8_000_000, ["4 per person x 2"])
    assert normative(rules, "8-0:1.0.0", date(2026, 7, 1), two) == (9_120_000, ["4.56 per person x 2"])
    assert normative(rules, "8-0:1.0.0", date(2019, 7, 1), two) is None
    assert normative(rules, "8-0:1.0.0", date(2026, 7, 1), {}) is None
    assert normative(rules, "9-0:1.0.0", date(2026, 7, 1), two) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version = '1'", "a `name` and a `version`"),
        (HEAD + "speed = 3", "unknown field `speed`"),
        ("name = ", "not TOML"),
        (HEAD + 'ladder = ["guess"]', "guess"),
        (HEAD + 'ladder = ["reading", "reading"]', "names each step once"),
        (HEAD + 'ladder = ["average", "reading"]', "comes last"),
        (HEAD + 'ladder = ["reading", "handed_in"]', "needs [[submission]]"),
        (HEAD + "[[submission]]\nfrom_day = 31\nuntil_day = 1", "from 1 to 28"),
        (HEAD + "[[submission]]\nfrom_day = 0\nuntil_day = 1", "from 1 to 28"),
        (HEAD + "[[submission]]\nfrom_day = 1\nuntil_day = 5\ncounts_in = -2", "is -1, 0 or 1"),
        (HEAD + '[sums]\ntolerance = "some"', "is no amount"),
        (HEAD + '[sums]\ntolerance = "-1"', "is negative"),
        (
            HEAD + '[[norms]]\nregister="water"\nfrom=2020-01-01\nmonthly="4"\nper="person"',
            "register 'water'",
        ),
    ],
)
def test_rule_set_that_cannot_be_used_says_what_to_write(text: str, said: str) -> None:
    with pytest.raises(RulesError) as caught:
        parse_rules(text)
    assert said in str(caught.value)
