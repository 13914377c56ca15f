"""Build providers from the settings.

Built-in kinds are imported when they are first asked for. A package adds one by the entry point
group `nearfield.providers`: its name is the kind, its object a callable that takes `name`,
`settings` and, as keywords, `environ` and `secret`, and returns a `Provider`:

    [project.entry-points."nearfield.providers"]
    mine = "my_package:MyProvider"

A plugin that cannot be loaded disables its own providers only.
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
from nearfield.providers.options import ProviderArgs, Secret

GROUP = "nearfield.providers"


class PluginFactory(Protocol):
    """Builds a provider of a plugin's kind."""

    def __call__(
        self,
        name: str,
        settings: ProviderSettings,
        *,
        environ: Mapping[str, str],
        secret: Secret | None,
    ) -> Provider:
        """Return the provider. Raises `ConfigError`."""
        ...


def build(
    name: str,
    settings: ProviderSettings,
    *,
    environ: Mapping[str, str] | None = None,
    secret: Secret | None = None,
) -> Provider:
    """Return the provider that `[providers.NAME]` describes; no I/O. `environ` (the process's by
    default) and `secret` (the system keyring) are where keys come from.

    Raises `ConfigError`, also when a plugin of that kind cannot be loaded.
    """
    environ = os.environ if environ is None else environ
    if settings.kind in _BUILT_IN:
        module, attribute = _BUILT_IN[settings.kind]
        factory: Callable[[ProviderArgs], Provider] = getattr(
            import_module(f"nearfield.providers.{module}"), attribute
        )
        return factory(ProviderArgs(name, settings, environ, secret))
    plugin = _plugin(settings.kind)
    # Code of another package may raise anything; it is named and left out.
    try:
        return plugin(name, settings, environ=environ, secret=secret)
    except ConfigError:
        raise
    except Exception as error:
        raise _broken(settings.kind, error) from error


def kinds() -> tuple[str, ...]:
    """Return every kind that may be configured: the built-in ones, then the plugins'."""
    plugins = sorted({entry.name for entry in entry_points(group=GROUP)} - set(_BUILT_IN))
    return (*_BUILT_IN, *plugins)


def _plugin(kind: str) -> PluginFactory:
    for entry in entry_points(group=GROUP):
        if entry.name == kind:
            try:
                return cast(PluginFactory, entry.load())
            except Exception as error:
                raise _broken(kind, error) from error
    raise ConfigError(f"There is no provider kind {kind!r}.", f"It may be: {', '.join(kinds())}.")


def _broken(kind: str, error: Exception) -> ConfigError:
    # Only the class: what a stranger's message holds is unknown.
    return ConfigError(
        f"The provider plugin {kind!r} cannot be used: {type(error).__name__}.",
        "Update or remove the package that it is in.",
    )


_BUILT_IN = {
    "llama_server": ("managed", "build"),
    "ollama": ("ollama", "Ollama"),
    "openai_compatible": ("openai_compatible", "OpenAICompatible"),
    "anthropic": ("anthropic", "Anthropic"),
    "onnx": ("onnx", "build"),
    "openvino": ("openvino", "build"),
    "scripted": ("scripted", "build"),
}
"""Module and factory of each built-in kind; factories take `ProviderArgs`."""
