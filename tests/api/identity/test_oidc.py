"""Sign-in with a provider, against a real one on this machine."""

import base64
import hashlib
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
import psycopg
import pytest
from fastapi.testclient import TestClient
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from api.identity.oidc import Grant, OidcError, OidcSettings, OidcSettingsError, Provider, load
from api.web.app import create_app
from api.web.settings import ApiSettings
from metering.access import UserRole
from tests.api.conftest import Clock
from tests.api.people import SECRET, form_token
from tests.api.seeding import Seeded, seed

with warnings.catch_warnings(record=True):  # its own dependencies announce their next versions
    from oidc_provider_mock import User, run_server_in_thread

pytestmark = pytest.mark.filterwarnings("ignore:get_jwt_config:DeprecationWarning")  # within the provider

REDIRECT = "http://127.0.0.1/sign-in/provider"
PEOPLE = (
    User(sub="42", claims={"name": "Anna", "groups": ["meters", "other"]}),
    User(sub="43", claims={"name": "Boris", "groups": ["other"]}),
)


def serve(port: int = 0) -> AbstractContextManager[Any]:
    """A provider with keys of its own, new ones at every start."""
    return run_server_in_thread(port, user_claims=PEOPLE)


@pytest.fixture
def ours(connection: psycopg.Connection) -> Seeded:
    """A small utility: nothing here looks at its readings."""
    return seed(connection, "alpha", flats=1, days=1)


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime.now(UTC))  # the provider has no other


@pytest.fixture
def provider() -> Iterator[Any]:
    with serve() as server:
        yield server


@pytest.fixture
def oidc(provider: Any) -> OidcSettings:
    return OidcSettings(
        issuer=f"http://localhost:{provider.server_port}",
        client_id="hesper",
        client_secret="s3cret-of-the-client",
        redirect_uri=REDIRECT,
        grants=(
            Grant("meters", "alpha", frozenset({UserRole.ENGINEER})),
            Grant("meters", "gone", frozenset({UserRole.APPROVER})),
        ),
    )


@pytest.fixture
def visitor(settings: ApiSettings, oidc: OidcSettings, clock: Clock, ours: Seeded) -> Iterator[TestClient]:
    app = create_app(replace(settings, oidc=oidc), clock=clock)
    with TestClient(
        app, base_url="http://127.0.0.1", raise_server_exceptions=False, follow_redirects=False
    ) as client:
        yield client


def authorize(location: str, subject: str) -> str:
    """What a person does at the provider; where it sends the browser back to."""
    answer = httpx.post(location, data={"sub": subject})
    assert answer.status_code == 302, answer.text
    return answer.headers["location"]


def test_a_person_comes_in_by_the_provider_with_the_roles_of_their_groups(
    visitor: TestClient, connection: psycopg.Connection
) -> None:
    assert "Continue with your organisation" in visitor.get("/sign-in").text
    sent = visitor.get("/sign-in/start?next=/findings")
    cookie = sent.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    query = dict(parse_qsl(urlsplit(sent.headers["location"]).query))
    assert query["response_type"] == "code"
    assert query["code_challenge_method"] == "S256"
    back = authorize(sent.headers["location"], "42")
    assert urlsplit(back).path == "/sign-in/provider"
    arrived = visitor.get(back)
    assert (arrived.status_code, arrived.headers["location"]) == (303, "/findings")
    assert "Signed in as 42 (http://localhost:" in visitor.get("/").text
    account = visitor.get("/account").text
    assert "Anna" in account
    assert "alpha: engineer" in account
    assert "second factor" not in account.lower()
    assert visitor.get("/months/2026-10").status_code == 200
    assert visitor.get(back).status_code == 401, "a code and its attempt count once"
    assert connection.execute("select count(*) from user_roles").fetchone() == (0,)
    token = form_token(visitor.get("/account").text)
    refused = visitor.post(
        "/account/password", data={"form_token": token, "current": "x", "password": "x" * 12}
    )
    assert refused.json()["type"].endswith("no-password")
    connection.commit()
    connection.execute("update users set disabled_at = now() where subject = '42'")
    connection.commit()
    assert visitor.get("/").status_code == 303


def test_whoever_has_none_of_the_groups_is_known_and_comes_no_further(visitor: TestClient) -> None:
    back = authorize(visitor.get("/sign-in/start").headers["location"], "43")
    answer = visitor.get(back)
    assert answer.status_code == 403
    assert "no role at any utility" in answer.text
    assert visitor.get("/").status_code == 303


def test_an_answer_to_another_browsers_attempt_is_refused(visitor: TestClient) -> None:
    back = authorize(visitor.get("/sign-in/start").headers["location"], "42")
    visitor.get("/sign-in/start")  # another attempt, with another state
    assert visitor.get(back).status_code == 401
    visitor.cookies.clear()
    assert visitor.get(back).status_code == 401
    assert visitor.get("/sign-in/provider?code=x&state=%C5%BE").status_code == 401


def test_an_attempt_lasts_ten_minutes(visitor: TestClient, clock: Clock) -> None:
    back = authorize(visitor.get("/sign-in/start").headers["location"], "42")
    clock.now = clock.now.replace(year=clock.now.year + 1)
    assert visitor.get(back).status_code == 401


def _attempt(provider: Provider, subject: str) -> tuple[str, str, str]:
    location, cookie = provider.begin("/")
    query = dict(parse_qsl(urlsplit(authorize(location, subject)).query))
    return cookie, query["state"], query["code"]


