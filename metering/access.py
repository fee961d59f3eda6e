"""Roles and scopes: the one table of who may do what.

A scope is what an endpoint asks for, and what an API key is given. A person has roles, for each utility some
of their own, and each role is a set of scopes.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum


class Scope(StrEnum):
    """Right to do something. The name is stored with keys: it is never given another meaning."""

    OWN = "own"  # one's own account, and the description of the API
    METERS_READ = "meters:read"  # meters, gateways, sites, service points, last readings
    FINDINGS_READ = "findings:read"
    FINDINGS_WRITE = "findings:write"  # acknowledge, assign, resolve, false alarm
    READINGS_READ = "readings:read"  # interval data: personal, every request is in the audit log
    TELEGRAMS_READ = "telegrams:read"  # the bytes behind them: as personal
    READINGS_WRITE = "readings:write"  # readings by hand, edits, marks
    REGISTRY_WRITE = "registry:write"
    GATEWAYS_WRITE = "gateways:write"  # commands and configurations
    BILLING_READ = "billing:read"  # months, billing readings and what they rest on
    BILLING_ACKNOWLEDGE = "billing:acknowledge"
    BILLING_CLOSE = "billing:close"
    BILLING_APPROVE = "billing:approve"
    DELIVERIES_READ = "deliveries:read"
    DELIVERIES_WRITE = "deliveries:write"
    AUDIT_READ = "audit:read"


class UserRole(StrEnum):
    """Role of a person at a utility; somebody may have several."""

    VIEWER = "viewer"
    ENGINEER = "engineer"
    BILLING = "billing"
    APPROVER = "approver"
    ADMINISTRATOR = "administrator"


_V, _E, _B, _A, _ADMIN = UserRole

# Who closes or edits does not approve: four eyes, unless somebody was given both roles on purpose.
# Who administers sees no consumption by that: interval data is personal.
ROLES_OF: Mapping[Scope, frozenset[UserRole]] = {
    Scope.OWN: frozenset(UserRole),
    Scope.METERS_READ: frozenset(UserRole),
    Scope.FINDINGS_READ: frozenset({_V, _E, _A}),
    Scope.FINDINGS_WRITE: frozenset({_E}),
    Scope.READINGS_READ: frozenset({_V, _E, _A}),
    Scope.TELEGRAMS_READ: frozenset({_E}),
    Scope.READINGS_WRITE: frozenset({_E}),
    Scope.REGISTRY_WRITE: frozenset({_E}),
    Scope.GATEWAYS_WRITE: frozenset({_E}),
    Scope.BILLING_READ: frozenset({_V, _E, _B, _A}),
    Scope.BILLING_ACKNOWLEDGE: frozenset({_B}),
    Scope.BILLING_CLOSE: frozenset({_B}),
    Scope.BILLING_APPROVE: frozenset({_A}),
    Scope.DELIVERIES_READ: frozenset({_E, _B, _A}),
    Scope.DELIVERIES_WRITE: frozenset({_B}),
    Scope.AUDIT_READ: frozenset({_ADMIN}),
}

# These decide over money or over people: they count only where a second factor was given.
PRIVILEGED = frozenset({UserRole.APPROVER, UserRole.ADMINISTRATOR})

# What a key opens that was made before there were scopes, or is made without naming any.
BILLING_SYSTEM = frozenset(
    {
        Scope.METERS_READ,
        Scope.FINDINGS_READ,
        Scope.READINGS_READ,
        Scope.TELEGRAMS_READ,
        Scope.BILLING_READ,
        Scope.BILLING_ACKNOWLEDGE,
        Scope.DELIVERIES_READ,
    }
)


def counting(roles: frozenset[UserRole], *, second_factor: bool) -> frozenset[UserRole]:
    """Roles that count: those over money and people only with a second factor, ours or a provider's."""
    return roles if second_factor else roles - PRIVILEGED


def scopes_of(roles: Iterable[UserRole]) -> frozenset[Scope]:
    """Scopes of somebody with these roles."""
    held = frozenset(roles)
    return frozenset(scope for scope, allowed in ROLES_OF.items() if allowed & held)
