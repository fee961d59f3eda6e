"""Signing in as a person: passwords, second factors, lock-outs, and what becomes of sessions."""

import re
from datetime import timedelta

import psycopg
import pyotp
import pytest
from fastapi.testclient import TestClient

from api.identity.passwords import Passwords, SecondFactor, recovery_codes, recovery_hash
from metering.access import UserRole
from store.access import users
from tests.api.conftest import Clock
from tests.api.people import CHEAP, PASSWORD, SECRET, enrol, form_token, open_session, person, post_sign_in
from tests.api.seeding import Seeded, seed


@pytest.fixture
def ours(connection: psycopg.Connection) -> Seeded:
    """A small utility: nothing here looks at its readings."""
    return seed(connection, "alpha", flats=1, days=1)


@pytest.fixture
def anna(connection: psycopg.Connection, ours: Seeded) -> int:
    return person(connection, "anna", "alpha", UserRole.ENGINEER)


def test_a_person_signs_in_with_login_and_password(anonymous: TestClient, anna: int) -> None:
    answer = post_sign_in(anonymous, login=" Anna ", password=PASSWORD, next="/findings")
    assert (answer.status_code, answer.headers["location"]) == (303, "/findings")
    assert "Signed in as anna" in anonymous.get("/").text


def test_nothing_tells_whether_an_account_exists(
    anonymous: TestClient, connection: psycopg.Connection, anna: int
) -> None:
    enrol(connection, person(connection, "boris", "alpha", UserRole.APPROVER))
    said = set()
    for login, password in (("anna", "wrong"), ("boris", PASSWORD), ("nobody", PASSWORD), ("", "")):
        answer = post_sign_in(anonymous, login=login, password=password)
        assert answer.status_code == 401
        assert login == "" or login not in answer.text
        said.add(re.sub(r'name="form_token" value="[^"]*"', "", answer.text))
    assert len(said) == 1


def test_an_unknown_account_costs_the_same_hash_as_a_wrong_password(monkeypatch: pytest.MonkeyPatch) -> None:
    passwords = Passwords(CHEAP)
    computed = []
    hasher = passwords._hasher
    verify = type(hasher).verify

    def counted(self: object, kept: str, password: str) -> bool:
        computed.append(kept)
        return verify(hasher, kept, password)

    monkeypatch.setattr(type(hasher), "verify", counted)
    known = passwords.hash(PASSWORD)
    assert passwords.matches(known, PASSWORD)
    assert not passwords.matches(known, "wrong")
    assert not passwords.matches(None, "wrong")
    assert len(computed) == 3
    parameters = {kept.rsplit("$", 2)[0] for kept in computed}
    assert parameters == {f"$argon2id$v=19$m={CHEAP},t=3,p=4"}


def test_the_default_hash_is_as_costly_as_rfc_9106_recommends() -> None:
    assert Passwords().hash("x").startswith("$argon2id$v=19$m=65536,t=3,p=4$")


def test_an_account_that_fails_has_to_wait_whether_it_exists_or_not(
    anonymous: TestClient, anna: int, clock: Clock
) -> None:
    for login in ("anna", "nobody"):
        said = [post_sign_in(anonymous, login=login, password="x").status_code for _ in range(6)]
        assert said == [401] * 5 + [429]
        clock.now += timedelta(minutes=40)
    for _ in range(5):
        post_sign_in(anonymous, login="anna", password="x")
    refused = post_sign_in(anonymous, login="anna", password=PASSWORD)
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "61"
    clock.now += timedelta(minutes=1)
    assert post_sign_in(anonymous, login="anna", password=PASSWORD).status_code == 303


