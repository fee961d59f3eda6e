"""Every test of the store that needs only a database, once more on TimescaleDB.

The functions are those of tests/store; the `database` that they ask for is this folder's.
"""

from types import FunctionType, ModuleType

from tests.store import (
    test_admission,
    test_aggregates,
    test_api_keys,
    test_arrays,
    test_audit,
    test_database,
    test_exchange,
    test_readings,
    test_registry,
    test_registry_tables,
    test_retention,
    test_row_security,
)

# the server is one session, which cannot cancel a statement and does not read a connection's settings
_NEEDS_SESSIONS = {"test_a_statement_timeout_ends_a_statement"}


def _take(module: ModuleType) -> None:
    for name, member in vars(module).items():
        own = getattr(member, "__module__", None) == module.__name__
        fixture = type(member).__name__ == "FixtureFunctionDefinition"
        if fixture or (own and isinstance(member, FunctionType) and name.startswith("test_")):
            assert name not in globals(), f"two tests or fixtures are named {name}"
            if name not in _NEEDS_SESSIONS:
                globals()[name] = member


for _module in (
    test_admission,
    test_aggregates,
    test_api_keys,
    test_arrays,
    test_audit,
    test_database,
    test_exchange,
    test_readings,
    test_registry,
    test_registry_tables,
    test_retention,
    test_row_security,
):
    _take(_module)
