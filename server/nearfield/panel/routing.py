"""The view "Routing": who answers what, how they are, and what would happen to a request."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from nearfield.config.keys import Leaf, find
from nearfield.config.load import load
from nearfield.config.provider_names import provider_of
from nearfield.config.schema import ROLES, Config, ProviderSettings
from nearfield.errors import ConfigError, NearfieldError
from nearfield.features import endpoints
from nearfield.features.question import explained
from nearfield.features.routed import routed
from nearfield.features.settings import drop, put, shown
from nearfield.files.encoding import text_file
from nearfield.http.wire import BadRequest
from nearfield.panel.kinds import endpoint_kinds
from nearfield.panel.servers import Servers
from nearfield.panel.settings import loaded_for, problems_of
from nearfield.panel.view import NoBody, Query, Read, ViewAction
from nearfield.providers.detect import running_servers
from nearfield.routing import keys
from nearfield.routing.request_context import RequestContext, Source, Task
from nearfield.types import MAX_ANSWER_TOKENS

MAX_FILE_BYTES = 16 << 20
MAX_CHARS = 1_000_000
_NAME = r"^[A-Za-z0-9_-]{1,64}$"


class NameBody(msgspec.Struct, frozen=True):
    """A provider of the settings."""

    name: str
    workspace: str = ""


class ProviderKey(msgspec.Struct, frozen=True):
    """A key, for the system's keyring alone."""

    provider: Annotated[str, Meta(pattern=_NAME)]
    key: str = ""


class EndpointBody(msgspec.Struct, frozen=True):
    """`[providers.NAME]`."""

    name: Annotated[str, Meta(pattern=_NAME)]
    kind: str
    model: str = ""
    base_url: str = ""
    options: dict[str, Any] = {}


class EndpointName(msgspec.Struct, frozen=True):
    """An endpoint to be taken out of the settings."""

    name: Annotated[str, Meta(pattern=_NAME)]


class ExplainBody(msgspec.Struct, frozen=True):
    """A request that is not sent. Without a `question` one of `chars` characters is meant."""

    task: str = "chat"
    question: str = ""
    chars: Annotated[int, Meta(ge=0, le=MAX_CHARS)] = 0
    file: str = ""
    role: str = ""
    workspace: str = ""
    max_tokens: Annotated[int, Meta(ge=1, le=MAX_ANSWER_TOKENS)] = 1024


