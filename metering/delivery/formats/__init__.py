"""List of the file formats: each is one module of this folder, which declares itself as `FORMAT`.

Command line, API, OpenAPI and help are made from this list; a test holds the documentation against it.
"""

from importlib import import_module
from pkgutil import iter_modules

from metering.delivery.format import BillingWriter, Format, ReadingsWriter

FORMATS: dict[str, Format] = {
    declared.name: declared
    for declared in (import_module(f"{__name__}.{module.name}").FORMAT for module in iter_modules(__path__))
}
BILLING_WRITERS: dict[str, BillingWriter] = {
    name: each.billing for name, each in FORMATS.items() if each.billing is not None
}
READINGS_WRITERS: dict[str, ReadingsWriter] = {
    name: each.readings for name, each in FORMATS.items() if each.readings is not None
}
DIALECTS: dict[str, tuple[str, ...]] = {
    name: tuple(each.dialects) for name, each in FORMATS.items() if each.dialects
}
