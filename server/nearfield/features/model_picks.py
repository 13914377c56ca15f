"""The models that can be picked for a role, by provider, and the one way to pick one in an editor.

Servers of this machine are asked for their models, all at once and within a bounded time. One
outside it is asked nothing: the models that the settings name stand for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from nearfield.catalog.listing import model_rows
from nearfield.catalog.models import ROLES as OWN_ROLES
from nearfield.catalog.models import Catalog
from nearfield.catalog.partial_file import megabytes
from nearfield.catalog.recommend import recommend, this_machine
from nearfield.config.load import load
from nearfield.config.schema import EMBEDDED, Config, ProviderSettings
from nearfield.errors import ConfigError, NearfieldError, NotPermitted
from nearfield.features.role_models import AUTO, ServedRole, let_serve, routed_roles
from nearfield.providers.registry import build
from nearfield.routing.provider_pool import can
from nearfield.types import ServedModel

if TYPE_CHECKING:
    from nearfield.providers.base import Provider
    from nearfield.routing.router import RoleStatus, Router

PICK_SECONDS = 3.0
"""A menu is not kept waiting longer by a server that does not say which models it has."""
MIB = 1 << 20

WORDS = {
    "complete": "what is suggested as you type",
    "edit": "next edits",
    "chat": "chats, explanations, actions and reviews",
    "code": "chats, fixes, rewrites and tests alone",
    "fast": "explanations and documentation alone",
    "review": "reviews alone",
    "large": "complex tasks",
}
"""The roles in the order of the menus, and what each does."""


class RolePick(msgspec.Struct, frozen=True):
    """A role that a model can be picked for, and who serves it now."""

    role: str
    does: str
    provider: str
    model: str
    local: bool


class ModelPick(msgspec.Struct, frozen=True):
    """A model: `name` is what picks it, `missing` one that has to be fetched first. `refused` is
    the sentence that says why it cannot be picked in this workspace, "" where it can."""

    name: str
    title: str
    about: str = ""
    current: bool = False
    recommended: bool = False
    missing: bool = False
    refused: str = ""


class PickGroup(msgspec.Struct, frozen=True):
    """A provider's models. `problem` is why it did not say which it has, "" where it did."""

    provider: str
    title: str
    local: bool
    problem: str
    models: tuple[ModelPick, ...]


class Picks(msgspec.Struct, frozen=True):
    """Contents of a menu: the roles, and the models for one of them; none without a role."""

    roles: tuple[RolePick, ...]
    role: str
    groups: tuple[PickGroup, ...]


async def model_picks(router: Router, config: Config, role: str = "", workspace: str = "") -> Picks:
    """Return the models that can be picked for `role` in `workspace`. Raises `ConfigError` for a
    role that there is not."""
    if role and role not in WORDS:
        raise ConfigError(f"There is no role {role[:40]!r}.", f"The roles are {', '.join(WORDS)}.")
    served = {one.role: one for one in await router.status(workspace)}
    roles = tuple(_role(name, served["code" if name == "chat" else name]) for name in WORDS)
    if not role:
        return Picks(roles, role, ())
    now = next(one for one in roles if one.role == role)
    groups = await asyncio.gather(
        asyncio.to_thread(_own, config, now),
        *(_group(router, config, name, now, workspace) for name in config.providers),
    )
    return Picks(roles, role, tuple(groups))


async def pick(
    router: Router, role: str, name: str, workspace: str = "", config: Config | None = None
) -> ServedRole:
    """Let a model serve a role, as `let_serve` does with `config`. Raises as that, and
    `NotPermitted` for a model outside this machine that nothing of `workspace` may be sent to."""
    if refused := await _refused(router, name, workspace):
        raise NotPermitted(refused)
    return await asyncio.to_thread(let_serve, role, name, config)


def overruled(now: ServedRole, config: Config) -> str:
    """Return the sentence that says that settings beside the user's file name another model for the
    role that was just set, "" where they do not. Blocks."""
    own = load().config
    differ = [
        f"routing.roles.{one}"
        for one in routed_roles(now.role)
        if config.routing.roles.get(one) != own.routing.roles.get(one)
    ]
    if now.role in OWN_ROLES and getattr(config.models, now.role) != getattr(own.models, now.role):
        differ.append(f"models.{now.role}")
    if not differ:
        return ""
    return f"The editor's own settings say otherwise and count more: {', '.join(differ)}."


async def served_models(provider: Provider, seconds: float) -> tuple[list[ServedModel], str]:
    """Return the models that a provider has, and why it did not say, "" where it did."""
    try:
        async with asyncio.timeout(seconds):
            found = [one for one in await provider.models() if one.name]
            why = "" if found else (await provider.health()).detail or "It has no model."
            return found, why
    except NearfieldError as error:
        return [], str(error)
    except TimeoutError:
        return [], f"{provider.name} did not answer within {seconds:g} s."


def _role(name: str, status: RoleStatus) -> RolePick:
    return RolePick(name, WORDS[name], status.provider, status.model, status.local)


