"""Providers' keys in the system keyring: the one place that knows how they are kept there.

A key never appears in a settings file, a log, an error or an answer. The keyring cannot list what
it holds, so the names (no keys) are an entry of their own beside them. All functions block, and may
make the system ask the user; callers on the event loop use a thread.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

from nearfield.errors import ConfigError, ExtraMissing

SERVICE = "nearfield"
NAMES = ".names"

log = logging.getLogger(__name__)


def lookup(provider: str) -> str | None:
    """The key kept for a provider; None when there is none or there is no keyring."""
    try:
        keyring, errors = _keyring()
    except ExtraMissing:
        return None
    try:
        return keyring.get_password(SERVICE, provider)
    except errors.KeyringError as error:
        log.info("the system keyring cannot be used (%s)", type(error).__name__)
        return None


def held_by(provider: str) -> Callable[[str], str | None]:
    """Return what looks up the key of `provider` for each of its variants ("NAME/MODEL")."""
    return lambda _: lookup(provider)


def keep(provider: str, key: str) -> None:
    """Keep `key` for a provider. Raises `ConfigError` when there is no keyring."""
    keyring, errors = _keyring()
    try:
        keyring.set_password(SERVICE, provider, key)
        _keep_names(keyring, sorted({*names(), provider}))
    except errors.KeyringError as error:
        raise _no_keyring(error) from error


def keep_own(name: str, key: str) -> None:
    """Keep a key of Nearfield's own, which is in no list. Raises `ConfigError` when there is no
    keyring."""
    keyring, errors = _keyring()
    try:
        keyring.set_password(SERVICE, name, key)
    except errors.KeyringError as error:
        raise _no_keyring(error) from error


def remove(provider: str) -> bool:
    """Forget a provider's key; whether there was one. Raises `ConfigError`."""
    keyring, errors = _keyring()
    try:
        known = names()
        if keyring.get_password(SERVICE, provider) is None:
            return False
        keyring.delete_password(SERVICE, provider)
        _keep_names(keyring, [name for name in known if name != provider])
    except errors.KeyringError as error:
        raise _no_keyring(error) from error
    return True


def names() -> list[str]:
    """The providers that a key is kept for. Raises `ConfigError` when there is no keyring."""
    keyring, errors = _keyring()
    try:
        held = keyring.get_password(SERVICE, NAMES)
    except errors.KeyringError as error:
        raise _no_keyring(error) from error
    try:
        found: Any = json.loads(held or "[]")
    except ValueError:
        return []
    return [str(name) for name in found] if isinstance(found, list) else []


def _keep_names(keyring: Any, found: list[str]) -> None:
    keyring.set_password(SERVICE, NAMES, json.dumps(found))


def _keyring() -> tuple[Any, Any]:
    # Imported late: looking for the system's keyrings takes a tenth of a second.
    try:
        import keyring
        import keyring.errors
    except ImportError as error:
        raise ExtraMissing("The system's keyring", "cloud") from error

    return keyring, keyring.errors


def _no_keyring(error: Exception) -> ConfigError:
    return ConfigError(
        f"The system keyring cannot be used ({type(error).__name__}).",
        "Put the key into an environment variable and name it in api_key_env instead.",
    )
