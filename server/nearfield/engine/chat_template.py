"""Render a conversation by the model's own chat template.

The template is Jinja from the GGUF file, run in Jinja's sandbox. Marks from Unicode's private area
replace the message contents while it runs. The rendered text is then cut at the marks, so that
contents are tokenised as plain text and can never forge a control token.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any, cast

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from nearfield.engine.frames import Piece
from nearfield.errors import Unsupported
from nearfield.types import REASONING

_MARK = re.compile("\ue000(\\d+)\ue001")
_BRACKET = re.compile(r"[<\[\]◁]")

_MARKS = "|".join(re.escape(mark) for mark in REASONING if not mark.isalpha())
_OPENED = re.compile(rf"({_MARKS})\s*\Z")


def _raise(message: str) -> None:
    raise TemplateError(message)


def _now(form: str) -> str:
    return datetime.now(UTC).strftime(form)


class _Generation(Extension):
    """The tag `generation`, which marks what an assistant said, for training: its body counts."""

    tags = {"generation"}  # noqa: RUF012 - jinja declares it without ClassVar

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """Return the nodes of the body."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def render(template: str, chat: str, eos: str) -> list[Piece]:
    """The prompt for `chat` (JSON text: `messages`, optional `tools`; `thinks` is false to keep a
    reasoning model from thinking), ready for the next turn. For a template that knows no system
    message, that becomes the beginning of the first user's message.

    Raises `Unsupported` when the model has no chat template or refuses the conversation.
    """
    if not template:
        raise Unsupported(
            "This model has no chat template.", "Choose an instruct model for the role chat."
        )
    spec: dict[str, Any] = json.loads(chat)
    try:
        return _render(template, spec, eos)
    except Unsupported:
        messages = spec["messages"]
        roles = [message["role"] for message in messages[:2]]
        if roles != ["system", "user"]:
            raise
        both = "\n\n".join(message["content"] for message in messages[:2])
        return _render(template, {**spec, "messages": [_user(both), *messages[2:]]}, eos)


def _user(content: str) -> dict[str, Any]:
    return {"role": "user", "content": content}


def _render(template: str, spec: dict[str, Any], eos: str) -> list[Piece]:
    contents: list[str] = []
    messages = [_marked(message, contents) for message in spec["messages"]]
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, _Generation]
    )
    environment.filters["tojson"] = _to_json
    thinks = spec.get("thinks", True)
    # Templates that know neither take no notice.
    asked = {} if thinks else {"enable_thinking": False, "reasoning_effort": "low"}
    try:
        text = environment.from_string(template).render(
            raise_exception=_raise,
            strftime_now=_now,
            messages=messages,
            tools=spec.get("tools") or None,
            add_generation_prompt=True,
            bos_token="",
            eos_token=eos,
            **asked,
        )
    except Exception as error:  # a template is a stranger's program
        raise Unsupported(
            f"The model's chat template refused the conversation: {error}.",
            "Some models take no system message or no tools.",
        ) from error
    return _pieces(text, contents)


def opened(prompt: list[Piece]) -> str:
    """Return the mark of a passage of reasoning that a prompt leaves open, so that the answer
    begins inside of it; "" for none."""
    found = _OPENED.search(prompt[-1][0]) if prompt and prompt[-1][1] else None
    return "" if found is None else found[1]


def _marked(message: dict[str, Any], contents: list[str]) -> dict[str, Any]:
    marked = dict(message)
    if message.get("content"):
        marked["content"] = _mark(message["content"], contents)
    if message.get("tool_calls"):
        marked["tool_calls"] = _without_brackets(message["tool_calls"], contents)
    return marked


def _mark(text: str, contents: list[str]) -> str:
    contents.append(text)
    return f"\ue000{len(contents) - 1}\ue001"


def _without_brackets(value: Any, contents: list[str]) -> Any:
    """Return `value` with a mark for each bracket with which control tokens begin, in all its
    texts: templates write these out in ways of their own."""
    if isinstance(value, str):
        return _BRACKET.sub(lambda found: _mark(found[0], contents), value)
    if isinstance(value, list):
        return [_without_brackets(item, contents) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        pairs = cast("dict[str, Any]", value).items()
        return {key: _without_brackets(item, contents) for key, item in pairs}
    return value


def _pieces(text: str, contents: list[str]) -> list[Piece]:
    pieces: list[Piece] = []
    at = 0
    for mark in _MARK.finditer(text):
        pieces.append((text[at : mark.start()], True))
        pieces.append((contents[int(mark[1])], False))
        at = mark.end()
    pieces.append((text[at:], True))
    return [piece for piece in pieces if piece[0]]


def _to_json(value: object, indent: int | None = None, **_: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent, default=list)
