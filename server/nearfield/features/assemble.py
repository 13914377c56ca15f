"""The providers that the settings ask for, built once at the start and again when they change.

What cannot be built is not left out silently: an `Absent` stands in its place, whose health says
what is missing and what to do. Imports are in the functions: a server that only uses HTTP never
loads the engine's client, and none of it is loaded before `initialize` is answered.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from nearfield.config.schema import Config, ProviderSettings
from nearfield.errors import CatalogError, ConfigError, EngineMissing, NearfieldError
from nearfield.providers.absent import Absent
from nearfield.routing.router import EMBEDDED, variants

if TYPE_CHECKING:
    from nearfield.providers.base import Provider

log = logging.getLogger(__name__)

EMBEDDED_CHAT = "embedded_chat"
"""The embedded engine with a model of its own for chat, where the user has one: a base model fills
in better and an instruct model answers better."""


def providers(
    config: Config,
    on_change: Callable[[], None] | None = None,
    note: Callable[[str], None] = log.warning,
) -> dict[str, Provider]:
    """Every provider of `config`, by the user's name for it; nothing is started or connected.

    May hash a model file, so call it off the event loop. `on_change` hears when the engine's state
    changes, `note` gets sentences for the user about settings that could not be followed.
    """
    builders: dict[str, Callable[[], Provider]] = {}
    if config.engine.enabled:
        builders[EMBEDDED] = partial(_embedded, config, on_change, note)
        if _second_model(config):
            builders[EMBEDDED_CHAT] = partial(_embedded, config, on_change, note, role="chat")
    for name, settings in variants(config).items():
        builders[name] = partial(_registered, name, settings)
    return {name: _or_absent(name, build, note) for name, build in builders.items()}


def begin(found: Mapping[str, Provider]) -> None:
    """Let those that load a model begin with it, in the background. On the event loop.

    A second model for chat waits until somebody chats: it takes as much memory as the first.
    """
    for name, provider in found.items():
        if isinstance(provider, Loading) and name != EMBEDDED_CHAT:
            provider.start()


@runtime_checkable
class Loading(Protocol):
    """A provider that loads something before it can answer."""

    def start(self) -> None:
        """Begin; returns at once."""
        ...


def _or_absent(name: str, build: Callable[[], Provider], note: Callable[[str], None]) -> Provider:
    try:
        return build()
    except ConfigError as error:
        # The user has asked for it, so the user is told, also where others serve.
        note(f"{name}: {error}")
        return Absent(name, error)
    except NearfieldError as error:
        log.warning("provider %s: %s", name, error)
        return Absent(name, error)


def _second_model(config: Config) -> bool:
    """Whether chat has a model of its own on this machine."""
    from nearfield.catalog.choice import choose

    try:
        return choose("chat", config.models).path != choose("complete", config.models).path
    except CatalogError:
        return False  # said where the first one is built


def _embedded(
    config: Config,
    on_change: Callable[[], None] | None,
    note: Callable[[str], None],
    role: str = "complete",
) -> Provider:
    from nearfield.catalog.choice import choose
    from nearfield.catalog.templates import chat_template, fim_template
    from nearfield.engine.client import Engine, EngineStatus, installed
    from nearfield.providers.embedded import Embedded

    if not installed():
        raise EngineMissing(
            "The embedded engine is not installed.",
            'Run `pip install "nearfield[local]"` (needs cmake and a C++ compiler).',
        )
    choice = choose(role, config.models)
    if choice.problem:
        note(choice.problem)

    def changed(_: EngineStatus) -> None:
        if on_change is not None:
            on_change()

    return Embedded(
        Engine(config.engine, changed),
        model=choice.name,
        path=choice.path,
        template=fim_template(choice.fim),
        chat_template=chat_template(choice.chat),
        infills=role == "complete",
        chats=bool(choice.chat) and (role == "chat" or not _second_model(config)),
        name=EMBEDDED if role == "complete" else EMBEDDED_CHAT,
    )


def _registered(name: str, settings: ProviderSettings) -> Provider:
    from nearfield.providers.registry import build
    from nearfield.routing import keys

    return build(name, settings, secret=keys.lookup)
