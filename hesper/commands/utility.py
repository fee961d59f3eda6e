"""The utility that a command means."""

from psycopg import Connection

from metering.periods.calendar import UtilityCalendar
from store.billing.measured import utility, utility_codes
from store.postgres.errors import StoreError


def the_utility(connection: Connection, code: str | None) -> UtilityCalendar:
    """The named utility; without a name, the only one. Raises StoreError."""
    codes = utility_codes(connection)
    if code is None and len(codes) != 1:
        raise StoreError("which utility?", advice=f"give --utility, one of: {', '.join(codes) or 'none'}")
    if code is not None and code not in codes:
        raise StoreError(f"no utility {code!r}", advice=f"there are: {', '.join(codes) or 'none'}")
    return utility(connection, code or codes[0])
