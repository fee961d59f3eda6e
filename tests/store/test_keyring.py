"""Keyring: the newest key encrypts, each decrypts, and nobody encrypts with one that others do not have."""

import psycopg
import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from store.keyring import PREFIX, Keyring, KeyringError, admit

OLD, NEW, FOREIGN = (Fernet.generate_key().decode() for _ in range(3))


@given(st.text())
def test_any_secret_is_had_back_and_not_seen(secret: str) -> None:
    kept = Keyring(lambda: [NEW]).seal(secret)
    assert kept.startswith(PREFIX)
    assert len(secret) < 4 or secret not in kept
    assert Keyring(lambda: [NEW, OLD]).open(kept) == secret
    assert Keyring(lambda: [OLD, NEW]).open(kept) == secret


def test_a_secret_from_before_there_were_keys_is_itself_and_sealed_when_it_can_be() -> None:
    keyring = Keyring(lambda: [NEW])
    assert keyring.open("whsec_x") == "whsec_x"
    kept = keyring.resealed("whsec_x")
    assert kept is not None
    assert keyring.open(kept) == "whsec_x"


def test_what_an_older_key_encrypts_is_encrypted_anew_once() -> None:
    kept = Keyring(lambda: [OLD]).seal("whsec_x")
    rotated = Keyring(lambda: [NEW, OLD])
    fresh = rotated.resealed(kept)
    assert fresh is not None
    assert rotated.resealed(fresh) is None
    assert Keyring(lambda: [NEW]).open(fresh) == "whsec_x"


def test_a_process_that_runs_finds_the_key_of_a_rotation() -> None:
    keys = [OLD]
    keyring = Keyring(lambda: keys)
    kept = Keyring(lambda: [NEW]).seal("whsec_x")
    with pytest.raises(KeyringError, match="a key that is not here"):
        keyring.open(kept)
    keys.insert(0, NEW)
    assert keyring.open(kept) == "whsec_x"


def test_a_process_that_runs_finds_the_first_key_that_another_one_made() -> None:
    keys: list[str] = []
    keyring = Keyring(lambda: keys)
    with pytest.raises(KeyringError, match="no key"):
        keyring.seal("whsec_x")
    keys.append(NEW)
    assert keyring.open(keyring.seal("whsec_x")) == "whsec_x"


@pytest.mark.parametrize("kept", ["sealed:", "sealed:x", f"sealed:{'A' * 120}"])
def test_what_nobody_sealed_is_refused(kept: str) -> None:
    with pytest.raises(KeyringError):
        Keyring(lambda: [NEW]).open(kept)


def test_a_key_that_is_none_is_told_without_it() -> None:
    with pytest.raises(KeyringError) as told:
        Keyring(lambda: ["secret"])
    assert "secret" not in str(told.value).replace("secrets", "")


def test_nobody_encrypts_with_a_key_that_the_others_do_not_have(connection: psycopg.Connection) -> None:
    with pytest.raises(KeyringError):
        admit(connection, Keyring(list))
    admit(connection, Keyring(lambda: [OLD]))
    with pytest.raises(KeyringError, match="keys that are not here"):
        admit(connection, Keyring(lambda: [FOREIGN]))
    admit(connection, Keyring(lambda: [NEW, OLD]))
    admit(connection, Keyring(lambda: [NEW]))
