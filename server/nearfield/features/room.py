"""The room that a conversation has in the smallest context that could be asked."""

from __future__ import annotations

from collections.abc import Sequence

from nearfield.config.schema import EMBEDDED, Config
from nearfield.providers.estimate import CHARS_PER_TOKEN, tokens
from nearfield.routing.router import Router
from nearfield.types import Tool

USUAL_TOKENS = 8192
"""The context of a model that does not say how many tokens it takes."""
MIN_ROOM_TOKENS = 512
FILES_SHARE = 0.5
"""Of the room, for files: code may have more tokens than estimated, and more is said later."""


def room(
    router: Router,
    config: Config,
    role: str,
    workspace: str,
    max_tokens: int,
    tools: Sequence[Tool] = (),
    most: int = 0,
) -> int:
    """Return the tokens that messages about `workspace` to the providers of `role` may take beside
    an answer of `max_tokens` and the descriptions of `tools`. All of it is `most` where that is
    less than their contexts (0: there is no such limit)."""
    sizes = [
        config.engine.chat_context_size
        if provider.name.startswith(EMBEDDED)
        else provider.capabilities.context_tokens or USUAL_TOKENS
        for provider in router.candidates(role, workspace)
    ]
    size = min(sizes, default=USUAL_TOKENS)
    size = min(size, most) if most else size
    spoken = sum(tokens(f"{tool.name}{tool.description}{dict(tool.parameters)}") for tool in tools)
    return max(MIN_ROOM_TOKENS, size - spoken - min(max_tokens, size // 4))


def file_chars(tokens: int, files: int) -> int:
    """Return the characters that each of `files` may take where `tokens` are left."""
    return int(tokens * CHARS_PER_TOKEN * FILES_SHARE / max(files, 1))
