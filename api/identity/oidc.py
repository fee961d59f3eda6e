"""Sign-in with an OpenID Connect provider: authorization code (Core 1.0, 3.1) with PKCE (RFC 7636).

What travels by the browser is a code that is worth nothing without the verifier, which only the browser's own
encrypted cookie holds; the ID token comes from the provider itself. It is accepted when its signature,
issuer, audience, times and nonce are right. Keys are fetched anew when a token names one that is not known.
"""

import base64
import hashlib
import ipaddress
import json
import secrets
import threading
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwt
from joserfc.errors import BadSignatureError, InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from metering.access import UserRole

# signed with the provider's private key: HS would take our own secret for one, `none` takes anything
_ALGORITHMS = ("RS256", "PS256", "ES256", "RS384", "PS384", "ES384", "RS512", "PS512", "ES512")
_LEEWAY_SECONDS = 60
_METADATA_KEPT = timedelta(hours=1)
_KEYS_ANEW_AFTER = timedelta(minutes=1)  # a token with an invented key must not make us ask all day
ATTEMPT_SECONDS = 600  # how long somebody may take at the provider
_LARGEST = 1_000_000  # bytes of a provider's answer
_LONGEST_SUBJECT = 255  # OpenID Connect Core, 2


class OidcError(Exception):
    """The sign-in did not succeed; the text is for the log, and holds no token."""


class OidcSettingsError(ValueError):
    """The provider's settings cannot be used; the text says what to write."""


@dataclass(frozen=True, slots=True)
class Grant:
    """Rule: who has `value` in the claim gets `roles` at the utility with this code."""

    value: str
    utility: str
    roles: frozenset[UserRole]


@dataclass(frozen=True, slots=True)
class OidcSettings:
    """A provider that knows us as `client_id`, and sends browsers back to `redirect_uri`.

    That is our own address, with the path /sign-in/provider.
    """

    issuer: str
    client_id: str
    redirect_uri: str
    grants: tuple[Grant, ...]
    client_secret: str | None = field(default=None, repr=False)
    claim: str = "groups"
    scopes: str = "openid profile email"
    name: str = "your organisation"

    def __post_init__(self) -> None:
        for address in (self.issuer, self.redirect_uri):
            if not _is_safe(address):
                raise OidcSettingsError(f"{address}: write an https address (http is for this machine only)")

    def roles(self, claims: Mapping[str, Any]) -> dict[str, list[str]]:
        """Roles that the claims of an ID token give, by the code of each utility."""
        given = claims.get(self.claim, [])
        values = {given} if isinstance(given, str) else {one for one in given if isinstance(one, str)}
        roles: dict[str, set[str]] = {}
        for grant in self.grants:
            if grant.value in values:
                roles.setdefault(grant.utility, set()).update(grant.roles)
        return {utility: sorted(held) for utility, held in roles.items()}


