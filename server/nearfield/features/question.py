"""A question about some files, as a request to a model; and who would answer it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from nearfield.config.schema import Config
from nearfield.errors import ConfigError
from nearfield.features.excerpt import excerpt
from nearfield.features.room import file_chars, room
from nearfield.features.routed import routed
from nearfield.routing.explain import RouteExplanation
from nearfield.routing.request_context import RequestContext, Source, Task
from nearfield.routing.roles import check_role, usual_role
from nearfield.syntax.languages import language_for
from nearfield.types import ChatRequest, InfillRequest, Message, Role

SYSTEM = "You help a programmer. Answer shortly and exactly."


def question_of(
    said: str,
    context: RequestContext,
    size: int,
    max_tokens: int,
    schema: dict[str, Any] | None = None,
    note: Callable[[str, str], None] = lambda name, what: None,
) -> tuple[ChatRequest, RequestContext]:
    """Return the question with its files as far as they fit in `size` tokens, and the context with
    the pieces that are shown. `note` gets a file's name and what is left out of it."""
    shown = ""
    sources: list[Source] = []
    most = file_chars(size, len(context.sources))
    for source in context.sources:
        name = Path(source.path).name
        found = excerpt(source.text, source.path, said, most)
        if found.note:
            note(name, found.note)
        text = "".join(piece.text for piece in found.pieces)
        shown += f"\n\n{name}:\n```\n{text}\n```"
        sources += [
            Source(source.path, piece.span, piece.text) for piece in found.pieces if piece.span
        ]
    messages = (Message(Role.SYSTEM, SYSTEM), Message(Role.USER, said + shown))
    request = ChatRequest(messages, schema=schema, max_tokens=max_tokens)
    return request, replace(context, sources=tuple(sources))


async def explained(
    config: Config,
    said: str,
    context: RequestContext,
    role: str,
    max_tokens: int,
    note: Callable[[str, str], None] = lambda name, what: None,
) -> RouteExplanation:
    """Return which providers would be asked a question, or for a completion at the end of the first
    file where nothing is `said`. Nothing is sent. Raises `ConfigError` for what has no answer."""
    check_role(role)
    if context.task is Task.EDIT:
        raise ConfigError(
            "Next edits depend on what was typed before.", "Their trace says who answered."
        )
    async with routed(config) as (router, _):
        if context.task is Task.COMPLETE:
            return await router.explain(_hole(context, max_tokens), context, role)
        asked = role or usual_role(config, context.task)
        size = room(router, config, asked, context.workspace, max_tokens)
        request, shown = question_of(said, context, size, max_tokens, note=note)
        return await router.explain(request, shown, role)


def _hole(context: RequestContext, max_tokens: int) -> InfillRequest:
    """Return a completion at the end of the first file. Raises `ConfigError` without one."""
    if not context.sources:
        raise ConfigError("A completion is in a file.", "Name the file.")
    source = context.sources[0]
    known = language_for("", source.path)
    name = known.name if known else "plaintext"
    return InfillRequest(source.path, source.path, name, source.text, "", max_tokens=max_tokens)
