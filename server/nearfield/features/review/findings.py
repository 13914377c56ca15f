"""Findings of a model, and the checks that decide which of them are shown.

The schema of the answer allows the line numbers that the model was shown, and no others. The answer
is checked all the same, because not every provider enforces a schema. A message has to say
something, its names have to be in the file, and a replacement has to parse and to resemble its
line. A finding that fails is dropped, not repaired.
"""

from __future__ import annotations

import contextlib
import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate
from typing import Any

from nearfield.coerce import NotJson, shallow
from nearfield.features.review.pieces import ReviewPiece
from nearfield.files.lines import split_lines
from nearfield.routing.quality import repeats
from nearfield.syntax.definitions import dropped
from nearfield.syntax.parser import Parsed
from nearfield.types import Edit, Span

__all__ = ["ReviewFinding", "Severity", "accepted", "answers", "schema_of"]

MAX_FINDINGS = 5
"""Per piece; a model that reports more in forty lines is making them up."""
MAX_MESSAGE_CHARS = 240
MIN_WORDS = 3
MAX_REPLACEMENT_LINES = 8
MIN_SIMILARITY = 0.35
"""Between a line and its replacement, by difflib's ratio; below it the model means another line."""

_GENERIC = re.compile(
    r"^\W*(?:no (?:issues?|problems?|defects?|bugs?|errors?)\b|(?:the |this )?code (?:is|looks) "
    r"(?:good|fine|correct|right|ok|clean)|looks good|all good|none\b|n/?a\b|lgtm)"
    r"|\b(?:add(?:ing)?|include|missing|lacks?|no|needs?) (?:a |some |more |any )?(?:\w+ )?"
    r"(?:comments?|docstrings?|documentation|type (?:hints?|annotations?)|unit tests?)\b"
    r"|\bconsider (?:adding|using) (?:more |better |some )?(?:descriptive|meaningful|comments?)\b"
    r"|\b(?:variable|function|parameter) names? (?:could|should) be more\b"
    r"|\b(?:follows?|violates?) (?:pep ?8|the style guide|best practices)\b",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"`([^`]+)`")
_NAME = re.compile(r"[^\W\d]\w+")
_OBJECT = re.compile(r"\{[^{}]*\}")
_NUMBERED = re.compile(r"^\s*\d+[+ ]?\|[ ]?")


class Severity(StrEnum):
    """The severities that editors know."""

    ERROR = "error"
    WARNING = "warning"
    INFORMATION = "information"
    HINT = "hint"


_SEVERITIES = {one.value: one for one in Severity}


@dataclass(frozen=True, slots=True)
class ReviewFinding:
    """A defect on one line: `span` covers the line without its blanks, `row` counts from 0.

    `suggestion` says what to do ("" for nothing); `replacement` is the text of `span` once fixed,
    None if there is none that can be trusted."""

    id: str
    span: Span
    row: int
    severity: Severity
    message: str
    suggestion: str = ""
    replacement: str | None = None
    model: str = ""
    provider: str = ""


def schema_of(piece: ReviewPiece) -> dict[str, Any]:
    """Return the schema of the answer about `piece`; lines count from 1, as the model sees them."""
    text = {"type": "string", "maxLength": MAX_MESSAGE_CHARS}
    properties: dict[str, Any] = {
        "line": {"type": "integer", "enum": [row + 1 for row in piece.judged]},
        "severity": {"type": "string", "enum": [one.value for one in Severity]},
        "message": text,
        "suggestion": text,
        "replacement": {"type": "string"},
    }
    item = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    findings = {"type": "array", "items": item, "maxItems": MAX_FINDINGS}
    return {
        "type": "object",
        "properties": {"findings": findings},
        "required": ["findings"],
        "additionalProperties": False,
    }


