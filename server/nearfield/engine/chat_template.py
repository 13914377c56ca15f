"""Render a conversation by the model's own chat template.

The template is Jinja from the GGUF file, run in Jinja's sandbox. Marks from Unicode's private area
replace the message contents while it runs. The rendered text is then cut at the marks, so that
contents are tokenised as plain text and can never forge a control token.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from nearfield.engine.frames import Piece
from nearfield.errors import Unsupported

_MARK = re.compile("\ue000(\\d+)\ue001")

_OPENED = re.compile(r"(<think>|<seed:think>|\[THINK\]|◁think▷|<\|START_THINKING\|>)\s*\Z")


def _raise(message: str) -> None:
    raise TemplateError(message)


def _now(form: str) -> str:
    return datetime.now(UTC).strftime(form)


def render(template: str, chat: str, eos: str) -> list[Piece]:
    """The prompt for `chat` (JSON text: `messages`, optional `tools`; `thinks` is false to keep a
    reasoning model from thinking), ready for the next turn.

    Raises `Unsupported` when the model has no chat template or refuses the conversation.
    """
    if not template:
        raise Unsupported(
            "This model has no chat template.", "Choose an instruct model for the role chat."
        )
    spec: dict[str, Any] = json.loads(chat)
    contents: list[str] = []
    messages = [_marked(message, contents) for message in spec["messages"]]
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
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
    except TemplateError as error:
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
    if not message.get("content"):
        return message
    contents.append(message["content"])
    return {**message, "content": f"\ue000{len(contents) - 1}\ue001"}


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
    return json.dumps(value, ensure_ascii=False, indent=indent)
