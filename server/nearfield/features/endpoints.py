"""The providers of the settings as the user sees them: what they are, and how they are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from nearfield.config.schema import Config
from nearfield.errors import ConfigError, NearfieldError
from nearfield.features.model_picks import served_models
from nearfield.features.routed import routed
from nearfield.providers.base import Provider
from nearfield.routing.router import RoleStatus, variants

PROBE_SECONDS = 15.0
"""A server that has not said how it is by then is not well."""


async def endpoints(
    config: Config, workspace: str, note: Callable[[str], None] | None = None
) -> tuple[list[dict[str, Any]], tuple[RoleStatus, ...]]:
    """Return every provider, and the provider of each role in `workspace`. None is asked. `note` is
    that of `routed`."""
    wanted = variants(config)
    async with routed(config, note) as (router, built):
        roles = await router.status(workspace)
        rows = [
            {
                "name": name,
                "kind": wanted[name].kind if name in wanted else name,
                "model": provider.model,
                "local": router.is_local(name),
            }
            for name, provider in built.items()
        ]
    return rows, roles


async def probe(
    config: Config, names: tuple[str, ...] = ()
) -> tuple[list[dict[str, Any]], list[str]]:
    """Ask providers how they are, all on this machine for no names. Return what they say, and the
    names of those outside that were left out. Raises `ConfigError` for a name that there is not."""
    rows: list[dict[str, Any]] = []
    left_out: list[str] = []
    async with routed(config) as (router, built):
        for name in names or tuple(built):
            provider = named(built, name)
            if not names and not router.is_local(name):
                left_out.append(name)
                continue
            state, detail = "unavailable", ""
            try:
                async with asyncio.timeout(PROBE_SECONDS):
                    health = await provider.health()
                state, detail = health.state.value, health.detail
            except NearfieldError as error:
                detail = str(error)
            except TimeoutError:
                detail = f"no answer within {PROBE_SECONDS:g} s"
            rows.append({"name": name, "model": provider.model, "state": state, "detail": detail})
    return rows, left_out


async def served(config: Config) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the models of the providers of the settings, each with its provider and whether it is
    on this machine, and sentences about servers that did not say. Those outside this machine are
    not asked."""
    async with routed(config) as (router, built):
        names = [name for name in config.providers if name in built]
        asked = (served_models(router.provider(name), PROBE_SECONDS) for name in names)
        found = await asyncio.gather(*asked)
        rows = [
            {
                "provider": name,
                "model": one.name,
                "local": router.is_local(f"{name}/{one.name}") and not one.outside,
            }
            for name, (models, _) in zip(names, found, strict=True)
            for one in models
        ]
    return rows, [why for _, why in found if why]


def named(built: Mapping[str, Provider], name: str) -> Provider:
    """Return the provider of that name. Raises `ConfigError`, which lists them."""
    if name not in built:
        known = ", ".join(sorted(built))
        raise ConfigError(f"There is no provider {name!r}.", f"There are: {known}.")
    return built[name]
