"""What a model finds wrong, and what of that is worth showing.

The model answers by a schema whose line numbers are those that it was shown, so that an engine with
grammars cannot name another. What it says is checked all the same: a message has to say something,
the names in it have to be in the file, and a replacement has to parse and to resemble the line that
it replaces. What fails is dropped, not repaired.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from nearfield.features.code_actions.check import dropped
from nearfield.features.review.pieces import Piece
from nearfield.files.lines import split_lines
from nearfield.routing.quality import repeats
from nearfield.syntax.parser import Parsed
from nearfield.types import Edit, Span

__all__ = ["Finding", "Severity", "accepted", "answers", "schema_of"]

MOST_FINDINGS = 5
"""In one piece; who finds more in forty lines is making them up."""
MESSAGE_CHARS = 240
FEWEST_WORDS = 3
REPLACEMENT_LINES = 8
LEAST_ALIKE = 0.35
"""How much of a line its replacement has to share, by difflib's ratio: less than this and the model
means another line."""

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
    """How bad it is, in the words that editors have."""

    ERROR = "error"
    WARNING = "warning"
    INFORMATION = "information"
    HINT = "hint"


@dataclass(frozen=True, slots=True)
class Finding:
    """A defect on one line: `span` is what is visible of the line, `row` counts from 0.

    `suggestion` says what to do ("" for nothing); `replacement` stands for `span` when the fix is
    taken, None where there is none that can be trusted."""

    id: str
    span: Span
    row: int
    severity: Severity
    message: str
    suggestion: str = ""
    replacement: str | None = None
    model: str = ""


def schema_of(piece: Piece) -> dict[str, Any]:
    """The schema of the answer about `piece`; its lines count from 1, as the model sees them."""
    text = {"type": "string", "maxLength": MESSAGE_CHARS}
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
    findings = {"type": "array", "items": item, "maxItems": MOST_FINDINGS}
    return {
        "type": "object",
        "properties": {"findings": findings},
        "required": ["findings"],
        "additionalProperties": False,
    }


def answers(text: str) -> list[Mapping[str, Any]]:
    """The findings of an answer as the model wrote them; of one that broke off, those that are
    whole."""
    try:
        value: Any = json.loads(text)
    except ValueError:
        return list(_whole_objects(text))
    found = value.get("findings") if isinstance(value, dict) else value
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def accepted(
    raw: Iterable[Mapping[str, Any]],
    piece: Piece,
    text: str,
    parsed: Parsed | None,
    *,
    model: str = "",
    known: Sequence[Finding] = (),
) -> list[Finding]:
    """Those of `raw` that can be shown, about `text` as it is; none that `known` has already."""
    lines = split_lines(text, keepends=True)
    starts = _starts(lines)
    said = {_said(one.message) for one in known}
    kept: list[Finding] = []
    for one in raw:
        row = _row(one, piece)
        message = _words(one.get("message"))
        if row is None or row >= len(lines) or _said(message) in said:
            continue
        line = lines[row].rstrip("\r\n")
        if not line.strip() or not _tells(message, text):
            continue
        said.add(_said(message))
        start = starts[row] + len(line) - len(line.lstrip())
        span = Span(start, starts[row] + len(line.rstrip()))
        kept.append(
            Finding(
                id=f"{piece.id}-{row + 1}-{len(known) + len(kept)}",
                span=span,
                row=row,
                severity=_severity(one.get("severity")),
                message=message,
                suggestion=_words(one.get("suggestion")),
                replacement=_replacement(one.get("replacement"), text, span, line, parsed),
                model=model,
            )
        )
    return kept[:MOST_FINDINGS]


def _whole_objects(text: str) -> Iterator[Mapping[str, Any]]:
    for match in _OBJECT.finditer(text):
        try:
            value: Any = json.loads(match[0])
        except ValueError:
            continue
        if isinstance(value, dict):
            yield value


def _starts(lines: Sequence[str]) -> list[int]:
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    return starts


def _row(one: Mapping[str, Any], piece: Piece) -> int | None:
    line = one.get("line")
    if isinstance(line, bool) or not isinstance(line, int):
        return None
    return line - 1 if line - 1 in piece.judged else None


def _words(value: Any) -> str:
    """Text from a model as one line of a bounded length."""
    return " ".join(value.split())[:MESSAGE_CHARS] if isinstance(value, str) else ""


def _said(message: str) -> str:
    return re.sub(r"\W+", " ", message).strip().casefold()


def _tells(message: str, text: str) -> bool:
    """Return whether the message says something, about this file."""
    if len(message.split()) < FEWEST_WORDS or _GENERIC.search(message) or repeats(message):
        return False
    quoted = [name for part in _QUOTED.findall(message) for name in _NAME.findall(part)]
    return not quoted or any(name in text for name in quoted)


def _severity(value: Any) -> Severity:
    return Severity(value) if value in [one.value for one in Severity] else Severity.WARNING


def _replacement(value: Any, text: str, span: Span, line: str, parsed: Parsed | None) -> str | None:
    """What may stand in the place of `span`: it differs, resembles the line, parses, and drops no
    definition. Without a tree nothing can be said, and nothing is offered."""
    if not isinstance(value, str) or parsed is None or parsed.text != text:
        return None
    code = _laid_out(value, line, "\r\n" if "\r\n" in text else "\n")
    old = text[span.start : span.end]
    if code is None or _squeezed(code) == _squeezed(old) or old in (None, ""):
        return None
    if difflib.SequenceMatcher(None, _squeezed(old), _squeezed(code)).ratio() < LEAST_ALIKE:
        return None
    after = parsed.edited(Edit(span, code))
    if after is None or after.all_errors > parsed.all_errors or dropped(parsed, after, after.text):
        return None
    return code


def _laid_out(value: str, line: str, line_end: str) -> str | None:
    """A model's lines as they stand behind the indentation of `line`."""
    rows = [_NUMBERED.sub("", row) for row in split_lines(value.strip("\r\n"))]
    rows = [row for row in rows if not row.strip().startswith("```")]
    if not rows or len(rows) > REPLACEMENT_LINES or not rows[0].strip():
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