def answers(text: str) -> list[Mapping[str, Any]]:
    """Return the findings of an answer as the model wrote them; the complete ones of an answer that
    broke off."""
    try:
        value = shallow(text)
    except NotJson:
        value = []
        for match in _OBJECT.finditer(text):
            with contextlib.suppress(NotJson):
                value.append(shallow(match[0]))
    found = value.get("findings") if isinstance(value, dict) else value
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def accepted(
    raw: Iterable[Mapping[str, Any]],
    piece: ReviewPiece,
    text: str,
    parsed: Parsed | None,
    *,
    model: str = "",
    provider: str = "",
    known: Sequence[ReviewFinding] = (),
) -> list[ReviewFinding]:
    """Return the findings of `raw` that can be shown for `text`, without those that `known` has."""
    lines = split_lines(text, keepends=True)
    starts = list(accumulate(map(len, lines), initial=0))
    said = {_normalised(one.message) for one in known}
    kept: list[ReviewFinding] = []
    for one in raw:
        row = _row(one, piece)
        message = _words(one.get("message"))
        if row is None or row >= len(lines) or _normalised(message) in said:
            continue
        line = lines[row].rstrip("\r\n")
        if not line.strip() or not _is_specific(message, text):
            continue
        said.add(_normalised(message))
        start = starts[row] + len(line) - len(line.lstrip())
        span = Span(start, starts[row] + len(line.rstrip()))
        kept.append(
            ReviewFinding(
                id=f"{piece.id}-{row + 1}-{len(known) + len(kept)}",
                span=span,
                row=row,
                severity=_SEVERITIES.get(str(one.get("severity")), Severity.WARNING),
                message=message,
                suggestion=_words(one.get("suggestion")),
                replacement=_replacement(one.get("replacement"), text, span, line, parsed),
                model=model,
                provider=provider,
            )
        )
    return kept[:MAX_FINDINGS]


def _row(one: Mapping[str, Any], piece: ReviewPiece) -> int | None:
    line = one.get("line")
    if isinstance(line, bool) or not isinstance(line, int):
        return None
    return line - 1 if line - 1 in piece.judged else None


def _words(value: Any) -> str:
    """Return text of a model as one line of a bounded length."""
    return " ".join(value.split())[:MAX_MESSAGE_CHARS] if isinstance(value, str) else ""


def _normalised(message: str) -> str:
    return re.sub(r"\W+", " ", message).strip().casefold()


def _is_specific(message: str, text: str) -> bool:
    """Return whether the message says something about this file."""
    if len(message.split()) < MIN_WORDS or _GENERIC.search(message) or repeats(message):
        return False
    quoted = [name for part in _QUOTED.findall(message) for name in _NAME.findall(part)]
    return not quoted or any(name in text for name in quoted)


def _replacement(value: Any, text: str, span: Span, line: str, parsed: Parsed | None) -> str | None:
    """Return the replacement of `span`, if it differs, resembles the line, parses and drops no
    definition; None otherwise, and for a document without a tree."""
    if not isinstance(value, str) or parsed is None or parsed.text != text:
        return None
    code = _laid_out(value, line, "\r\n" if "\r\n" in text else "\n")
    old = text[span.start : span.end]
    if code is None or _squeezed(code) == _squeezed(old) or not old:
        return None
    if difflib.SequenceMatcher(None, _squeezed(old), _squeezed(code)).ratio() < MIN_SIMILARITY:
        return None
    after = parsed.edited(Edit(span, code))
    if after is None or after.all_errors > parsed.all_errors or dropped(parsed, after, after.text):
        return None
    return code


def _laid_out(value: str, line: str, line_end: str) -> str | None:
    """Return a model's lines at the indentation of `line`; None if there are none, or too many."""
    rows = [_NUMBERED.sub("", row) for row in split_lines(value.strip("\r\n"))]
    rows = [row for row in rows if not row.strip().startswith("```")]
    if not rows or len(rows) > MAX_REPLACEMENT_LINES or not rows[0].strip():
        return None
    indent = line[: len(line) - len(line.lstrip())]
    own = len(rows[0]) - len(rows[0].lstrip())
    placed = [rows[0].strip()]
    for row in rows[1:]:
        inner = row[own:] if not row[:own].strip() else row.lstrip()
        placed.append((indent + inner).rstrip())
    return line_end.join(placed)


def _squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)
