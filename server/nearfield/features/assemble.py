"""The providers of the settings, built once at the start and again when they change.

A provider that cannot be built is replaced by an `Absent`, whose health says what is missing and
what to do. Imports are in the functions: a server that only uses HTTP never loads the engine's
client, and none of it is loaded before `initialize` is answered.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from nearfield.config.provider_names import provider_of
from nearfield.config.schema import EMBEDDED, Config, ProviderSettings
from nearfield.errors import CatalogError, ConfigError, EngineMissing, NearfieldError, ProviderError
from nearfield.network.setting import environ_of
from nearfield.providers.absent import Absent
from nearfield.providers.memory import TRIAL, ModelMemory, ModelState, Resident
from nearfield.routing.router import (
    EMBEDDED_TRIAL,
    OWN_MODEL,
    STAND_INS,
    own_variants,
    variants,
)
from nearfield.types import EditForm, Priority, TokenTotals

if TYPE_CHECKING:
    from nearfield.catalog.choice import ModelChoice
    from nearfield.catalog.models import Catalog
    from nearfield.providers.base import Provider

INSTALL = (
    'Run `pip install "nearfield[prebuilt]"`, which needs no compiler, or'
    ' `pip install "nearfield[local]"`, which compiles a faster one for this machine'
    " (with cmake, make and a C++ compiler)."
)
"""The two ways to a local engine."""

log = logging.getLogger(__name__)

Chosen = Callable[[str], "ModelChoice"]
"""Returns the model of a role; raises as `catalog.choice.choose`."""

EMBEDDED_CHAT = "embedded_chat"
"""The embedded engine with a model of its own for chat, where the user has one: a base model fills
in better and an instruct model answers better."""
EMBEDDED_EDIT = "embedded_edit"
"""The same with a model of its own for next edits."""
LATER = {
    name: role
    for one, role in ((EMBEDDED_CHAT, "chat"), (EMBEDDED_EDIT, "edit"), (EMBEDDED_TRIAL, TRIAL))
    for name in (one, STAND_INS[one])
}
"""Second models and their roles, which say to `providers.memory` which of them gives way."""


def role_of_later(name: str) -> str:
    """Return the role of a model that is loaded at its first request, "" for one that is loaded at
    the start."""
    return "chat" if name.startswith(OWN_MODEL) else LATER.get(name, "")


def providers(
    config: Config,
    on_change: Callable[[], None] | None = None,
    note: Callable[[str], None] = log.warning,
    memory: ModelMemory | None = None,
    challenger: str = "",
) -> dict[str, Provider]:
    """Return every provider of `config`, by the user's name for it; nothing is started or
    connected.

    May hash a model file, so call it off the event loop. `on_change` is called when the engine's
    state changes, `note` gets sentences for the user about settings that could not be followed.
    Their models share `memory`, or one of their own. `challenger` is the second model of a trial.
    """
    builders: dict[str, Callable[[], Provider]] = {}
    if config.engine.enabled:
        builders |= _own(config, on_change, note, challenger)
    for name, settings in variants(config).items():
        holder = provider_of(name, config.providers)
        builders[name] = partial(_registered, name, settings, environ_of(config), holder)
    built = {name: _or_absent(name, build, note) for name, build in builders.items()}
    memory = memory or ModelMemory(config.engine.memory_limit_mb << 20)
    for name, provider in built.items():
        if isinstance(provider, Resident):
            memory.add(provider, role_of_later(name) or "complete")
    return built


class BuiltProviders:
    """The providers of one session, which loads, unloads and closes them. One event loop.

    `given` ones are used as they are, and stay the caller's to close; without them those of the
    settings are built. `on_change` hears when the engine's state changes.
    """

    def __init__(self, given: Mapping[str, Provider] | None, on_change: Callable[[], None]) -> None:
        self._given = given
        self._on_change = on_change
        self._built: Mapping[str, Provider] = {}
        self._replaced: Mapping[str, Provider] = {}
        self._memory = ModelMemory()

    @property
    def named(self) -> Mapping[str, Provider]:
        """The providers by name; empty until they are built."""
        return self._built

    def are_outdated(self, before: Config, now: Config) -> bool:
        """Return whether those of the settings `before` do not serve for `now`."""
        return self._given is None and _built_from(before) != _built_from(now)

    async def build(self, config: Config, challenger: str = "") -> list[str]:
        """Build those of `config`; the ones before are kept until `load`. Return sentences for the
        user about settings that could not be followed."""
        notes: list[str] = []
        self._replaced = self._built
        if self._given is not None:
            self._built = dict(self._given)
        else:
            self._memory = ModelMemory(config.engine.memory_limit_mb << 20)
            build = partial(providers, config, self._on_change, notes.append, self._memory)
            self._built = await asyncio.to_thread(build, challenger=challenger)
        return notes

    async def load(self) -> None:
        """Close the replaced ones, then let those that load a model begin with it: the old model
        leaves the memory before the new one comes."""
        replaced, self._replaced = self._replaced, {}
        await self._close(replaced)
        begin(self._built)

    async def aclose(self) -> None:
        """Close all that were built; safe to call twice."""
        for some in (self._replaced, self._built):
            await self._close(some)
        self._built = self._replaced = {}

    async def unload_idle(self, minutes: float) -> None:
        """Unload models after `minutes` without a request."""
        for provider in self._built.values():
            if isinstance(provider, Resting) and await provider.rest(minutes * 60):
                log.info("%s rests: its model was unloaded", provider.name)

    @property
    def models(self) -> tuple[ModelState, ...]:
        """The models that are loaded in this machine's memory, or could be."""
        return self._memory.states()

    def spent(self) -> dict[Priority, TokenTotals]:
        """Return what the engines of this process have evaluated and generated since the start, by
        priority; nothing cut short is missing from it."""
        total = {kind: TokenTotals() for kind in Priority}
        for provider in self._built.values():
            if isinstance(provider, Accounted):
                for kind, spent in provider.spent.items():
                    total[kind].add(spent)
        return total

    async def _close(self, some: Mapping[str, Provider]) -> None:
        if self._given is None:
            for provider in some.values():
                await provider.aclose()


