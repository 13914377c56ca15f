"""Model servers that run on this machine, found at their usual loopback addresses.

Each address is asked for its models, without a key and without any code.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from nearfield.config.schema import ProviderSettings
from nearfield.errors import NearfieldError, Unauthorised
from nearfield.providers.base import Provider
from nearfield.providers.families import edit_form_of, template_of
from nearfield.providers.registry import build
from nearfield.types import HealthState, ServedModel

ASK_SECONDS = 3.0
"""A server on this machine that has not listed its models by then is not offered."""
_NO_WRITERS = ("embed", "rerank", "whisper", "bge-")
_BASE = re.compile(r"(?<![a-z])base(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class KnownServer:
    """A kind of server: its name in the settings, and the settings that reach it."""

    name: str
    kind: str
    options: dict[str, Any] = field(default_factory=dict[str, Any])

    def settings(self, model: str = "", base_url: str = "") -> ProviderSettings:
        """Return `[providers.NAME]`; an empty `base_url` is the kind's usual one."""
        return ProviderSettings(
            kind=self.kind, model=model, base_url=base_url, options=self.options
        )

    def table(self, model: str, base_url: str) -> dict[str, Any]:
        """Return `settings` as a file says them: without what is empty."""
        said = msgspec.to_builtins(self.settings(model, base_url))
        return {key: value for key, value in said.items() if value}


KNOWN_SERVERS = (
    KnownServer("ollama", "ollama"),
    KnownServer("llama_server", "llama_server"),
    *(
        KnownServer(preset, "openai_compatible", {"preset": preset})
        for preset in ("lmstudio", "vllm", "sglang", "lemonade")
    ),
)


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that answered. `models` are empty where it has none, or `wants_key`."""

    server: KnownServer
    base_url: str
    models: tuple[ServedModel, ...]
    wants_key: bool = False

    def fit_for(self, role: str) -> list[ServedModel]:
        """Return the models on this machine that can serve "complete", "edit" or "chat", by their
        names."""
        found = [
            one
            for one in self.models
            if not one.outside
            and not any(word in one.name.lower() for word in _NO_WRITERS)
            and (not one.can or "completion" in one.can)
        ]
        if role == "complete":
            return [one for one in found if self._fills_in(one)]
        edits = [one for one in found if edit_form_of(self.server.name, one.name)]
        if role == "edit":
            return edits
        return [one for one in found if one not in edits and not _BASE.search(one.name)]

    def _fills_in(self, model: ServedModel) -> bool:
        return "insert" in model.can or template_of(self.server.name, model.name) is not None

    @property
    def best(self) -> str:
        """Return the model to begin with: one on this machine that fills in, else one that chats,
        else one that edits; "" where none does."""
        fit = [one for role in ("complete", "chat", "edit") for one in self.fit_for(role)]
        return fit[0].name if fit else ""


async def running_servers(
    servers: Sequence[KnownServer] = KNOWN_SERVERS, base_url: str = ""
) -> list[RunningServer]:
    """Return those of `servers` that answer, at `base_url` or at their usual addresses."""
    found = await asyncio.gather(*(asked(server, base_url) for server in servers))
    return [one for one in found if one is not None]


async def asked(server: KnownServer, base_url: str) -> RunningServer | None:
    """Ask one of them for its models; None where it does not answer as it should."""
    # A key is for the server that the user means, not for any that listens there.
    provider = build(server.name, server.settings(base_url=base_url), environ={})
    try:
        async with asyncio.timeout(ASK_SECONDS):
            # The server of llama.cpp has one model, which needs no name: its health tells.
            if server.kind == "llama_server" and not await _is_up(provider):
                return None
            models = await provider.models()
    except Unauthorised:
        return RunningServer(server, base_url, (), wants_key=True)
    except (NearfieldError, TimeoutError):
        return None
    finally:
        await provider.aclose()
    return RunningServer(server, base_url, tuple(models))


async def _is_up(provider: Provider) -> bool:
    return (await provider.health()).state is not HealthState.UNAVAILABLE
