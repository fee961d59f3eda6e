"""Catalogue of all rules, collected from the files that declare them (`rule.py`)."""

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

from anomaly import boundary, detectors
from anomaly.parameters import Counted, CountedRegister, ParameterSet, RuleParameters
from anomaly.rule import Rule
from anomaly.workspace import Hit, Study
from telemetry.obis import Obis

Detector = Callable[[Study], list[Hit]]


def _modules() -> Iterator[ModuleType]:
    for folder in (boundary, detectors):
        for each in iter_modules(folder.__path__, f"{folder.__name__}."):
            yield import_module(each.name)


def _by_kind(rules: list[Rule]) -> dict[str, Rule]:
    found: dict[str, Rule] = {}
    for rule in rules:
        if found.setdefault(rule.kind, rule) is not rule:
            raise ValueError(f"two rules declare the kind {rule.kind}")
    return found


RULES: Mapping[str, Rule] = _by_kind([rule for each in _modules() for rule in getattr(each, "RULES", ())])
DETECTORS: tuple[Detector, ...] = tuple(one for each in _modules() for one in getattr(each, "DETECTORS", ()))
# the others are of buildings, lines, gateways
REGISTER_KINDS = tuple(kind for kind, rule in RULES.items() if rule.verdict is not None)
PARAMETERS: Mapping[str, type[RuleParameters]] = {
    rule.parameters.name: rule.parameters
    for rule in RULES.values()
    if rule.parameters is not None and issubclass(rule.parameters, RuleParameters)
}


def usual_parameters(of: CountedRegister) -> ParameterSet:
    """Parameters of a register whose utility has said nothing."""
    chosen = [usual for each in PARAMETERS.values() if (usual := each.usual(of)) is not None]
    return ParameterSet(of.counts.unit).having(*chosen)


def parameters_of(obis: Obis, *, house: bool = False, submetered: bool = False) -> ParameterSet:
    """The same, for the register of an OBIS code."""
    return usual_parameters(CountedRegister(Counted.of(obis), house, submetered))