def test_a_second_factor_is_set_up_once_and_asked_for_from_then_on(
    anonymous: TestClient, connection: psycopg.Connection, anna: int, clock: Clock
) -> None:
    post_sign_in(anonymous, login="anna", password=PASSWORD)
    page = anonymous.get("/account").text
    offered = anonymous.post("/account/second-factor", data={"form_token": form_token(page)}).text
    secret = re.search(r'id="totp-secret">([A-Z2-7]+)<', offered)
    assert secret
    totp = pyotp.TOTP(secret[1])
    assert secret[1] not in anonymous.get("/account").text
    token = form_token(page)
    wrong = anonymous.post("/account/second-factor/confirm", data={"form_token": token, "code": "000000x"})
    assert wrong.status_code == 422
    confirmed = anonymous.post(
        "/account/second-factor/confirm", data={"form_token": token, "code": totp.at(clock.now)}
    ).text
    codes = re.findall(r'class="recovery">([0-9a-f]+)<', confirmed)
    assert len(codes) == 10
    assert codes[0] not in anonymous.get("/account").text
    kept = connection.execute("select users::text from users where id = %s", (anna,)).fetchone()
    assert kept
    assert secret[1] not in kept[0]
    assert codes[0] not in kept[0]
    connection.commit()

    def sign_in(code: str) -> int:
        anonymous.cookies.clear()
        return int(post_sign_in(anonymous, login="anna", password=PASSWORD, code=code).status_code)

    assert sign_in("") == 401
    assert sign_in(totp.at(clock.now)) == 401, "the code that confirmed it counts no second time"
    clock.now += timedelta(seconds=30)
    assert sign_in(totp.at(clock.now)) == 303
    assert sign_in(totp.at(clock.now)) == 401, "a code counts once"
    assert sign_in(codes[3]) == 303
    assert sign_in(codes[3]) == 401, "a recovery code counts once"
    clock.now += timedelta(seconds=60)
    assert sign_in(totp.at(clock.now, counter_offset=-1)) == 303, "clocks differ by a step"
    assert sign_in(totp.at(clock.now, counter_offset=-3)) == 401


def test_who_has_a_role_that_needs_a_second_factor_is_led_to_it_with_a_code_for_the_camera(
    anonymous: TestClient, connection: psycopg.Connection, ours: Seeded
) -> None:
    person(connection, "olga", ours.code, UserRole.APPROVER)
    entered = post_sign_in(anonymous, login="olga", password=PASSWORD, next="/months")
    assert entered.headers["location"] == "/account#second-factor"
    page = anonymous.get("/account").text
    assert "counts once you have a second factor." in page
    offered = anonymous.post("/account/second-factor", data={"form_token": form_token(page)})
    assert re.search(r'<div class="qr" role="img"[^>]*><svg [^>]*>', offered.text)
    assert " style=" not in offered.text, "the content security policy takes none"


def test_a_second_factor_of_another_installation_opens_nothing(clock: Clock) -> None:
    factor = SecondFactor(SECRET)
    secret = factor.new_secret()
    code = pyotp.TOTP(secret).at(clock.now)
    assert factor.step_of(factor.seal(secret), code, clock.now) == int(clock.now.timestamp()) // 30
    assert SecondFactor(b"other" * 8).step_of(factor.seal(secret), code, clock.now) is None
    assert len({recovery_hash(one) for one in recovery_codes()}) == 10


def test_a_new_password_ends_every_other_session_and_gives_this_one_another_token(
    anonymous: TestClient, connection: psycopg.Connection, ours: Seeded, anna: int, clock: Clock
) -> None:
    open_session(anonymous, connection, ours.id, anna, clock.now)
    elsewhere = anonymous.cookies["hesper-session"]
    post_sign_in(anonymous, login="anna", password=PASSWORD)
    before = anonymous.cookies["hesper-session"]
    fields = {"form_token": form_token(anonymous.get("/account").text), "password": "a new passphrase"}
    for wrong in ({"current": "wrong"}, {"current": PASSWORD, "password": "short"}):
        assert anonymous.post("/account/password", data=fields | wrong).status_code == 422
    assert anonymous.post("/account/password", data=fields | {"current": PASSWORD}).status_code == 303
    assert anonymous.get("/").status_code == 200
    for old in (elsewhere, before):
        anonymous.cookies.clear()
        assert anonymous.get("/", headers={"Cookie": f"hesper-session={old}"}).status_code == 303
    assert post_sign_in(anonymous, login="anna", password=PASSWORD).status_code == 401
    assert post_sign_in(anonymous, login="anna", password="a new passphrase").status_code == 303


