"""Registry of a utility in the database; `metering/registry` says what a document of it may say.

`apply.py` brings a document into the database, `extract.py` is the way back; `snapshot.py` answers which
register a reading belongs to, `admission.py` adds what is met later, `exchange.py` swaps meters,
`strangers.py` lists unknown ones, `history.py` tells who changed what.
"""

from store.registry.admission import add_register, admit_meters, register_import
from store.registry.apply import apply, apply_entries, rehearse
from store.registry.rows import RegistrySummary
from store.registry.snapshot import (
    KnownGateway,
    KnownMeter,
    KnownRegister,
    RegistrySnapshot,
    lookup,
    meter_registers,
)

__all__ = [
    "KnownGateway",
    "KnownMeter",
    "KnownRegister",
    "RegistrySnapshot",
    "RegistrySummary",
    "add_register",
    "admit_meters",
    "apply",
    "apply_entries",
    "lookup",
    "meter_registers",
    "register_import",
    "rehearse",
]
