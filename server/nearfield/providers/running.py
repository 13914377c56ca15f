"""The model servers that run on this machine, at the addresses that each uses by default."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from nearfield.config.schema import ProviderSettings
from nearfield.errors import NearfieldError
from nearfield.providers.families import edit_form_of, template_of
from nearfield.providers.llama_server import DEFAULT_URL as LLAMA_SERVER
from nearfield.providers.ollama import DEFAULT_URL as OLLAMA
from nearfield.providers.presets import PRESETS
from nearfield.providers.registry import build
from nearfield.types import ServedModel

ASK_SECONDS = 3.0
"""A server on this machine that has not listed its models by then is not offered."""
_NOT_FOR_WORDS = ("embed", "rerank", "whisper", "tts", "bge-", "nomic")
_BASE = ("base", "fim")


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server, the settings that reach it, and its models."""

    title: str
    name: str
    settings: ProviderSettings
    models: tuple[ServedModel, ...]

    def fit_for(self, role: str) -> list[ServedModel]:
        """Return the models that can serve "complete", "edit" or "chat", by their names."""
        found = [
            one for one in self.models
            if not any(word in one.name.lower() for word in _NOT_FOR_WORDS)
        ]  # fmt: skip
        if role == "complete":
            return [one for one in found if template_of(self.name, one.name) is not None]
        if role == "edit":
            return [one for one in found if edit_form_of(self.name, one.name)]
        return [
            one
            for one in found
            if not edit_form_of(self.name, one.name)
            and not any(word in one.name.lower() for word in _BASE)
        ]


def defaults() -> dict[str, tuple[str, ProviderSettings]]:
    """Return the title and the settings of each kind of server, by the provider's name."""
    lmstudio = {"preset": "lmstudio"}
    return {
        "ollama": ("Ollama", ProviderSettings(kind="ollama", base_url=OLLAMA)),
        "lmstudio": (
            "LM Studio",
            ProviderSettings(
                kind="openai_compatible",
                base_url=PRESETS["lmstudio"].base_url,
                options=lmstudio,
            ),
        ),
        "llama_server": (
            "llama.cpp's server",
            ProviderSettings(kind="llama_server", base_url=LLAMA_SERVER),
        ),
    }


async def running_servers(
    known: dict[str, tuple[str, ProviderSettings]] | None = None,
) -> list[RunningServer]:
    """Return the servers that answer now with a model, in the order of `known` (the defaults)."""
    known = defaults() if known is None else known
    asked = (_asked(name, *one) for name, one in known.items())
    return [one for one in await asyncio.gather(*asked) if one is not None]


async def _asked(name: str, title: str, settings: ProviderSettings) -> RunningServer | None:
    try:
        provider = build(name, settings, environ={})
        try:
            async with asyncio.timeout(ASK_SECONDS):
                models = await provider.models()
        finally:
            await provider.aclose()
    except (NearfieldError, TimeoutError):
        return None
    return RunningServer(title, name, settings, tuple(models)) if models else None
