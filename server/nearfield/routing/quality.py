"""Cheap checks of whether a local answer is good enough to be shown.

The gate never looks at the question, so it cannot say that an answer is right; it says when one is
certainly useless. Checks that need a feature's knowledge (does it parse, does the edit apply) come
in as the context's checks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nearfield.coerce import NotJson, shallow
from nearfield.files.lines import split_lines
from nearfield.routing.request_context import Check
from nearfield.types import Finish, ToolCall

# Openings with which chat models decline. Only at the start: an answer that mentions "I cannot"
# further down is not a refusal.
_REFUSAL = re.compile(
    r"\W*(?:(?:sorry|unfortunately|apologies|i apologi[sz]e)\b\W*(?:but\W+)?)?"
    r"(?:i(?:'m| am) (?:sorry|unable|not able)|i (?:can(?:no|')t|cannot|won't|will not) "
    r"(?:help|assist|provide|comply|do that|fulfil|answer|generate|complete|create|write)|"
    r"as an ai(?: language)? model|i do(?: not|n't) have (?:enough|access|the ability))",
    re.IGNORECASE,
)

# A loop is one unit said over and over up to the end. Three times the same line is common in code
# (closing brackets, table rows), so short units need more of them.
REPEATED_LINES = 4
REPEATED_PARTS = 5
REPEATED_CHARACTERS = 48
_TAIL = 600

# While an answer is written it is stopped only where surely nothing else comes: a short unit many
# times, a paragraph three times, or a long list whose items differ in their numbers alone.
ENDLESS_TIMES = 10
ENDLESS_PARAGRAPHS = 3
PARAGRAPH_CHARACTERS = 150
ENDLESS_CHARACTERS = 500
COUNTED_TIMES = 30
COUNTED_CHARACTERS = 1_000
_ENDLESS_TAIL = 4_000

REPEATS = "repeats itself"

# Below this many tokens the mean is noise.
MIN_TOKENS = 8


@dataclass(frozen=True, slots=True)
class JudgedAnswer:
    """A provider's complete answer. `schema` is the schema that it must meet, if any."""

    text: str
    logprobs: Sequence[float] = ()
    tool_calls: Sequence[ToolCall] = ()
    finish: Finish | None = None
    schema: Mapping[str, Any] | None = None


def judge(answer: JudgedAnswer, min_logprob: float, checks: Sequence[Check] = ()) -> str:
    """Return what is wrong with `answer`, in a few words; "" when it is good enough."""
    text = answer.text.strip()
    if answer.tool_calls:
        return ""
    if not text:
        return "empty"
    if _REFUSAL.match(text):
        return "refused"
    if repeats(text):
        return REPEATS
    count = len(answer.logprobs)
    if count >= MIN_TOKENS and sum(answer.logprobs) / count < min_logprob:
        return "unsure of itself"
    if answer.schema is not None and (wrong := unmet(text, answer.schema)):
        return wrong
    return next((wrong for check in checks if (wrong := check(answer.text))), "")


def repeats(text: str) -> bool:
    """Return whether a whole text ends in a loop: the same lines or characters over and over."""

    def is_loop(unit: str, size: int) -> bool:
        times = REPEATED_LINES if "\n" in unit else REPEATED_PARTS
        return size >= max(REPEATED_CHARACTERS, times * len(unit))

    return _ends_in_loop(_visible(text)[-_TAIL:], is_loop)


def is_endless(text: str) -> bool:
    """Return whether a text that is being written is in a loop that will not end."""

    def is_loop(unit: str, size: int) -> bool:
        times = ENDLESS_TIMES if len(unit) < PARAGRAPH_CHARACTERS else ENDLESS_PARAGRAPHS
        return size >= max(ENDLESS_CHARACTERS, times * len(unit))

    def is_counted(unit: str, size: int) -> bool:
        return size >= max(COUNTED_CHARACTERS, COUNTED_TIMES * len(unit))

    tail = _visible(text)[-_ENDLESS_TAIL:]
    counted = re.sub(r"\d+", "0", tail)
    return _ends_in_loop(tail, is_loop) or _ends_in_loop(counted, is_counted)


def _visible(text: str) -> str:
    """Return the lines of `text` that are not empty."""
    return "".join(line for line in split_lines(text, keepends=True) if line.strip())


def _ends_in_loop(tail: str, is_loop: Callable[[str, int], bool]) -> bool:
    """Return whether some end of `tail`, of `size` characters, repeats a unit so that `is_loop`
    says of the two that they are a loop."""
    # Of the reversed text, the border of each beginning gives the period of that end of `tail`.
    backwards = tail[::-1]
    borders = [0] * len(tail)
    for at in range(1, len(tail)):
        border = borders[at - 1]
        while border and backwards[at] != backwards[border]:
            border = borders[border - 1]
        borders[at] = border + (backwards[at] == backwards[border])
        period = at + 1 - borders[at]
        if borders[at] >= period and is_loop(tail[-period:], at + 1):
            unit = tail[-period:].strip()
            if len(set(unit)) > 1 and any(c.isalpha() for c in unit):
                return True
    return False


def unmet(text: str, schema: Mapping[str, Any]) -> str:
    """Return why `text` is not JSON of `schema`, "" if it is. Supports the keywords of our own
    schemas: type, enum, const, required, properties, additionalProperties, items, anyOf.
    """
    try:
        value = shallow(text)
    except NotJson:
        return "not JSON"
    return _unmet(value, schema, "answer")


_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
}


def _unmet(value: Any, schema: Mapping[str, Any], where: str) -> str:
    if "anyOf" in schema:
        return "" if any(not _unmet(value, one, where) for one in schema["anyOf"]) else where
    kinds = schema.get("type")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(_is(value, kind) for kind in kinds):
        return f"{where} is not {' or '.join(kinds)}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{where} is none of the allowed values"
    if "const" in schema and value != schema["const"]:
        return f"{where} is not the one allowed value"
    if isinstance(value, dict):
        return _unmet_object(value, schema, where)
    if isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        found = (_unmet(one, schema["items"], f"{where}[{i}]") for i, one in enumerate(value))
        return next((wrong for wrong in found if wrong), "")
    return ""


def _unmet_object(value: dict[str, Any], schema: Mapping[str, Any], where: str) -> str:
    known: Mapping[str, Any] = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            return f"{where} lacks {name}"
    for name, one in value.items():
        if name in known:
            if wrong := _unmet(one, known[name], f"{where}.{name}"):
                return wrong
        elif schema.get("additionalProperties") is False:
            return f"{where} has a key too many"
    return ""


def _is(value: Any, kind: str) -> bool:
    if kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if kind == "number":
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, _TYPES.get(kind, object))