class RoutingView:
    """See the module."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers

    def reads(self) -> Mapping[str, Read]:
        """See `View`."""
        return {"routing": self._routing}

    def actions(self) -> Mapping[str, ViewAction]:
        """See `View`."""
        return {
            "routing/probe": ViewAction(NameBody, self._probe),
            "routing/served": ViewAction(NameBody, self._served),
            "routing/explain": ViewAction(ExplainBody, self._explain),
            "routing/endpoint": ViewAction(EndpointBody, self._endpoint),
            "routing/endpoint/remove": ViewAction(EndpointName, self._remove),
            "routing/detect": ViewAction(NoBody, self._detect),
            "routing/key": ViewAction(ProviderKey, self._key),
            "routing/key/remove": ViewAction(ProviderKey, self._remove_key),
        }

    async def _routing(self, query: Query) -> dict[str, Any]:
        workspace = query.get("workspace", "")
        loaded = await asyncio.to_thread(loaded_for, workspace)
        config = loaded.config
        rows, roles = await endpoints.endpoints(config, workspace, lambda _: None)
        breakers = await self._breakers()
        known = await asyncio.to_thread(_known_keys)
        return {
            "workspace": workspace,
            "strategy": config.routing.strategy,
            "roles": [
                {
                    "role": role.role,
                    "listed": config.routing.roles.get(role.role),
                    "provider": role.provider,
                    "model": role.model,
                    "local": role.local,
                    "candidates": _candidates(role.provider, role.others),
                }
                for role in roles
            ],
            "endpoints": [
                {**row, **_endpoint_row(row["name"], config, known, breakers)} for row in rows
            ],
            "kinds": endpoint_kinds(),
            "role_names": list(ROLES),
            "task_names": [task.value for task in Task],
            "limits": msgspec.structs.asdict(config.budget),
            "problems": problems_of(loaded),
        }

    async def _breakers(self) -> dict[str, list[dict[str, str]]]:
        """Return the states of the breakers of each provider, in every server."""
        found: dict[str, list[dict[str, str]]] = {}
        for one, answer in await self._servers.ask_all("now"):
            for state in answer.get("breakers", ()) if isinstance(answer, dict) else ():
                row = {"server": one.id, "state": state["state"], "why": state["why"]}
                found.setdefault(state["provider"], []).append(row)
        return found

    async def _probe(self, body: NameBody) -> dict[str, Any]:
        config = (await asyncio.to_thread(loaded_for, body.workspace)).config
        rows, _ = await endpoints.probe(config, (body.name,))
        return rows[0]

    async def _served(self, body: NameBody) -> dict[str, Any]:
        config = (await asyncio.to_thread(loaded_for, body.workspace)).config
        async with routed(config, lambda _: None) as (_, built):
            found = await endpoints.named(built, body.name).models()
        return {"models": [{"name": m.name, "context_tokens": m.context_tokens} for m in found]}

    async def _explain(self, body: ExplainBody) -> Any:
        if body.task not in [task.value for task in Task]:
            raise BadRequest(f"There is no task {body.task[:40]!r}.", "task")
        config = (await asyncio.to_thread(loaded_for, body.workspace)).config
        sources: tuple[Source, ...] = ()
        if body.file:
            sources = (await asyncio.to_thread(_source, body.file, body.workspace),)
        context = RequestContext(Task(body.task), body.workspace, sources)
        said = body.question or "x" * body.chars
        return await explained(config, said, context, body.role, body.max_tokens)

    async def _endpoint(self, body: EndpointBody) -> dict[str, Any]:
        def write() -> str:
            table = {"kind": body.kind, "model": body.model, "base_url": body.base_url}
            said: dict[str, Any] = {key: value for key, value in table.items() if value}
            for key, value in body.options.items():
                _refuse_hidden(body.name, key, value)
            if body.options:
                said["options"] = body.options
            path, _ = put(f"providers.{body.name}", said)
            return str(path)

        return {"name": body.name, "config": await asyncio.to_thread(write)}

    async def _remove(self, body: EndpointName) -> dict[str, Any]:
        _, was_there = await asyncio.to_thread(drop, f"providers.{body.name}")
        return {"removed": was_there}

    async def _detect(self, body: NoBody) -> dict[str, Any]:
        own = (await asyncio.to_thread(load)).config.providers
        return {
            "servers": [
                {
                    "name": one.server.name,
                    "kind": one.server.kind,
                    "options": one.server.options,
                    "base_url": one.base_url,
                    "models": [model.name for model in one.models],
                    "best": one.best,
                    "wants_key": one.wants_key,
                    "in_settings": one.server.name in own,
                }
                for one in await running_servers()
            ]
        }

    async def _key(self, body: ProviderKey) -> dict[str, Any]:
        if not body.key.strip():
            raise BadRequest("No key was given.", "key")
        await asyncio.to_thread(keys.keep, body.provider, body.key.strip())
        return {"provider": body.provider}

    async def _remove_key(self, body: ProviderKey) -> dict[str, Any]:
        return {"removed": await asyncio.to_thread(keys.remove, body.provider)}


def _candidates(serving: str, others: tuple[tuple[str, str], ...]) -> list[dict[str, Any]]:
    first = [{"provider": serving, "serves": True, "why": ""}] if serving else []
    return first + [{"provider": name, "serves": False, "why": why} for name, why in others]


def _endpoint_row(
    name: str, config: Config, known: set[str] | None, breakers: Mapping[str, Any]
) -> dict[str, Any]:
    provider = provider_of(name, config.providers)
    settings = config.providers.get(provider)
    return {
        "base_url": shown(("providers", name, "base_url"), settings.base_url) if settings else "",
        "in_settings": name in config.providers,
        "variant": name != provider,
        "options": shown(("providers", name, "options"), settings.options) if settings else {},
        "key": _key_of(provider, settings, known),
        "breakers": breakers.get(name, []),
    }


def _key_of(name: str, settings: ProviderSettings | None, known: set[str] | None) -> str:
    """Return where a provider's key is, which is not read."""
    variable = str(settings.options.get("api_key_env", "")) if settings else ""
    if variable and os.environ.get(variable):
        return "environment"
    if known is None:
        return "unknown"
    return "keyring" if name in known else "none"


def _known_keys() -> set[str] | None:
    try:
        return set(keys.names())
    except NearfieldError:
        return None


def _source(file: str, workspace: str) -> Source:
    """Return a file that a request would be about. Raises `ConfigError`, and `UnreadableFile`."""
    path = Path(workspace or "/", file)
    try:
        return Source(str(path), text=text_file(path, MAX_FILE_BYTES).text)
    except FileNotFoundError as error:
        raise ConfigError(f"{file[:200]} is not there.", "Give an absolute path.") from error


def _refuse_hidden(name: str, key: str, value: Any) -> None:
    found = find(("providers", name, "options", key))
    is_setting = isinstance(found, Leaf)
    if is_setting and shown(("providers", name, "options", key), value) != value:
        raise ConfigError(
            f"{key} would hold a key or a password.", "Give the key by itself: it is kept apart."
        )