async def _refused(router: Router, name: str, workspace: str) -> str:
    """Return the sentence that says why a model cannot be picked by `name`, "" where it can."""
    is_known = name in router.providers or name.partition("/")[0] in router.providers
    if not is_known or not (why := await router.refusal(name, workspace)):
        return ""
    todo = f"`nearfield consent allow {router.allowed_as(name)}` lets it be asked"
    if "local_only" in why:
        todo = "`nearfield config set routing.strategy local_first` lets you allow it"
    return f"{name} is outside this machine, and {why}. {todo}."


async def _group(
    router: Router, config: Config, name: str, now: RolePick, workspace: str
) -> PickGroup:
    settings = config.providers[name]
    provider = router.providers.get(name)
    title = name if name == settings.kind else f"{name} ({settings.kind})"
    if provider is None:
        return PickGroup(name, title, True, _why_absent(name, settings), ())
    is_local = router.is_local(name)
    found, problem = await served_models(provider, PICK_SECONDS)
    own = [one.partition("/")[2] for one in router.providers if one.startswith(f"{name}/")]
    served = (one.name for one in found)
    names = list(dict.fromkeys(filter(None, (provider.model, *own, *served))))
    able = await asyncio.to_thread(_able, name, settings, names, routed_roles(now.role)[0])
    if names and not able and not problem:
        problem = "None of its models can do this."
    is_current = now.provider.partition("/")[0] == name
    models: list[ModelPick] = []
    for one in able:
        wish = name if one == provider.model else f"{name}/{one}"
        leaves = is_local and not router.is_local(wish)
        models.append(
            ModelPick(
                wish,
                one,
                "outside this machine" if leaves else "",
                current=is_current and one == now.model,
                refused=await _refused(router, wish, workspace),
            )
        )
    return PickGroup(name, title, is_local, problem, tuple(models))


def _why_absent(name: str, settings: ProviderSettings) -> str:
    try:
        build(name, settings)
    except NearfieldError as error:
        return str(error)
    return "It could not be built from its settings."


def _able(name: str, settings: ProviderSettings, models: Sequence[str], role: str) -> list[str]:
    """Return the models with which a provider could do a role's work; nothing is asked. Blocks: a
    server may have hundreds."""

    def is_able(model: str) -> bool:
        try:
            return can(build(name, msgspec.structs.replace(settings, model=model)), role)
        except NearfieldError:
            return False

    return list(filter(is_able, models))


def _own(config: Config, now: RolePick) -> PickGroup:
    """Return the models of this machine's own engine: first those in use and here."""
    title = "Nearfield itself, on this machine"
    if not config.engine.enabled:
        return PickGroup(EMBEDDED, title, True, "It is off by your settings: engine.enabled.", ())
    catalog = Catalog.load()
    machine = this_machine(catalog)
    kind = now.role if now.role in OWN_ROLES else "chat"
    best = next((one.entry.name for one in recommend(catalog, machine) if one.role == kind), "")
    ours = now.local and now.provider.partition("/")[0] not in config.providers
    rows = [row for row in model_rows(catalog, machine, config.models) if kind in row["roles"]]

    def order(row: Mapping[str, Any]) -> tuple[float, ...]:
        return (
            not (ours and row["name"] == now.model),
            row["name"] != best,
            not row["installed"],
            kind not in row["here"]["in_time_for"],
            not row["here"]["fits"],
            row["memory_mb"],
        )

    automatic = ModelPick(AUTO, "Automatic", "the best one on this machine")
    models = [
        ModelPick(
            row["name"],
            row["name"],
            _about(row, kind),
            current=ours and row["name"] == now.model,
            recommended=row["name"] == best,
            missing=not row["installed"],
        )
        for row in sorted(rows, key=order)
    ]
    if ours and now.model and not any(one.current for one in models):
        file = now.provider.partition("/")[2] or getattr(config.models, kind)
        models.insert(0, ModelPick(file, now.model, "a file of your own", current=True))
    return PickGroup(EMBEDDED, title, True, "", (automatic, *models))


def _about(row: Mapping[str, Any], role: str) -> str:
    """Return what there is to know of a model before it is picked."""
    size = row["bytes"] or row["about_bytes"]
    facts = (
        "damaged" if row["problem"] else "",
        f"needs {megabytes(row['memory_mb'] * MIB)} of memory" if row["memory_mb"] else "",
        _pace(row["here"], role),
        "" if row["installed"] else f"{megabytes(size)} to download" if size else "to download",
        "cannot fill in" if role == "complete" and not row["fim"] else "",
        row["licence"],
    )
    return " · ".join(filter(None, facts))


def _pace(here: Mapping[str, Any], role: str) -> str:
    if not here["fits"]:
        return "too large for this machine's memory"
    rate = here["tokens_per_second"]
    about = "" if rate is None else f"about {rate:.{1 if rate < 10 else 0}f} tokens/s"
    if role in here["in_time_for"]:
        return about or "fast enough here"
    return f"slow here, {about}" if about else "slow here"
