"""Callers: who is known now, the utility whose rows they see, and what they may do there."""

from dataclasses import dataclass, field

import psycopg

from metering.access import Scope, UserRole, counting, scopes_of
from store.access import api_keys, users
from store.access.sessions import Session
from store.fleet.utilities import UtilityRow, utility


@dataclass(frozen=True, slots=True)
class Caller:
    """Person or program that is known now, the one utility whose rows they see, and what they may do."""

    utility: UtilityRow
    name: str
    scopes: frozenset[Scope]

    @property
    def actor(self) -> str:
        """The name in the audit log."""
        return self.name

    @property
    def subject(self) -> str:
        """Name under which requests are counted together."""
        return f"person {self.name}"

    def may(self, scope: Scope | str) -> bool:
        """True where a route that requires this would answer."""
        return scope in self.scopes


@dataclass(frozen=True, slots=True)
class KeyHolder(Caller):
    """Program with an API key, or a browser that signed in with one."""

    key: api_keys.ApiKey

    @property
    def key_id(self) -> int:
        """The number of the key."""
        return self.key.id

    @property
    def actor(self) -> str:
        """The name in the audit log."""
        return self.key.actor

    @property
    def subject(self) -> str:
        """Name under which requests are counted together."""
        return f"key {self.key_id}"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Signed-in browser; `form_token` goes into every form shown to it.

    `person` is None where the session began with a key.
    """

    caller: Caller
    form_token: str = field(repr=False)
    session: Session
    person: users.User | None
    roles: dict[str, frozenset[UserRole]]  # by the code of each utility that the session may show


def key_holder(store: psycopg.Connection, key: api_keys.ApiKey) -> KeyHolder:
    """Holder of a key, with what it may do."""
    scopes = frozenset(scope for scope in Scope if scope in key.scopes) | {Scope.OWN}
    return KeyHolder(utility(store, key.utility_id), key.name, scopes, key)


def visitor_of(store: psycopg.Connection, session: Session, form_token: str) -> Visitor | None:
    """Visitor of a session; None where the account, the key or the last role has ended since it began."""
    if session.api_key_id is not None:
        key = api_keys.find(store, session.api_key_id)
        return Visitor(key_holder(store, key), form_token, session, None, {}) if key else None
    assert session.user_id is not None
    person = users.enter(store, session.user_id)
    if person is None:
        return None
    roles = roles_of(store, person, session.granted)
    shown = utility(store, session.utility_id)
    if shown.code not in roles:
        return None
    caller = Caller(shown, person.login, scopes_of(effective(roles[shown.code], person)) | {Scope.OWN})
    return Visitor(caller, form_token, session, person, roles)


def roles_of(
    store: psycopg.Connection, person: users.User, granted: dict[str, list[str]]
) -> dict[str, frozenset[UserRole]]:
    """Roles of the person who was entered at each utility, by its code; `granted` is by claims."""
    roles = {
        one.utility: frozenset(UserRole(role) for role in one.roles)
        for one in users.memberships(store, person.id)
    }
    for code, names in granted.items():
        given = frozenset(role for role in UserRole if role in names)
        roles[code] = roles.get(code, frozenset()) | given
    return {code: held for code, held in roles.items() if held}


def effective(roles: frozenset[UserRole], person: users.User) -> frozenset[UserRole]:
    """Roles that count: those over money and people only with a second factor, ours or a provider's."""
    return counting(roles, second_factor=person.has_second_factor)
