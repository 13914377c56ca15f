"""The model that serves a role, written into the user's settings: a file of this machine, or a
model of a provider. Everything here blocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from nearfield.catalog import user
from nearfield.catalog.listing import usable
from nearfield.catalog.models import ROLES as OWN_ROLES
from nearfield.catalog.models import Catalog
from nearfield.config import edit
from nearfield.config.load import load
from nearfield.config.paths import user_config_file
from nearfield.config.provider_names import provider_of
from nearfield.config.schema import EMBEDDED, ROLES, Config, ProviderSettings
from nearfield.errors import ConfigError, UnknownModel
from nearfield.providers.registry import build
from nearfield.routing.provider_pool import can, usual_order
from nearfield.routing.router import OWN_MODEL
from nearfield.terminal import one_line

AUTO = "auto"
"""The best model of this machine."""
OF_CHAT = ("fast", "code", "review")
"""The roles that a model for "chat" serves."""


@dataclass(frozen=True, slots=True)
class ServedRole:
    """The model that serves a role now: "" is the best one here. `missing`: it has to be
    fetched first. `outside`: it is not on this machine, so more is needed before it is asked."""

    role: str
    model: str
    config: str
    missing: bool = False
    outside: bool = False


def let_serve(role: str, wish: str, config: Config | None = None) -> ServedRole:
    """Let a model serve `role`: a name of the catalogue, a GGUF file, "auto" or "" for the best one
    here, or "PROVIDER" or "PROVIDER/MODEL" of the settings in force, by default the user's file's.

    Raises `ConfigError` for a role or a file, and `UnknownModel` for a name that there is not.
    """
    if role not in {*OWN_ROLES, *ROLES}:
        known = ", ".join(dict.fromkeys((*OWN_ROLES, *ROLES)))
        raise ConfigError(f"There is no role {role!r}.", f"The roles are {known}.")
    config = config or load().config
    provider = provider_of(wish, config.providers)
    model = wish.removeprefix(provider).removeprefix("/")
    if provider in config.providers:
        if wish.endswith("/") or one_line(wish) != wish:
            raise UnknownModel(f"{one_line(wish)} names no model.", f"Write {provider}/MODEL.")
        wanted = config.providers[provider]
        wanted = msgspec.structs.replace(wanted, model=model or wanted.model)
        return _by_provider(role, wish, provider, wanted, config)
    try:
        model, missing = usable(Catalog.load(), "" if wish == AUTO else wish)
    except UnknownModel as error:
        has = ", ".join(config.providers)
        raise UnknownModel(
            error.message, f"{error.hint} Your providers are: {has}." if has else error.hint
        ) from None
    path = user_config_file()
    if role in OWN_ROLES:
        path = user.use(role, model)
        for one in routed_roles(role):
            if one in config.routing.roles:
                _put_first(path, one, EMBEDDED, config)
    elif model:
        _put_first(path, role, f"{OWN_MODEL}{model}", config)
    else:
        edit.drop(path, ("routing", "roles", role))
    return ServedRole(role, model, str(path), missing)


def _by_provider(
    role: str, wish: str, name: str, settings: ProviderSettings, config: Config
) -> ServedRole:
    built = build(name, settings)
    if not settings.model and settings.kind != "llama_server":
        raise ConfigError(
            f"{name} has no model in your settings.", f"Name one: {name}/MODEL, of its models."
        )
    path = user_config_file()
    for one in routed_roles(role):
        _put_first(path, one, wish, config)
    return ServedRole(role, wish, str(path), outside=not built.capabilities.local)


def _put_first(path: Path, role: str, name: str, config: Config) -> None:
    """Let `name` be asked first for a role; what was asked before it comes after."""
    listed = config.routing.roles.get(role)
    before = _usual(role, config) if listed is None else listed
    rest = [one for one in before if one != name and not one.startswith(OWN_MODEL)]
    edit.put(path, ("routing", "roles", role), [name, *rest])


def _usual(role: str, config: Config) -> list[str]:
    """Return who is asked for a role whose providers the settings do not list."""

    def is_asked(name: str) -> bool:
        if (settings := config.providers.get(name)) is None:
            return True  # this machine's own engine
        try:
            provider = build(name, settings)
        except ConfigError:
            return False
        return bool(provider.model or settings.kind == "llama_server") and can(provider, role)

    # One that cannot be built, or has no model to ask for, would only be reported.
    return list(filter(is_asked, usual_order(dict.fromkeys((EMBEDDED, *config.providers)))))


def routed_roles(role: str) -> tuple[str, ...]:
    """Return the roles of routing that are meant."""
    return OF_CHAT if role == "chat" else (role,)