@runtime_checkable
class Accounted(Protocol):
    """A provider that counts its tokens, also of requests that were cut short."""

    @property
    def spent(self) -> Mapping[Priority, TokenTotals]:
        """The tokens by priority."""
        ...


@runtime_checkable
class Resting(Protocol):
    """A provider that can give its memory back."""

    name: str

    async def rest(self, after_seconds: float) -> bool:
        """Unload if nothing was asked for that long; return whether it did."""
        ...


def _built_from(config: Config) -> tuple[object, ...]:
    """Return the settings that providers are built from."""
    named = tuple(variants(config)), tuple(own_variants(config))
    return config.engine, config.models, config.providers, config.network, named


def begin(found: Mapping[str, Provider]) -> None:
    """Let those that load a model begin with it, in the background. On the event loop.

    A second model waits for its first request: it takes as much memory as the first.
    """
    for name, provider in found.items():
        if isinstance(provider, Loading) and provider.at_start and not role_of_later(name):
            provider.start()


@runtime_checkable
class Loading(Protocol):
    """A provider that loads something before it can answer; `at_start` when the service starts."""

    at_start: bool

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
    except OSError as error:
        # A model's file on a drive that fails, or that another user owns.
        log.warning("provider %s: %s", name, type(error).__name__)
        message = f"{name} could not be set up: {error.strerror}: {error.filename}."
        return Absent(name, ProviderError(message, "Make the file readable, or choose another."))


def _own(
    config: Config,
    on_change: Callable[[], None] | None,
    note: Callable[[str], None],
    challenger: str = "",
) -> dict[str, Callable[[], Provider]]:
    """This machine's own engine: the embedded one, or llama.cpp's server where that is not
    installed."""
    from nearfield.catalog.choice import choose, named
    from nearfield.catalog.models import Catalog
    from nearfield.engine.client import installed
    from nearfield.providers.managed import programs

    # Several roles need the catalogue, and reading it takes about 10 ms. An error is not kept.
    catalog = cache(Catalog.load)

    def chosen(role: str) -> ModelChoice:
        if role == TRIAL:
            return named(challenger, catalog())
        return choose(role, config.models, catalog())

    second, third = _second_model(chosen), _has_edit_model(config, chosen, note)
    # Which model each of them serves, and what else it does.
    parts = {EMBEDDED: _EngineRole("complete", chats=not second, edits=not third)}
    if second:
        parts[EMBEDDED_CHAT] = _EngineRole("chat", chats=True)
    if third:
        parts[EMBEDDED_EDIT] = _EngineRole("edit", edits=True)
    if challenger:
        parts[EMBEDDED_TRIAL] = _EngineRole(TRIAL)
    parts |= {
        name: _EngineRole("", chats=True, model=model)
        for name, model in own_variants(config).items()
        if not _is_chosen(chosen, model, catalog)
    }

    def model_of(part: _EngineRole) -> ModelChoice:
        return named(part.model, catalog()) if part.model else chosen(part.role)

    if installed() or not programs():
        return {
            name: partial(_embedded, name, part, config, model_of, on_change, note)
            for name, part in parts.items()
        }
    names = {name: STAND_INS.get(name, name) for name in parts}
    return {
        names[name]: partial(_server, names[name], part, config, model_of, note)
        for name, part in parts.items()
    }


