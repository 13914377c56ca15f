"""Names of providers, as roles and rules give them."""

from __future__ import annotations

from collections.abc import Container


def provider_of(entry: str, providers: Container[str]) -> str:
    """Return the provider that `entry` names: one of `providers`, whose name may hold a slash, else
    NAME of a "NAME/MODEL"."""
    return entry if entry in providers else entry.partition("/")[0]
