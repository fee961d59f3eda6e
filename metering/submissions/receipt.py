"""Receipt of a reading that somebody hands in: the period that it counts in, and what would change that.

The close counts a reading by its receipt (`store/submissions/handed_in.py`): what is promised here is done.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from metering.billing.method import Method
from metering.billing.rule_set import RuleSet
from metering.periods.calendar import neighbour
from metering.periods.submission_window import SubmissionCalendar
from metering.submissions.plausibility import BilledRegister, SubmissionRefusal

OLDEST = timedelta(days=7)  # between the reading of a meter and its hand-in

_BY_ITSELF = {Method.SET_DAY, Method.READING, Method.INTERPOLATION}


@dataclass(frozen=True, slots=True)
class SubmissionReceipt:
    """Period (YYYY-MM) that a reading counts in, and what the sender is told."""

    counts_in: str
    detail: str


@dataclass(frozen=True, slots=True)
class Reception:
    """Days on which a utility takes readings of a medium, and the rules by which months are billed.

    `rules_on`: the rule set for the period that begins on a local day.
    """

    zone: ZoneInfo
    reading_day: int
    medium: int
    rules_on: Callable[[date], RuleSet]

    @property
    def calendar(self) -> SubmissionCalendar:
        """The openings of the medium's window."""
        return SubmissionCalendar(
            self.zone, self.reading_day, lambda day: self.rules_on(day).window_on(self.medium, day)
        )

    def untimely(self, read_at: datetime, now: datetime) -> SubmissionRefusal | None:
        """Reason why no reading of that instant is taken now."""
        today = self._day(now)
        opening = self.calendar.place(today)
        if opening.refuses(today):
            return SubmissionRefusal(
                "window-closed",
                f"The window is closed until {opening.first}; it is open to {opening.last}. "
                "Read the meter then.",
            )
        if read_at > now:
            return SubmissionRefusal(
                "read-in-future",
                f"{read_at:%Y-%m-%d %H:%M} UTC is still to come. Give the instant of reading.",
            )
        if now - read_at > OLDEST:
            return SubmissionRefusal(
                "read-long-ago", f"A reading is handed in within {OLDEST.days} days. Read the meter again."
            )
        return None

    def receipt(
        self,
        read_at: datetime,
        now: datetime,
        *,
        billed: Collection[str],
        verified_until: date | None = None,
        doubted: bool = False,
    ) -> SubmissionReceipt:
        """The period that a reading counts in, which is the first that is not billed.

        `billed`: periods for which the register has a figure, issued or drafted; `verified_until`: the last
        day of the meter's verification, None where nobody told; `doubted`: an inspector alone vouches for it.
        """
        calendar, today = self.calendar, self._day(now)
        opening = calendar.place(today)
        if opening.window is None:
            opening = calendar.place(self._day(read_at))
        period = opening.period
        while period in billed:
            period = neighbour(period, 1)
        begins, ends = calendar.days(period)
        rules = self.rules_on(begins)
        if Method.HANDED_IN not in rules.ladder:
            within = calendar.period_of_day(self._day(read_at))
            return SubmissionReceipt(
                within,
                f"Taken as a reading of the meter in {within}. It counts where it lies nearest to the "
                "beginning or the end of a period that is not billed yet.",
            )
        if verified_until is not None and rules.verification.lapsed(verified_until, ends):
            return SubmissionReceipt(
                period,
                f"Taken, but {period} will not be billed by it: the meter is verified until {verified_until} "
                "only. It counts when a new verification is known.",
            )
        said = f"Taken. It counts in {period}."
        if period != opening.period:
            said = f"Taken. {opening.period} is billed already, so it counts in {period}."
        elif today < opening.first and opening.window is not None:
            said = (
                f"Taken late: the days for readings are over, so it counts in {period}. "
                f"The next are from {opening.first} to {opening.last}."
            )
        before = rules.ladder[: rules.ladder.index(Method.HANDED_IN)]
        if not _BY_ITSELF.isdisjoint(before):
            said += " What the meter itself gives for the end of that period comes before it."
        if doubted:
            said += (
                " The check of readings may question it: then it counts once somebody has accepted it there."
            )
        return SubmissionReceipt(period, f"{said} A later reading replaces it.")

    def _day(self, instant: datetime) -> date:
        return instant.astimezone(self.zone).date()


def register_meant(
    installed: Sequence[BilledRegister], meter: str | None, obis: str | None
) -> BilledRegister | SubmissionRefusal:
    """The register that a reading is of, by what it names, or why that is none."""
    if meter is not None and meter not in {each.meter for each in installed}:
        there = ", ".join(sorted({each.meter for each in installed})) or "none"
        return SubmissionRefusal(
            "meter-unknown",
            f"Meter {meter} was not installed here then; installed: {there}. Compare its number.",
        )
    meant = [each for each in installed if meter in (None, each.meter) and obis in (None, each.obis)]
    if len(meant) == 1:
        return meant[0]
    if not installed:
        return SubmissionRefusal("meter-unknown", "No meter with a billed register was installed here then.")
    choices = ", ".join(f"{each.meter} {each.obis}" for each in installed)
    return SubmissionRefusal(
        "register-unclear", f"Name the meter and the register (obis), one of: {choices}."
    )
