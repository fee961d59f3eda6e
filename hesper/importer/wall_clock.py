"""Wall-clock times of a file as instants, through hours that occur twice and hours that never were.

A recorded local time says nothing of summer or winter time, but the rows of one meter stand in the order in
which they were taken. So within an hour that occurs twice, its second pass begins where the clock no longer
advances from one row to the next. (PEP 495 calls the second pass fold 1.)
"""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_ONE_PASS = timedelta(hours=3)  # two rows further apart are not in the same repeated hour


class NonexistentTimeError(ValueError):
    """A wall-clock time that was skipped when the clocks went forward."""

    def __init__(self, local: datetime, zone: ZoneInfo) -> None:
        super().__init__(
            f"{local.isoformat()} did not exist in {zone.key}: the clocks were put forward over it"
        )
        self.local = local


class WallClock:
    """Instants of local times in `zone`; remembers where each meter stands in a repeated hour."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._repeated: dict[str, datetime] = {}  # meter -> its last time within a repeated hour, with fold
        self._even_days: dict[date, timedelta | None] = {}  # -> the day's only offset; None where it changes

    def instant(self, meter: str, local: datetime) -> datetime:
        """The UTC instant of `local`, the next row of `meter`.

        An aware `local` is taken as it is. Raises NonexistentTimeError.
        """
        if local.tzinfo is not None:
            return local.astimezone(UTC)
        offset = self._offset_of(local.date())
        if offset is not None:
            return (local - offset).replace(tzinfo=UTC)
        first, second = local.replace(tzinfo=self._zone), local.replace(tzinfo=self._zone, fold=1)
        before, after = first.utcoffset(), second.utcoffset()
        assert before is not None
        assert after is not None
        if before == after:
            return (local - before).replace(tzinfo=UTC)
        if before < after:
            raise NonexistentTimeError(local, self._zone)
        return (local - (after if self._is_second_pass(meter, local) else before)).replace(tzinfo=UTC)

    def _offset_of(self, day: date) -> timedelta | None:
        """The offset of a whole local day, None for the days on which the clocks are changed."""
        try:
            return self._even_days[day]
        except KeyError:
            start = datetime.combine(day, time(), self._zone).utcoffset()
            end = datetime.combine(day, time(23, 59, 59, 999_999, fold=1), self._zone).utcoffset()
            offset = self._even_days[day] = start if start == end else None
            return offset

    def _is_second_pass(self, meter: str, local: datetime) -> bool:
        previous = self._repeated.get(meter)
        fold = 0
        if previous is not None and abs(local - previous) < _ONE_PASS:
            fold = 1 if previous.fold or local <= previous.replace(fold=0) else 0
        self._repeated[meter] = local.replace(fold=fold)
        return bool(fold)