@dataclass(frozen=True, slots=True)
class _EngineRole:
    """Purpose of one model of this machine's own engine: `role` is the catalogue's, and `model` the
    one that the user named for a role or a rule, "" for the one of `role`."""

    role: str
    chats: bool = False
    edits: bool = False
    model: str = ""


def _is_chosen(chosen: Chosen, model: str, catalog: Callable[[], Catalog]) -> bool:
    """Return whether `model` is the one that chats anyway."""
    from nearfield.catalog.choice import named

    try:
        return named(model, catalog()).is_same(chosen("chat"))
    except (CatalogError, OSError):
        return False  # said where it is built


def _second_model(chosen: Chosen) -> bool:
    """Return whether chat has a model of its own on this machine."""
    try:
        return not chosen("chat").is_same(chosen("complete"))
    except (CatalogError, OSError):
        return False  # said where the first one is built


def _has_edit_model(config: Config, chosen: Chosen, note: Callable[[str], None]) -> bool:
    """Return whether next edits have a model of their own on this machine."""
    wish = config.models.edit
    try:
        edits = chosen("edit")
        if not _edit_form(edits):
            if wish:
                note(f"models.edit = {wish!r} was not trained for next edits, so it is not asked.")
            return False
        return not edits.is_same(chosen("complete"))
    except (CatalogError, OSError) as error:
        if wish:
            note(f"models.edit = {wish!r} cannot be used: {error}")
        return False


def _edit_form(choice: ModelChoice) -> EditForm:
    """Return the form of a model for next edits; that of a user's own file by its name."""
    from nearfield.providers.families import edit_form_of

    return choice.edit_form or edit_form_of("embedded", choice.path.name)


def _embedded(
    name: str,
    part: _EngineRole,
    config: Config,
    model_of: Callable[[_EngineRole], ModelChoice],
    on_change: Callable[[], None] | None,
    note: Callable[[str], None],
) -> Provider:
    from nearfield.catalog.templates import chat_template, fim_template
    from nearfield.engine.client import EngineClient, EngineStatus, installed
    from nearfield.providers.embedded import Embedded

    if not installed():
        raise EngineMissing("No local engine is installed.", INSTALL)
    choice = model_of(part)
    if choice.problem:
        note(choice.problem)

    def changed(_: EngineStatus) -> None:
        if on_change is not None:
            on_change()

    adapter = choice.adapter
    engine = EngineClient(
        config.engine,
        changed,
        adapter=adapter.path if adapter else "",
        adapter_scale=adapter.scale if adapter else 1.0,
    )
    return Embedded(
        engine,
        model=choice.name,
        path=choice.path,
        template=fim_template(choice.fim),
        chat_template=chat_template(choice.chat),
        infills=part.role in ("", "complete", TRIAL),
        chats=bool(choice.chat) and part.chats,
        edit_form=_edit_form(choice) if part.edits else EditForm.NONE,
        temperature=config.engine.temperature,
        name=name,
    )


def _server(
    name: str,
    part: _EngineRole,
    config: Config,
    model_of: Callable[[_EngineRole], ModelChoice],
    note: Callable[[str], None],
) -> Provider:
    """llama.cpp's server as our child, with the model that the embedded engine would have had."""
    from nearfield.providers.llama_server import AUTO, PLAIN

    choice = model_of(part)
    if choice.problem:
        note(choice.problem)
    if choice.adapter is not None:
        raise ConfigError(
            f"{choice.name} has an adapter: only the embedded engine has it.", INSTALL
        )
    options = {
        "managed": True,
        "context_size": config.engine.context_size,
        "threads": config.engine.threads,
        "gpu_layers": config.engine.gpu_layers,
        "chat": bool(choice.chat) and part.chats,
        "chat_temperature": config.engine.temperature,
        "fim_template": AUTO if choice.fim else PLAIN,
        "edit_form": (_edit_form(choice) if part.edits else "") or "none",
    }
    model = choice.name if choice.entry else str(choice.path)
    settings = ProviderSettings(kind="llama_server", model=model, options=options)
    return _registered(name, settings, os.environ, name)


def _registered(
    name: str, settings: ProviderSettings, environ: Mapping[str, str], holder: str
) -> Provider:
    """Return a provider with the key that the keyring has for `holder`."""
    from nearfield.providers.registry import build
    from nearfield.routing import keys

    return build(name, settings, environ=environ, secret=keys.held_by(holder))
