"""An answer that is JSON of a given schema, from any provider, or a clear error.

The embedded engine is held to the schema by a grammar, servers by their own means where they have
some; the schema is told in words as well, because neither tells a model what the fields mean. What
comes is checked by a full validator. A first answer that does not meet it goes back once, with what
is wrong with it.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, cast

from nearfield.errors import BadAnswer, NearfieldError, NoProvider, Unsupported
from nearfield.features.trace import Account
from nearfield.routing.errand import Errand
from nearfield.routing.router import Restart, Router
from nearfield.types import ChatRequest, Message, Role

TELLING = "Answer with one JSON value and nothing else. It must meet this JSON schema:\n"
_FENCED = re.compile(r"^\s*```(?:json)?\s*\n(.*?)\n\s*```\s*$", re.DOTALL)


class SchemaUnusable(NearfieldError):
    """What was given is no JSON schema."""


@dataclass(frozen=True, slots=True)
class Structured:
    """The value, as it was written, and who wrote it."""

    value: Any
    text: str
    provider: str
    model: str


class _Validator(Protocol):
    """What is used of a validator of the `jsonschema` package."""

    def iter_errors(self, instance: Any) -> Any:
        """What is wrong with a value."""
        ...


def validator(schema: Mapping[str, Any]) -> Callable[[Any], str]:
    """Says what is wrong with a value, "" for nothing. Raises `SchemaUnusable`. References lead
    within the schema only: nothing is fetched."""
    import jsonschema
    from jsonschema.validators import validator_for  # pyright: ignore[reportUnknownVariableType] - it has no types
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    kind: Any = validator_for(dict(schema), default=jsonschema.Draft202012Validator)
    try:
        kind.check_schema(dict(schema))
    except jsonschema.SchemaError as error:
        raise SchemaUnusable(
            f"This is no JSON schema: {error.message}.", f"Look at {error.json_path}."
        ) from error
    checking = cast(_Validator, kind(dict(schema), registry=Registry()))

    def wrong(value: Any) -> str:
        try:
            found: Any = next(iter(checking.iter_errors(value)), None)
        except Unresolvable as error:
            raise SchemaUnusable(
                f"The schema refers to {error.ref}, which is not in it.", "Put it into $defs."
            ) from error
        return f"{found.json_path}: {found.message}" if found is not None else ""

    return wrong


async def structured(
    router: Router,
    messages: Sequence[Message],
    schema: Mapping[str, Any],
    errand: Errand,
    *,
    role: str = "",
    max_tokens: int = 1024,
    deadline: float | None = None,
    account: Account | None = None,
) -> Structured:
    """A value of `schema` that answers `messages`; what it costs goes to `account`. Raises
    `SchemaUnusable`, `BadAnswer` when both tries do not meet it, and `NoProvider`."""
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
        text, provider, model = await _asked(router, request, role, errand, account)
        value, complaint = _checked(text, wrong)
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
    router: Router, request: ChatRequest, role: str, errand: Errand, account: Account | None
) -> tuple[str, str, str]:
    try:
        return await _answered(router, request, role, errand, account)
    except NoProvider as error:
        if not any(isinstance(cause, Unsupported) for cause in error.causes):
            raise
    # There is no grammar for such a schema, or no such mode: then in words alone.
    return await _answered(router, replace(request, schema=None), role, errand, account)


async def _answered(
    router: Router, request: ChatRequest, role: str, errand: Errand, account: Account | None
) -> tuple[str, str, str]:
    text, usage = "", None
    async with router.chat(request, role, errand) as route:
        async for item in route:
            if isinstance(item, Restart):
                text = ""
                continue
            text += item.text
            usage = item.usage or usage  # each says what it has come to so far
    if account is not None and usage is not None:
        account.spent(usage)
    provider = route.provider
    name, model = (provider.name, provider.model) if provider else ("", "")
    if account is not None:
        account.provider, account.model = name, model
    return text, name, model


def _checked(text: str, wrong: Callable[[Any], str]) -> tuple[Any, str]:
    """The value, and what is wrong with it."""
    fenced = _FENCED.match(text)
    try:
        value = json.loads(fenced[1] if fenced else text)
    except ValueError:
        return None, "it is not JSON"
    return value, wrong(value)