def load(path: Path, client_secret: str | None) -> OidcSettings:
    """The settings of a TOML file (docs/security.md shows one). Raises OidcSettingsError."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        grants = tuple(
            Grant(one["value"], one["utility"], frozenset(map(UserRole, one["roles"])))
            for one in document.pop("grant", [])
        )
        return OidcSettings(**document, grants=grants, client_secret=client_secret)
    except KeyError as error:
        raise OidcSettingsError(f"{path}: a [[grant]] has no {error}") from None
    except (OSError, tomllib.TOMLDecodeError, TypeError, ValueError) as error:
        raise OidcSettingsError(f"{path}: {error}") from None


@dataclass(frozen=True, slots=True)
class Attempt:
    """A sign-in under way: kept by the browser in an encrypted cookie until the provider sends it back."""

    state: str
    nonce: str
    verifier: str = field(repr=False)
    back_to: str


@dataclass(frozen=True, slots=True)
class ProvidedIdentity:
    """Whom the provider vouches for."""

    subject: str
    name: str
    roles: dict[str, list[str]]


class Provider:
    """The provider at the other end; one client, its metadata and keys kept for a while."""

    def __init__(
        self,
        settings: OidcSettings,
        secret: bytes,
        clock: Callable[[], datetime],
        client: httpx.Client,
    ) -> None:
        self.settings = settings
        self._clock = clock
        self._client = client
        key = HKDF(SHA256(), 32, salt=None, info=b"hesper sign-in attempt").derive(secret)
        self._cipher = Fernet(base64.urlsafe_b64encode(key))
        self._lock = threading.Lock()
        self._metadata: tuple[dict[str, Any], datetime] | None = None
        self._keys: tuple[KeySet, datetime] | None = None

    def begin(self, back_to: str) -> tuple[str, str]:
        """(where to send the browser, the cookie that it keeps meanwhile). Raises OidcError."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        attempt = Attempt(state, nonce, verifier, back_to)
        challenge = hashlib.sha256(attempt.verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": self.settings.client_id,
            "redirect_uri": self.settings.redirect_uri,
            "scope": self.settings.scopes,
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": base64.urlsafe_b64encode(challenge).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        cookie = json.dumps([attempt.state, attempt.nonce, attempt.verifier, attempt.back_to])
        endpoint = self._endpoint("authorization_endpoint")
        separator = "&" if urlsplit(endpoint).query else "?"
        return f"{endpoint}{separator}{urlencode(query)}", self._cipher.encrypt_at_time(
            cookie.encode(), int(self._clock().timestamp())
        ).decode()

    def finish(self, cookie: str, state: str, code: str) -> tuple[ProvidedIdentity, str]:
        """(who it is, where they wanted to go). Raises OidcError."""
        attempt = self._attempt(cookie)
        if not secrets.compare_digest(attempt.state.encode(), state.encode()):
            raise OidcError("the state is not that of this browser's attempt")
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.settings.redirect_uri,
            "client_id": self.settings.client_id,
            "code_verifier": attempt.verifier,
        }
        answer = self._fetch("POST", self._endpoint("token_endpoint"), data=form, auth=self._client_auth())
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise OidcError("the provider gave no ID token")
        claims = self._claims(token, attempt.nonce)
        name = claims.get("name") or claims.get("preferred_username") or claims.get("email") or ""
        return ProvidedIdentity(claims["sub"], str(name)[:100], self.settings.roles(claims)), attempt.back_to

    def _client_auth(self) -> httpx.Auth | None:
        """Our own secret (RFC 6749, 2.3.1); None for a client without one, which PKCE is enough for."""
        if self.settings.client_secret is None:
            return None
        return httpx.BasicAuth(
            quote(self.settings.client_id, safe=""), quote(self.settings.client_secret, safe="")
        )

    def _attempt(self, cookie: str) -> Attempt:
        try:
            content = self._cipher.decrypt_at_time(
                cookie.encode(), ATTEMPT_SECONDS, int(self._clock().timestamp())
            )
        except InvalidToken:
            raise OidcError("no attempt of this browser is under way") from None
        state, nonce, verifier, back_to = json.loads(content)
        return Attempt(state, nonce, verifier, back_to)

    def _claims(self, token: str, nonce: str) -> dict[str, Any]:
        """The claims of an ID token that holds (OpenID Connect Core, 3.1.3.7)."""
        try:
            try:
                decoded = jwt.decode(token, self._key_set(), algorithms=_ALGORITHMS)
            except (InvalidKeyIdError, BadSignatureError):  # of a key that we do not know, or that names none
                decoded = jwt.decode(token, self._key_set(anew=True), algorithms=_ALGORITHMS)
            claims = decoded.claims
            jwt.JWTClaimsRegistry(
                now=int(self._clock().timestamp()),
                leeway=_LEEWAY_SECONDS,
                iss={"essential": True, "value": self.settings.issuer},
                sub={"essential": True},
                aud={"essential": True, "value": self.settings.client_id},
                exp={"essential": True},
                iat={"essential": True},
                nonce={"essential": True, "value": nonce},
            ).validate(claims)
        except (JoseError, ValueError) as error:
            raise OidcError(f"the ID token does not hold: {type(error).__name__}") from error
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if (several or "azp" in claims) and claims.get("azp") != self.settings.client_id:
            raise OidcError("the ID token was issued to another party")
        if not claims["sub"] or len(claims["sub"]) > _LONGEST_SUBJECT:
            raise OidcError("the ID token names nobody")
        return dict(claims)

    def _key_set(self, *, anew: bool = False) -> KeySet:
        now = self._clock()
        with self._lock:
            kept = self._keys
        if kept is not None:
            age = now - kept[1]
            if age < (_KEYS_ANEW_AFTER if anew else _METADATA_KEPT):
                return kept[0]
        keys = KeySet.import_key_set({"keys": self._fetch("GET", self._endpoint("jwks_uri")).get("keys", [])})
        with self._lock:
            self._keys = (keys, now)
        return keys

    def _endpoint(self, name: str) -> str:
        """An address of the provider's metadata (OpenID Connect Discovery 1.0, 4)."""
        now = self._clock()
        with self._lock:
            kept = self._metadata
        if kept is None or now - kept[1] >= _METADATA_KEPT:
            address = self.settings.issuer.rstrip("/") + "/.well-known/openid-configuration"
            kept = (self._fetch("GET", address), now)
            if kept[0].get("issuer") != self.settings.issuer:
                raise OidcError("the provider's metadata name another issuer")
            with self._lock:
                self._metadata = kept
        endpoint = kept[0].get(name)
        if not isinstance(endpoint, str) or not _is_safe(endpoint):
            raise OidcError(f"the provider's metadata have no safe {name}")
        return endpoint

    def _fetch(
        self, method: str, address: str, *, data: dict[str, str] | None = None, auth: httpx.Auth | None = None
    ) -> dict[str, Any]:
        try:
            with self._client.stream(method, address, data=data, auth=auth) as answer:
                body = bytearray()
                for part in answer.iter_bytes():
                    body += part
                    if len(body) > _LARGEST:
                        raise OidcError("the provider's answer is too long")
                if answer.status_code != httpx.codes.OK:
                    raise OidcError(f"the provider answered {answer.status_code}")
            document = json.loads(body)
        except (httpx.HTTPError, ValueError) as error:
            raise OidcError(f"the provider does not answer: {type(error).__name__}") from error
        if not isinstance(document, dict):
            raise OidcError("the provider's answer is no document")
        return document


def _is_safe(address: str) -> bool:
    """https, or http to this very machine."""
    parts = urlsplit(address)
    if parts.scheme == "https":
        return bool(parts.hostname)
    if parts.scheme != "http" or not parts.hostname:
        return False
    try:
        return ipaddress.ip_address(parts.hostname).is_loopback
    except ValueError:
        return parts.hostname == "localhost"
