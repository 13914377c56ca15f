"""Tool calls that a model writes as text: `<tool_call>{"name": …, "arguments": …}</tool_call>`.

That is the form of Qwen's and Hermes' chat templates, and what `describe` asks of a model whose
template knows no tools.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from nearfield.coerce import NotJson, shallow
from nearfield.types import Delta, Finish, Message, Role, Tool, ToolCall

OPEN = "<tool_call>"
CLOSE = "</tool_call>"


def describe(tools: Sequence[Tool]) -> str:
    """Instructions on `tools` for a model that was not trained on a form of its own."""
    signatures = "\n".join(
        json.dumps({"name": t.name, "description": t.description, "parameters": dict(t.parameters)})
        for t in tools
    )
    return (
        "You may call these functions, one JSON signature a line:\n"
        f"{signatures}\n"
        f'To call one, answer with {OPEN}{{"name": NAME, "arguments": {{…}}}}{CLOSE} and nothing '
        "else. When none fits, answer in words."
    )


def call_schema(tools: Sequence[Tool]) -> dict[str, Any]:
    """Return the JSON schema of a call of one of `tools`, for decoding by grammar. Arguments are
    closed: one that the tool does not name cannot be written."""
    shared: dict[str, Any] = {}
    calls: list[dict[str, Any]] = []
    for tool in tools:
        parameters: dict[str, Any] = {"type": "object", "properties": {}, **tool.parameters}
        shared |= parameters.pop("$defs", {})
        calls.append(
            {
                "type": "object",
                "properties": {
                    "name": {"const": tool.name},
                    "arguments": {**parameters, "additionalProperties": False},
                },
                "required": ["name", "arguments"],
                "additionalProperties": False,
            }
        )
    schema: dict[str, Any] = calls[0] if len(calls) == 1 else {"oneOf": calls}
    return {**schema, "$defs": shared} if shared else schema


MIN_CALL_LOGPROB = -0.15
"""A call that the model is less sure of, on the mean of its tokens, is not made. Of 20 calls that
the 0.5B model was right to make the least sure had -0.10; of 17 that fitted nothing 6 or 7 were
below -0.15. It was chosen on cases of the set that it is measured on, and lets most of the calls
through that should not be made."""
SHORT_CALL_CHARS = 240
"""In a longer one most tokens are of some text to write, which can be said in many ways."""


def is_doubtful(body: str, logprobs: Sequence[float]) -> bool:
    """Return whether the model is unsure of the call `body`, by its tokens' log-probabilities. The
    first one is left out: it says how the model would have begun in another form."""
    rest = logprobs[1:]
    return bool(rest) and len(body) <= SHORT_CALL_CHARS and sum(rest) / len(rest) < MIN_CALL_LOGPROB


def name_in(body: str) -> str:
    """Return the name of the function that the text of a call names; "" where it names none."""
    try:
        call = shallow(body)
    except NotJson:
        return ""
    name = call.get("name") if isinstance(call, dict) else None
    return name if isinstance(name, str) else ""


def as_text(messages: Sequence[Message]) -> list[Message]:
    """`messages` for a model whose template knows no tools: calls and results as plain turns."""
    plain: list[Message] = []
    for message in messages:
        if message.role is Role.TOOL:
            plain.append(Message(Role.USER, f"Result of the call:\n{message.content}"))
            continue
        calls = [
            f'{OPEN}{{"name": {json.dumps(call.name)}, "arguments": {call.arguments}}}{CLOSE}'
            for call in message.tool_calls
        ]
        text = "\n".join([message.content, *calls] if message.content else calls)
        plain.append(replace(message, content=text, tool_calls=()))
    return plain


class CallDetector:
    """Sees in a streamed answer that the model means to call one of `tools`, in whatever form.

    Small models often write a call as plain JSON, in a fence or without, although their template
    asks for another form: of 12 questions with functions the 0.5B model wrote 12 such, and none in
    the form of its template. Text that may become one is held back. One instance an answer.
    """

    def __init__(self, tools: Sequence[Tool]) -> None:
        names = "|".join(re.escape(tool.name) for tool in tools)
        # At the start of a line: a fence, then an object that names one of the functions first.
        self._whole = re.compile(
            rf'^[ \t]*(?:```\w*\s*)?\[?\s*\{{\s*"(?:name|function|tool)"\s*:\s*"(?:{names})"',
            re.MULTILINE,
        )
        longest = max((len(tool.name) for tool in tools), default=0)
        self._most = longest + _FORM_CHARS
        self._held = ""
        self._inside = False
        """Whether the held text begins inside a line."""
        self.seen = False

    def feed(self, text: str, *, ended: bool) -> str:
        """Add `text` and return the part of the answer that is certainly words. Once `seen`, the
        rest is a call."""
        self._held += text
        found = self._whole.search(self._lead + self._held)
        if found is not None:
            self.seen = True
            return self._released(found.start() - len(self._lead))
        return self._released(len(self._held) - (0 if ended else self._undecided()))

    @property
    def _lead(self) -> str:
        return "x" if self._inside else ""

    def _released(self, size: int) -> str:
        words, self._held = self._held[:size], self._held[size:]
        if words:
            self._inside = not words.endswith("\n")
        return words

    def _undecided(self) -> int:
        """Return how many characters at the end could be the beginning of a call."""
        text = self._lead + self._held
        for start in _LINE_STARTS.finditer(text):
            tail = text[start.end() :]
            if len(tail) <= self._most and (not tail.strip() or _BEGUN.match(tail)):
                return len(tail)
        return 0


_FORM_CHARS = 48
"""Maximum text around the name in a call, with blanks."""
_LINE_STARTS = re.compile(r"^", re.MULTILINE)
_BEGUN = re.compile(r"[ \t]*(?:`{1,2}$|```\w*\s*(?:$|\[|\{)|\[?\s*\{|\[\s*$)")


class ToolText:
    """Takes tool calls out of a streamed answer. One instance an answer."""

    def __init__(self) -> None:
        self._held = ""
        self._calls = 0

    def filter(self, delta: Delta) -> Delta:
        """`delta` with the text that is certainly not part of a call, and the calls it ended."""
        self._held += delta.text
        text, calls = "", []
        while True:
            start = self._held.find(OPEN)
            if start < 0:
                keep = 0 if delta.finish else _begun(self._held)
                text += self._held[: len(self._held) - keep]
                self._held = self._held[len(self._held) - keep :]
                break
            end = self._held.find(CLOSE, start)
            if end < 0 and delta.finish is None:
                text += self._held[:start]
                self._held = self._held[start:]
                break
            body = self._held[start + len(OPEN) : end if end >= 0 else None]
            call = self._call(body)
            text += self._held[:start] if call else self._held[: start + len(OPEN)] + body
            calls += [call] if call else []
            self._held = self._held[end + len(CLOSE) :] if end >= 0 else ""
        finish = delta.finish
        if finish is Finish.STOP and self._calls:
            finish = Finish.TOOLS
        return replace(delta, text=text, tool_calls=tuple(calls), finish=finish)

    def whole(self, body: str, last: Delta) -> Delta:
        """Return the end `last` of an answer, with the call that `body` is; without one when that
        was cut off."""
        call = self._call(body)
        if call is None:
            return replace(last, text="")
        finish = Finish.TOOLS if last.finish is Finish.STOP else last.finish
        return replace(last, text="", tool_calls=(call,), finish=finish)

    def _call(self, body: str) -> ToolCall | None:
        """Return the call in `body`; None when it is not one, and then it stays text."""
        try:
            call = shallow(body)
            name, arguments = call["name"], call.get("arguments", {})
        except (NotJson, KeyError, TypeError, AttributeError):
            return None
        if not isinstance(name, str):
            return None
        self._calls += 1
        return ToolCall(f"call_{self._calls}", name, json.dumps(arguments))


def _begun(text: str) -> int:
    """Return how many characters at the end of `text` could be the beginning of a call."""
    return next((n for n in range(len(OPEN) - 1, 0, -1) if text.endswith(OPEN[:n])), 0)
