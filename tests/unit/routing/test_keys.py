"""Keys go to the keyring and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keyring
import keyring.errors
import pytest
from keyring.backend import KeyringBackend

from nearfield.errors import ConfigError
from nearfield.routing import keys


class Memory(KeyringBackend):
    """A keyring that forgets; `locked` makes every use an error."""

    priority = 1  # pyright: ignore[reportAssignmentType] - keyring declares it as a class property

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[tuple[str, str], str] = {}
        self.locked = False

    def _check(self) -> None:
        if self.locked:
            raise keyring.errors.KeyringLocked

    def get_password(self, service: str, username: str) -> str | None:
        self._check()
        return self.held.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._check()
        self.held[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._check()
        del self.held[service, username]


@pytest.fixture
def memory() -> Iterator[Memory]:
    before: Any = keyring.get_keyring()
    made = Memory()
    keyring.set_keyring(made)
    yield made
    keyring.set_keyring(before)


def test_set_list_remove(memory: Memory) -> None:
    assert keys.names() == [] and keys.lookup("cloud") is None
    keys.keep("cloud", "abc")
    keys.keep("other", "def")
    assert keys.names() == ["cloud", "other"]
    assert keys.lookup("cloud") == keys.held_by("cloud")("cloud/another-model") == "abc"
    assert keys.lookup("cloud/of-another-host") is None
    assert keys.remove("cloud") and not keys.remove("cloud")
    assert keys.names() == ["other"] and keys.lookup("cloud") is None
    assert "abc" not in memory.held.values()


def test_a_missing_keyring_is_an_error_except_when_reading_a_key(memory: Memory) -> None:
    memory.locked = True
    assert keys.lookup("cloud") is None
    for use in (keys.names, lambda: keys.keep("a", "b"), lambda: keys.remove("a")):
        with pytest.raises(ConfigError, match="KeyringLocked"):
            use()