def test_signing_in_gives_a_new_token_and_ends_the_old_session(anonymous: TestClient, anna: int) -> None:
    post_sign_in(anonymous, login="anna", password=PASSWORD)
    first = anonymous.cookies["hesper-session"]
    post_sign_in(anonymous, login="anna", password=PASSWORD)
    assert anonymous.cookies["hesper-session"] != first
    anonymous.cookies.clear()
    assert anonymous.get("/", headers={"Cookie": f"hesper-session={first}"}).status_code == 303


def test_a_session_ends_when_it_is_idle_at_its_last_hour_and_when_it_is_told_to(
    anonymous: TestClient, connection: psycopg.Connection, ours: Seeded, anna: int, clock: Clock
) -> None:
    began = clock.now
    open_session(anonymous, connection, ours.id, anna, clock.now)
    while clock.now < began + timedelta(hours=11, minutes=30):
        assert anonymous.get("/account").status_code == 200, clock.now
        clock.now += timedelta(minutes=55)
    clock.now = began + timedelta(hours=12)
    assert anonymous.get("/account").status_code == 303, "its last hour has passed"
    open_session(anonymous, connection, ours.id, anna, clock.now)
    clock.now += timedelta(minutes=61)
    assert anonymous.get("/account").status_code == 303, "it was idle"
    open_session(anonymous, connection, ours.id, anna, clock.now)
    other = anonymous.cookies["hesper-session"]
    token = open_session(anonymous, connection, ours.id, anna, clock.now)
    assert anonymous.post("/account/sessions/end", data={"form_token": token}).status_code == 303
    assert anonymous.get("/account").status_code == 200
    anonymous.cookies.clear()
    assert anonymous.get("/", headers={"Cookie": f"hesper-session={other}"}).status_code == 303


@pytest.mark.parametrize("end", ["disable", "withdraw", "reset"])
def test_whoever_is_shut_out_is_out_at_once(
    *, anonymous: TestClient, connection: psycopg.Connection, ours: Seeded, anna: int, clock: Clock, end: str
) -> None:
    open_session(anonymous, connection, ours.id, anna, clock.now)
    assert anonymous.get("/").status_code == 200
    if end == "disable":
        users.set_disabled(connection, "anna", disabled=True)
    elif end == "withdraw":
        users.withdraw(connection, "anna", "alpha", UserRole.ENGINEER)
    else:
        users.reset(connection, "anna", Passwords(CHEAP).hash("other"))
    connection.commit()
    assert anonymous.get("/").headers["location"] == "/sign-in"
    refused = post_sign_in(anonymous, login="anna", password=PASSWORD)
    assert refused.status_code == (403 if end == "withdraw" else 401)


def test_who_works_for_two_utilities_sees_one_at_a_time(
    anonymous: TestClient, connection: psycopg.Connection, ours: Seeded, theirs: Seeded, anna: int
) -> None:
    users.grant(connection, "anna", "beta", UserRole.VIEWER)
    connection.commit()
    post_sign_in(anonymous, login="anna", password=PASSWORD)
    assert "Aqua Beta" not in anonymous.get("/").text
    token = form_token(anonymous.get("/account").text)
    unknown = anonymous.post("/account/utility", data={"form_token": token, "utility": "gamma"})
    assert unknown.status_code == 404
    assert (
        anonymous.post("/account/utility", data={"form_token": token, "utility": "beta"}).status_code == 303
    )
    page = anonymous.get("/").text
    assert "Aqua Beta" in page
    assert ours.meters[0] not in page
    assert anonymous.get(f"/meters/{ours.meters[0]}").status_code == 404
    assert theirs.meters[0] in anonymous.get(f"/meters/{theirs.meters[0]}").text


def test_a_session_of_a_key_has_no_account_to_change(browser: TestClient) -> None:
    page = browser.get("/account").text
    assert "began with an API key" in page
    for path in ("password", "second-factor", "sessions/end", "utility"):
        fields = {"form_token": form_token(page), "current": "x", "password": "x" * 12, "utility": "beta"}
        answer = browser.post(f"/account/{path}", data=fields)
        assert answer.status_code == 403
        assert answer.json()["type"].endswith("no-account")
