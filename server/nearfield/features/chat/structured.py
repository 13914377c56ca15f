"""An answer that is JSON of a given schema, from any provider, or a clear error.

The embedded engine is held to the schema by a grammar, servers by their own means if they have any.
The schema is also given in words, because neither tells a model what the fields mean. A full
validator checks the answer. A first answer that does not meet it is returned to the model once,
with its errors.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nearfield.coerce import NotJson, loads
from nearfield.errors import BadAnswer, NoProvider, Unsupported
from nearfield.features.chat.validate import Wrong, validator
from nearfield.features.trace import RequestMetrics
from nearfield.routing.request_context import RequestContext
from nearfield.routing.router import Restart, Router
from nearfield.types import ChatRequest, Message, Role

TELLING = "Answer with one JSON value and nothing else. It must meet this JSON schema:\n"
_FENCE = "```"


@dataclass(frozen=True, slots=True)
class Structured:
    """The value, its text, and its model."""

    value: Any
    text: str
    provider: str
    model: str


async def structured(
    router: Router,
    messages: Sequence[Message],
    schema: Mapping[str, Any],
    context: RequestContext,
    *,
    role: str = "",
    max_tokens: int = 1024,
    deadline: float | None = None,
    account: RequestMetrics | None = None,
) -> Structured:
    """Return a value of `schema` that answers `messages`; its cost is added to `account`. Raises
    `SchemaUnusable`, `BadAnswer` when both tries do not meet it, and `NoProvider`.
    """
    wrong = await asyncio.to_thread(validator, schema)
    told = Message(Role.SYSTEM, TELLING + json.dumps(dict(schema), ensure_ascii=False))
    request = ChatRequest(
        (told, *messages),
        schema=dict(schema),
        max_tokens=max_tokens,
        temperature=0.0,
        deadline=deadline,
    )
    complaint = model = ""
    for _ in range(2):
        text, provider, model = await _asked(router, request, role, context, account)
        # It takes up to a second.
        value, complaint = await asyncio.to_thread(_checked, text, wrong)
        if not complaint:
            return Structured(value, json.dumps(value, ensure_ascii=False), provider, model)
        again = f"That does not meet the schema: {complaint}. Answer with the JSON value again."
        request = replace(
            request,
            messages=(
                *request.messages, Message(Role.ASSISTANT, text), Message(Role.USER, again)
            ),
        )  # fmt: skip
    raise BadAnswer(
        f"No answer of {model} met the schema: {complaint}.",
        "Ask again, simplify the schema, or choose a larger model.",
    )


async def _asked(
    router: Router,
    request: ChatRequest,
    role: str,
    context: RequestContext,
    account: RequestMetrics | None,
) -> tuple[str, str, str]:
    try:
        return await _answered(router, request, role, context, account)
    except NoProvider as error:
        if not any(isinstance(cause, Unsupported) for cause in error.causes):
            raise
    # There is no grammar for such a schema, or no such mode: then in words alone.
    return await _answered(router, replace(request, schema=None), role, context, account)


async def _answered(
    router: Router,
    request: ChatRequest,
    role: str,
    context: RequestContext,
    account: RequestMetrics | None,
) -> tuple[str, str, str]:
    text, usage = "", None
    async with router.chat(request, role, context) as route:
        async for item in route:
            if isinstance(item, Restart):
                text = ""
                continue
            text += item.text
            usage = item.usage or usage  # each is the total up to here
    if account is not None and usage is not None:
        account.spent(usage)
    provider = route.provider
    name, model = (provider.name, provider.model) if provider else ("", "")
    if account is not None:
        account.provider, account.model = name, model
    return text, name, model


def _checked(text: str, wrong: Wrong) -> tuple[Any, str]:
    """The value, and what is wrong with it."""
    try:
        value = loads(_unfenced(text).encode("utf-8", "replace"))
    except NotJson:
        return None, "it is not JSON"
    return value, wrong(value)


def _unfenced(text: str) -> str:
    """Return the content of a fence, if all of `text` is one."""
    whole = text.strip()
    first, _, rest = whole.partition("\n")
    if first.rstrip() in (_FENCE, f"{_FENCE}json") and rest.endswith(_FENCE):
        return rest.removesuffix(_FENCE)
    return whole
