"""The utility that a command means."""

from psycopg import Connection

from metering.periods.calendar import UtilityCalendar
from store.billing.measured import utility, utility_codes
from store.postgres.errors import StoreError


def the_utility(connection: Connection, code: str | None) -> UtilityCalendar:
    """The named utility; without a name, the only one. Raises StoreError."""
    return utility(connection, utility_code(connection, code))


def utility_code(connection: Connection, code: str | None) -> str:
    """The code of `the_utility`. Raises StoreError."""
    codes = utility_codes(connection)
    if code is None and len(codes) == 1:
        return codes[0]
    if not codes:
        raise StoreError("there is no utility yet", advice="register one with `hesper registry apply`")
    listed = ", ".join(codes)
    if code is None:
        raise StoreError("there is not just one utility", advice=f"name one with --utility: {listed}")
    if code not in codes:
        raise StoreError(f"no utility has the code {code!r}", advice=f"registered: {listed}")
    return code
