"""Register that a page, a chart or a print is about, as somebody reads it now."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import psycopg

from api.words.language import Language
from store.billing.issued import IssuedReading, billing_history
from store.fleet.meters import MeterRow, RegisterRow, UnbilledRow, unbilled_months
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
        return self.utility.zone

    def bills(self, most: int) -> list[IssuedReading]:
        """Its billing readings among the last so many of its meter, the latest first."""
        history = billing_history(self.store, self.utility.id, self.meter.id, most)
        return [bill for bill in history if bill.obis == self.register.obis]

    def unbilled(self, most: int) -> list[UnbilledRow]:
        """Its last closed months without a billing reading, so many at most."""
        return unbilled_months(self.store, self.utility.id, self.meter.id, self.register.obis, most)
