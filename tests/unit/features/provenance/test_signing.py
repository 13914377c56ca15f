"""Without a keyring, its packages or its answer nothing is signed, and it is said why."""

from __future__ import annotations

import sys
import threading

import pytest

from nearfield.errors import ConfigError
from nearfield.features.provenance import signing
from nearfield.features.provenance.signing import KeyPair, SigningKey


def no_keyring(name: str, key: str) -> None:
    raise ConfigError("The system keyring cannot be used.")


def test_without_cryptography_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric.ed25519", None)
    found = signing.key_pair(is_made=True)
    assert found.signing is None
    assert "nearfield[provenance]" in found.why


@pytest.mark.parametrize("held", [None, "", "not hexadecimal", "00"])
def test_without_a_usable_keyring_there_is_no_key(
    held: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lookup(name: str) -> str | None:
        return held

    monkeypatch.setattr(signing.keys, "lookup", lookup)
    monkeypatch.setattr(signing.keys, "keep_own", no_keyring)
    assert signing.key_pair(is_made=True) == KeyPair(why=signing.WITHOUT_KEYRING)


def test_a_keyring_that_asks_the_user_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    answered, made = threading.Event(), KeyPair(public="ab")

    def waits(is_made: bool = False) -> KeyPair:
        answered.wait()
        return made

    monkeypatch.setattr(signing, "key_pair", waits)
    key = SigningKey()
    assert key.get(0.0).signing is None
    answered.set()
    assert key.get(60.0) is made
