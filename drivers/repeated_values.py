"""Values that meters repeat in every readout although they never change: set days, closed months."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from telemetry.readout import Readout

TELL_AGAIN = 86_400.0  # seconds: what is known is told once a day, in case it got lost further on


@dataclass(slots=True)
class RepeatedValues:
    """Kept readouts that were returned, by meter and instant, and when (line seconds)."""

    _told: dict[tuple[str, datetime], tuple[Readout, float]] = field(default_factory=dict)

    def news(self, kept: Sequence[Readout], now: float) -> list[Readout]:
        """Those that are new or changed, or were told a day ago. `kept` is all that the meter has."""
        told, self._told = self._told, {}
        news = []
        for readout in kept:
            key = (readout.meter, readout.at)
            known, when = told.get(key, (readout, -TELL_AGAIN))
            if now - when >= TELL_AGAIN or known.values != readout.values:
                news.append(readout)
                when = now
            self._told[key] = (readout, when)
        return news
