"""Register that a page, a chart or a print is about, as somebody reads it now."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import psycopg

from api.words.language import Language
from store.fleet.meters import MeterRow, RegisterRow
from store.fleet.utilities import UtilityRow


@dataclass(frozen=True, slots=True)
class RegisterView:
    """A register of a meter of a utility, the time by the clock, and the reader's language."""

    store: psycopg.Connection
    utility: UtilityRow
    meter: MeterRow
    register: RegisterRow
    now: datetime
    language: Language

    @property
    def zone(self) -> ZoneInfo:
        """The utility's local time."""
        return self.utility.zone
