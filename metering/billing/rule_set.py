"""Rules of a utility as data: which steps of the ladder, verification, submission windows, norms, sums.

A rule set is a TOML file with a name, a version, and its sources; examples are in `rules/`. A utility is
given one from a day on (`hesper rules apply`), and it holds for the periods that begin on that day or
later. What has effective dates within it says so by `from` (included) and `until` (excluded), which are
local days.
"""

from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from metering.billing.method import BUILT_IN, Method
from metering.periods.submission_window import SubmissionWindow
from telemetry.micro import ValueOutOfRangeError, to_micro
from telemetry.obis import Obis

EXAMPLES = Path(__file__).with_name("rule_sets")  # rule sets to begin with, a TOML file each

_TICK = timedelta(microseconds=1)


class RulesError(ValueError):
    """Rule set that cannot be used; the message says what to write."""


class DaySpan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Span of local days: `from` included, `until` excluded."""

    since: date = msgspec.field(name="from")
    until: date


class VerificationRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rule for readings of a meter after its verification ran out, and when the law let them count."""

    required: bool = False
    suspended: tuple[DaySpan, ...] = ()

    def lapsed(self, valid_until: date, day: date) -> bool:
        """Whether a meter verified to the end of `valid_until` gives no billable reading on `day`."""
        return (
            self.required
            and day > valid_until
            and not any(span.since <= day < span.until for span in self.suspended)
        )

    def lapses_on(self, valid_until: date) -> date:
        """The first day from which readings do not count, suspensions that follow at once passed over."""
        day = valid_until + timedelta(days=1)
        for span in sorted(self.suspended, key=lambda span: span.since):
            if span.since <= day < span.until:
                day = span.until
        return day


class Average(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Average of the `months` before, `least` of them measured, for so many periods running at most."""

    months: int = 6
    least: int = 1
    at_most_periods: int = 3


class Norm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Norm of a month, in the register's unit, for each person, square metre, or service point."""

    register: str
    monthly: str
    per: str
    since: date = msgspec.field(name="from")


class Sums(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Tolerance (in the register's unit) between the tariff registers of a period and their total."""

    tolerance: str = "1"


class RuleSet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rule set. A utility without one of its own has `RuleSet()`: the steps that are built in."""

    name: str = ""
    version: str = ""
    title: str = ""
    sources: tuple[str, ...] = ()
    ladder: tuple[Method, ...] = BUILT_IN
    average: Average = Average()
    verification: VerificationRule = VerificationRule()
    submission: tuple[SubmissionWindow, ...] = ()
    norms: tuple[Norm, ...] = ()
    sums: Sums | None = None

    @property
    def label(self) -> str | None:
        """How evidence names the rule set; None for what is built in."""
        return f"{self.name} {self.version}" if self.name else None

    def window_on(self, medium: int, day: date) -> SubmissionWindow | None:
        """The submission window of a medium for the period that begins on a local day: of the latest `from`
        the one that is named first."""
        known = [each for each in self.submission if each.since <= day and each.takes(medium)]
        return max(known, key=lambda each: each.since, default=None)

    def norms_for(self, obis: str, day: date) -> list[Norm]:
        """The norms of a register on a day, one for each thing that they are per."""
        latest: dict[str, Norm] = {}
        for norm in sorted(self.norms, key=lambda norm: norm.since):
            if norm.register == obis and norm.since <= day:
                latest[norm.per] = norm
        return list(latest.values())


def parse_rules(text: str) -> RuleSet:
    """The rule set of a TOML file. Raises RulesError."""
    try:
        rules = msgspec.toml.decode(text, type=RuleSet)
    except msgspec.ValidationError as error:
        raise RulesError(f"not a rule set: {error}") from None
    except msgspec.DecodeError as error:
        raise RulesError(f"not TOML: {error}") from None
    _check(rules)
    return rules


def _check(rules: RuleSet) -> None:
    if not rules.name or not rules.version:
        raise RulesError("a rule set has a `name` and a `version`, which every billing reading will show")
    if len(set(rules.ladder)) != len(rules.ladder) or not rules.ladder:
        raise RulesError("`ladder` names each step once, in the order in which they are tried")
    first_estimate = next((n for n, step in enumerate(rules.ladder) if step.is_estimate), len(rules.ladder))
    if any(not step.is_estimate for step in rules.ladder[first_estimate:]):
        raise RulesError("in `ladder` what estimates (average, normative) comes last")
    if Method.HANDED_IN in rules.ladder and not rules.submission:
        raise RulesError("the step handed_in needs [[submission]] windows with `from_day` and `until_day`")
    for window in rules.submission:
        if problem := window.problem():
            raise RulesError(problem)
    for value in [norm.monthly for norm in rules.norms] + ([rules.sums.tolerance] if rules.sums else []):
        try:
            if to_micro(value) < 0:
                raise RulesError(f"{value!r} is negative; write an amount in the register's unit")
        except ValueOutOfRangeError:
            raise RulesError(f"{value!r} is no amount; write a decimal such as '4.56'") from None
    for norm in rules.norms:
        try:
            Obis.parse(norm.register)
        except ValueError as error:
            raise RulesError(f"register {norm.register!r} of a norm: {error}") from None


def normative(
    rules: RuleSet, obis: str, day: date, amounts: dict[str, Decimal]
) -> tuple[int, list[str]] | None:
    """Micro-units of a month by the norms of a register, with their terms; None where a factor is missing."""
    norms = rules.norms_for(obis, day)
    if not norms or any(norm.per not in amounts for norm in norms):
        return None
    total = sum((Decimal(norm.monthly) * amounts[norm.per] for norm in norms), Decimal(0))
    return to_micro(total), [f"{norm.monthly} per {norm.per} x {amounts[norm.per]:f}" for norm in norms]


def last_day(boundary: datetime, zone: ZoneInfo) -> date:
    """The local day that ends at, or holds, a boundary."""
    return (boundary - _TICK).astimezone(zone).date()
