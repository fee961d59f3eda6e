"""The registry: what a utility owns and where it is, as a document, as rows, and as the ingester sees it.

`entries.py` is the document (TOML, or built in code), `checks.py` its rules, `apply.py` brings it into the
database; `snapshot.py` answers which register a reading belongs to, `admission.py` adds what is met later.
`extract.py` is the way back to the document; `sheets.py` and `tables.py` are the document as CSV;
`exchange.py` swaps meters, `strangers.py` lists unknown ones, `history.py` tells who changed what.
"""

from store.registry.admission import add_register, admit_meters, register_import
from store.registry.apply import apply, apply_entries, rehearse
from store.registry.checks import RegistryError, check
from store.registry.entries import (
    ContractEntry,
    FuseEntry,
    GatewayEntry,
    InstallationEntry,
    LineEntry,
    MeterEntry,
    RegisterEntry,
    Registry,
    ServicePointEntry,
    SiteEntry,
    UtilityEntry,
    VerificationEntry,
    load,
    parse,
)
from store.registry.rows import Summary
from store.registry.snapshot import (
    KnownGateway,
    KnownMeter,
    KnownRegister,
    RegistrySnapshot,
    lookup,
    meter_registers,
)

__all__ = [
    "ContractEntry",
    "FuseEntry",
    "GatewayEntry",
    "InstallationEntry",
    "KnownGateway",
    "KnownMeter",
    "KnownRegister",
    "LineEntry",
    "MeterEntry",
    "RegisterEntry",
    "Registry",
    "RegistryError",
    "RegistrySnapshot",
    "ServicePointEntry",
    "SiteEntry",
    "Summary",
    "UtilityEntry",
    "VerificationEntry",
    "add_register",
    "admit_meters",
    "apply",
    "apply_entries",
    "check",
    "load",
    "lookup",
    "meter_registers",
    "parse",
    "register_import",
    "rehearse",
]
