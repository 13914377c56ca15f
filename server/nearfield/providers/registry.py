"""From the settings to providers.

Built-in kinds are imported when they are first asked for. A package adds one by the entry point
group `nearfield.providers`: its name is the kind, its object a callable that takes `name`,
`settings` and, as keywords, `environ` and `secret`, and returns a `Provider`:

    [project.entry-points."nearfield.providers"]
    mine = "my_package:MyProvider"

A plugin that cannot be loaded costs its own providers and nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Protocol, cast

from nearfield.config.schema import ProviderSettings
from nearfield.errors import ConfigError
from nearfield.providers.base import Provider
from nearfield.providers.options import Secret

GROUP = "nearfield.providers"


class Factory(Protocol):
    """What makes a provider of one kind."""

    def __call__(
        self,
        name: str,
        settings: ProviderSettings,
        *,
        environ: Mapping[str, str],
        secret: Secret | None,
    ) -> Provider:
        """The provider. Raises `ConfigError`."""
        ...


def build(
    name: str,
    settings: ProviderSettings,
    *,
    environ: Mapping[str, str] | None = None,
    secret: Secret | None = None,
) -> Provider:
    """The provider that `[providers.NAME]` describes; no I/O. `environ` (the process's by default)
    and `secret` (the system keyring) are where keys come from.

    Raises `ConfigError`, also when a plugin of that kind cannot be loaded.
    """
    environ = os.environ if environ is None else environ
    if settings.kind in _BUILT_IN:
        return _BUILT_IN[settings.kind](name, settings, environ=environ, secret=secret)
    plugin = _plugin(settings.kind)
    # Code of another package may raise anything; it is named and left out.
    try:
        return plugin(name, settings, environ=environ, secret=secret)
    except ConfigError:
        raise
    except Exception as error:
        raise _broken(settings.kind, error) from error


def kinds() -> tuple[str, ...]:
    """Every kind that may be configured: the built-in ones, then those of plugins."""
    plugins = sorted({entry.name for entry in entry_points(group=GROUP)} - set(_BUILT_IN))
    return (*_BUILT_IN, *plugins)


def _plugin(kind: str) -> Factory:
    for entry in entry_points(group=GROUP):
        if entry.name == kind:
            try:
                return cast(Factory, entry.load())
            except Exception as error:
                raise _broken(kind, error) from error
    raise ConfigError(f"There is no provider kind {kind!r}.", f"It may be: {', '.join(kinds())}.")


def _broken(kind: str, error: Exception) -> ConfigError:
    # Only the class: what a stranger's message holds is unknown.
    return ConfigError(
        f"The provider plugin {kind!r} cannot be used: {type(error).__name__}.",
        "Update or remove the package that it is in.",
    )


def _scripted(
    name: str,
    settings: ProviderSettings,
    *,
    environ: Mapping[str, str],
    secret: Secret | None,
) -> Provider:
    from nearfield.providers.scripted import Scripted

    return Scripted(name, settings)


def _of(module: str, attribute: str) -> Factory:
    """The factory `attribute` of a module of this package, imported when it is called."""

    def make(
        name: str,
        settings: ProviderSettings,
        *,
        environ: Mapping[str, str],
        secret: Secret | None,
    ) -> Provider:
        factory: Callable[..., Provider] = getattr(
            import_module(f"nearfield.providers.{module}"), attribute
        )
        return factory(name, settings, environ=environ, secret=secret)

    return make


_BUILT_IN: dict[str, Factory] = {
    "llama_server": _of("managed", "build"),
    "ollama": _of("ollama", "Ollama"),
    "openai_compatible": _of("openai_compatible", "build"),
    "anthropic": _of("anthropic", "Anthropic"),
    "scripted": _scripted,
}
