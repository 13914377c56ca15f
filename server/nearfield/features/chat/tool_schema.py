"""From a typed Python signature to a function that a model may call.

    @function(Access.READ)
    async def countLines(context: ToolContext, path: Annotated[str, "From the folder."]) -> str:
        "Count the lines of a file."

The first parameter is the `ToolContext`; the others, with types, defaults and one-line notes, make
the JSON schema and the check of the arguments. A package offers such functions as entry points of
the group `nearfield.functions`; each has to be allowed by its name in `chat.functions`.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec

from nearfield.coerce import is_deep
from nearfield.features.chat.protocol import (
    Access,
    ChatFunction,
    Refuse,
    ToolOutcome,
    ToolRefused,
    said,
)

Title = Callable[[Any], str]
Body = Callable[..., Awaitable[str | ToolOutcome]]


def function(
    access: Access,
    name: str = "",
    title: Title | None = None,
    refuse: Refuse | None = None,
) -> Callable[[Body], ChatFunction]:
    """Make a `ChatFunction` of an async function; `name` is its own by default, `title` (from the
    checked arguments) what the user is asked, and `refuse` raises `ToolRefused` for what the user
    need not be asked. Raises `TypeError` for a signature that has no schema."""

    def make(body: Body) -> ChatFunction:
        return replace(_made(body, access, name or body.__name__, title), refuse=refuse)

    return make


def checked(function: ChatFunction, arguments: str) -> Any:
    """Return the arguments (JSON text) as the function's struct. Raises `ToolRefused` with what is
    wrong and where, without quoting a value."""
    try:
        content = arguments.encode() or b"{}"
        if is_deep(content):
            raise ToolRefused(f"The arguments of {function.name} are nested too deep.")
        return msgspec.json.decode(content, type=function.arguments)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise ToolRefused(
            f"The arguments of {function.name} are wrong: {error}.",
            f"They must be JSON of this schema: {json.dumps(dict(function.parameters))}",
        ) from error


def _made(body: Body, access: Access, name: str, title: Title | None) -> ChatFunction:
    parameters = list(inspect.signature(body).parameters.values())[1:]
    hints = get_type_hints(body, include_extras=True)
    fields: list[Any] = []
    for one in parameters:
        kind = _noted(hints[one.name])
        fields.append(
            (one.name, kind) if one.default is one.empty else (one.name, kind, one.default)
        )
    # Those without a default come first in a struct, as in a signature.
    arguments = msgspec.defstruct(name, fields, frozen=True, forbid_unknown_fields=True)

    async def run(context: Any, given: Any) -> ToolOutcome:
        found = await body(context, **{one.name: getattr(given, one.name) for one in parameters})
        return said(found) if isinstance(found, str) else found

    return ChatFunction(
        name=name,
        description=" ".join((inspect.getdoc(body) or "").split("\n\n")[0].split()),
        access=access,
        arguments=arguments,
        parameters=_schema(arguments),
        run=run,
        title=title or (lambda given: f"call {name}({_short(given)})"),
    )


def _noted(hint: Any) -> Any:
    """A type with its one-line note, `Annotated[str, "note"]`, as msgspec knows it."""
    if get_origin(hint) is not Annotated:
        return hint
    kind, *notes = get_args(hint)
    texts = [note for note in notes if isinstance(note, str)]
    rest = [note for note in notes if not isinstance(note, str)]
    if texts:
        rest.append(msgspec.Meta(description=texts[0]))
    for note in rest:
        kind = Annotated[kind, note]
    return kind


def _schema(arguments: type[msgspec.Struct]) -> dict[str, Any]:
    """The schema of an object, its own definition not by reference."""
    (outer,), shared = msgspec.json.schema_components([arguments], ref_template="#/$defs/{name}")
    name = outer["$ref"].rpartition("/")[2]
    schema = {key: value for key, value in shared.pop(name).items() if key != "title"}
    return {**schema, "$defs": shared} if shared else schema


def _short(given: Any) -> str:
    text = ", ".join(f"{key}={value!r}" for key, value in msgspec.structs.asdict(given).items())
    return text if len(text) <= 200 else f"{text[:200]}…"
