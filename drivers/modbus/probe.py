"""Probe for a meter's family: a guess for finding profiles, since Modbus itself names no maker."""

from collections.abc import Callable, Iterable

from drivers.modbus.profile import Memory, ModbusProfile, WordSpan

Ask = Callable[[WordSpan], Memory | None]  # what a meter shows in these words; None where it refuses


def recognised(profile: ModbusProfile, ask: Ask) -> bool:
    """True where a meter shows what this family's meters show; stops at the first check that fails.

    False also for a profile without a probe. What `ask` raises passes through. Families that pass each
    other's probes are named in `ProfileProbe.shared`.
    """
    if profile.probe is None:
        return False
    for check in profile.probe.checks:
        memory: dict[tuple[int, int], int] = {}
        for span in check.register.spans:
            shown = ask(span)
            if shown is None:
                return False
            memory |= shown
        if not check.holds(memory):
            return False
    return True


def likeliest_first(profiles: Iterable[ModbusProfile]) -> list[ModbusProfile]:
    """Profiles whose probes one meter passed: those that fewest other families pass come first."""
    return sorted(profiles, key=lambda one: (len(one.probe.shared) if one.probe else 0, one.name))
