"""Setting a meter's clock in programming mode: date and time, in the form that the meter itself shows."""

from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo

from drivers.errors import MeterError, UnsupportedError
from drivers.optical.codec.instants import clock_instant, date_like, time_like
from drivers.optical.session import OpticalSession

_MIDNIGHT_MARGIN = 10.0  # seconds: date and time are written one after the other, and must be of one day
_TOLERANCE = timedelta(seconds=5)  # between what was set and what the clock shows right after


def set_clock(session: OpticalSession, zone: tzinfo, present: Callable[[], datetime]) -> None:
    """Set the clock to `present()` (aware) as it is when each command has arrived, and read it again.

    Raises MeterError where the meter refuses or shows another time afterwards, UnsupportedError for a form
    of date or time that is not known.
    """
    profile = session.profile
    date, time = _shown(session, profile.date), _shown(session, profile.time)
    left = _until_midnight(present().astimezone(zone))
    if left < _MIDNIGHT_MARGIN:
        session.line.wait(left)
    for register, form, like in ((profile.date, date, date_like), (profile.time, time, time_like)):
        arrival = present() + timedelta(seconds=session.time_of(profile.clock_write, register, form))
        pause = timedelta(microseconds=-arrival.microsecond % 1_000_000)  # clocks are set to whole seconds
        text = like(form, arrival + pause, zone)
        if text is None:
            raise UnsupportedError(
                f"{session.line.name}: the clock's register {register} shows {form!r}, an unknown form",
                advice="report the meter's type and this form, so that it can be added",
            )
        session.line.wait(pause.total_seconds())
        session.tell(profile.clock_write, register, text)
    date, time = _shown(session, profile.date), _shown(session, profile.time)
    shown = clock_instant(date, time, zone, present())
    if shown is None or abs(shown - present()) > _TOLERANCE:
        raise MeterError(
            f"{session.line.name}: the clock was set, but shows {date} {time}",
            0,
            advice="check the meter's time zone in the configuration",
        )


def _shown(session: OpticalSession, register: str) -> str:
    sets = session.ask("R1", register).sets
    return sets[0].values[0].text.strip() if sets else ""


def _until_midnight(local: datetime) -> float:
    passed = timedelta(hours=local.hour, minutes=local.minute, seconds=local.second)
    return 86_400.0 - passed.total_seconds() - local.microsecond / 1e6