def test_the_code_is_exchanged_with_the_verifier_of_its_challenge(oidc: OidcSettings, clock: Clock) -> None:
    sent: list[httpx.Request] = []
    with httpx.Client(event_hooks={"request": [sent.append]}) as client:
        provider = Provider(oidc, SECRET, clock, client)
        location, cookie = provider.begin("/")
        challenge = dict(parse_qsl(urlsplit(location).query))["code_challenge"]
        back = dict(parse_qsl(urlsplit(authorize(location, "42")).query))
        identity, _ = provider.finish(cookie, back["state"], back["code"])
    assert identity.subject == "42"
    (exchange,) = (one for one in sent if one.method == "POST")
    form = parse_qs(exchange.content.decode())
    digest = hashlib.sha256(form["code_verifier"][0].encode()).digest()
    assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == challenge
    assert form["code_verifier"][0] not in location
    assert oidc.client_secret is not None
    assert oidc.client_secret not in repr(oidc)
    assert not any("code" in one.url.params for one in sent)


def test_new_keys_of_the_provider_are_fetched_and_no_more_often_than_once_a_minute(clock: Clock) -> None:
    asked: list[str] = []
    with httpx.Client(event_hooks={"request": [lambda request: asked.append(request.url.path)]}) as client:
        with serve() as server:
            port = server.server_port
            settings = OidcSettings(f"http://localhost:{port}", "hesper", REDIRECT, (), "secret")
            provider = Provider(settings, SECRET, clock, client)
            provider.finish(*_attempt(provider, "42"))
        with serve(port):  # the same provider, with other keys
            attempt = _attempt(provider, "42")
            with pytest.raises(OidcError, match="does not hold"):
                provider.finish(*attempt)
            clock.now = datetime.fromtimestamp(clock.now.timestamp() + 61, UTC)
            assert provider.finish(*_attempt(provider, "42"))[0].subject == "42"
    assert asked.count("/jwks") == 2


def _forge(oidc: OidcSettings, clock: Clock, key: RSAKey | OctKey, alg: str, **claims: Any) -> str:
    now = int(clock.now.timestamp())
    whole = {"iss": oidc.issuer, "aud": "hesper", "sub": "42", "iat": now, "exp": now + 60, "nonce": "n"}
    return jwt.encode({"alg": alg, "kid": key.kid}, whole | claims, key, algorithms=[alg])


def test_an_id_token_holds_only_with_its_signature_issuer_audience_times_and_nonce(
    oidc: OidcSettings, clock: Clock
) -> None:
    key = RSAKey.generate_key(2048, auto_kid=True)
    metadata = {"issuer": oidc.issuer, "jwks_uri": f"{oidc.issuer}/jwks"}

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(
            200, json={"keys": [key.as_dict(private=False)]} if request.url.path == "/jwks" else metadata
        )

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:  # a provider that signs what we say
        provider = Provider(oidc, SECRET, clock, client)
        assert provider._claims(_forge(oidc, clock, key, "RS256"), "n")["sub"] == "42"
        now = int(clock.now.timestamp())
        wrong: list[dict[str, Any]] = [
            {"iss": "http://localhost:1"},
            {"aud": "another"},
            {"aud": ["hesper", "another"]},
            {"azp": "another"},
            {"exp": now - 61},
            {"iat": now + 61},
            {"nonce": "other"},
            {"nonce": None},
            {"sub": ""},
            {"sub": "x" * 256},
            {"sub": 42},
        ]
        for claims in wrong:
            with pytest.raises(OidcError):
                provider._claims(_forge(oidc, clock, key, "RS256", **claims), "n")
        stranger = RSAKey.generate_key(2048, {"kid": key.kid})
        for forged in (
            _forge(oidc, clock, stranger, "RS256"),
            _forge(oidc, clock, OctKey.generate_key(256, {"kid": key.kid}), "HS256"),
            "eyJhbGciOiJub25lIn0.eyJzdWIiOiI0MiJ9.",
            "",
            "a.b.c",
        ):
            with pytest.raises(OidcError):
                provider._claims(forged, "n")


@pytest.mark.expects_log("the identity provider cannot be used")
def test_a_provider_that_is_away_or_names_itself_otherwise_is_not_gone_to(
    settings: ApiSettings, oidc: OidcSettings, clock: Clock
) -> None:
    nobody = "http://127.0.0.1:9"
    otherwise = oidc.issuer + "/"
    for issuer in (nobody, otherwise):
        app = create_app(replace(settings, oidc=replace(oidc, issuer=issuer)), clock=clock)
        with TestClient(app, base_url="http://127.0.0.1", follow_redirects=False) as client:
            answer = client.get("/sign-in/start")
            assert answer.status_code == 502
            assert "did not succeed" in answer.text
            assert "127.0.0.1:9" not in answer.text


def test_the_settings_are_read_from_toml_and_refused_where_they_are_unsafe(tmp_path: Path) -> None:
    path = tmp_path / "oidc.toml"
    text = """
        issuer = "https://login.example"
        client_id = "hesper"
        redirect_uri = "https://hesper.example/sign-in/provider"
        [[grant]]
        value = "meters"
        utility = "aurora"
        roles = ["engineer", "viewer"]
    """
    path.write_text(text)
    settings = load(path, "secret")
    assert settings.roles({"groups": ["meters", 7]}) == {"aurora": ["engineer", "viewer"]}
    assert settings.roles({"groups": "meters"}) == settings.roles({"groups": ["meters"]})
    assert settings.roles({}) == {}
    for wrong in (
        text.replace("https://login", "http://login"),
        text.replace("viewer", "owner"),
        text.replace("value", "group"),
        text.replace("client_id", "client"),
        "issuer = ",
    ):
        path.write_text(wrong)
        with pytest.raises(OidcSettingsError):
            load(path, None)
    with pytest.raises(OidcSettingsError):
        load(tmp_path / "none.toml", None)
