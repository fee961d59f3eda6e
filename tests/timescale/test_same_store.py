"""Every test of the store that needs only a database, once more on TimescaleDB.

The functions are those of tests/store; the `database` that they ask for is this folder's.
"""

from types import FunctionType, ModuleType

from tests.metering.billing import test_canonical_hash
from tests.store import test_audit, test_quarantine
from tests.store.access import test_api_keys, test_row_security
from tests.store.billing import test_store_close
from tests.store.gateways import test_gateways
from tests.store.postgres import test_arrays, test_database, test_retention
from tests.store.readings import test_aggregates, test_readings
from tests.store.registry import test_admission, test_exchange, test_registry, test_registry_tables
from tests.store.validation import test_findings_store

# the server is one session, which cannot cancel a statement, does not read a connection's settings, and lets
# nobody wait for a lock that another holds
_NEEDS_SESSIONS = {
    "test_a_statement_timeout_ends_a_statement",
    "test_all_of_a_batch_stored_by_another_writer_meanwhile_is_known",
    "test_two_closes_of_one_period_come_one_after_the_other",
    "test_what_another_writer_stores_meanwhile_is_told_from_our_own",
}


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
    test_canonical_hash,
    test_database,
    test_exchange,
    test_findings_store,
    test_gateways,
    test_quarantine,
    test_readings,
    test_registry,
    test_registry_tables,
    test_retention,
    test_row_security,
    test_store_close,
):
    _take(_module)
