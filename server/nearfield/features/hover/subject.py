"""The subject of a hover: a name, an expression, a regular expression, a key of a configuration
file, or a problem that another server reports there.

There is none in a comment, in plain text, on white space, and on a self-evident word of the
language; hovers there stay empty, and leave the place to other servers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import tree_sitter

from nearfield.features.diagnostics import Diagnostic
from nearfield.files.lines import line_at
from nearfield.syntax.definitions import unit_at
from nearfield.syntax.parser import Parsed
from nearfield.types import Snapshot, Span

__all__ = ["Subject", "SubjectKind", "subject_at", "subject_of"]

MAX_EXPRESSION_CHARS = 600
"""Two sentences cannot explain a longer one."""
MAX_CONTEXT_CHARS = 1_400
"""Characters of code shown with the subject: about 450 tokens, a few seconds on a slow
processor.
"""
MAX_TOP_LEVEL_CHARS = 700
"""Likewise outside functions, where the code around a place matters less."""
MAX_SELECTION_CHARS = 4_000
"""Likewise for a selection, whose explanation the user waits for."""
MAX_VALUE_CHARS = 200
MAX_CALL_CHARS = 80
"""Searched before a string for the call that takes a regular expression."""

_WORD = re.compile(r"[@$]{0,2}[^\W\d][\w$]*[?!]?\Z")
_CONFIGURATION = frozenset({"json", "toml", "yaml"})
_PROSE = frozenset({"", "plaintext", "text", "log", "markdown", "latex", "restructuredtext"})
_SELF_EVIDENT = frozenset({"self", "this", "cls", "super", "true", "false", "null", "None", "nil"})
_BUILT_IN_TYPES = frozenset({"primitive_type", "predefined_type", "integral_type", "void_type"})
# A string in the first place of one of these calls is a regular expression.
_REGEX_CALL = re.compile(
    r"(?:\b(?:re|regex|regexp|Regex|Regexp|RegExp|RegexBuilder|Pattern|RegexSet)"
    r"(?:(?:\.|::)\w+)?|\bpreg_\w+|\bstd::regex(?:\s+\w+)?|\.(?:matches|replaceAll|replaceFirst))"
    r"\s*[({]\s*[rRbBuU]*#*\"{0,3}'{0,3}`?\Z"
)
_PAIRS = frozenset({"pair", "block_mapping_pair", "flow_pair"})
_TABLES = frozenset({"table", "table_array_element"})


class SubjectKind(StrEnum):
    """The kinds of subjects."""

    NAME = "name"
    EXPRESSION = "expression"
    REGEX = "regex"
    KEY = "key"
    PROBLEM = "problem"
    SELECTION = "selection"


@dataclass(frozen=True, slots=True)
class Subject:
    """`text` is the name, the code, the pattern, the dotted key with its value, or the problem's
    message, at `span`. `line` is its line, `context` the span of the code shown with it."""

    kind: SubjectKind
    text: str
    span: Span
    line: str
    context: Span
    problem: Diagnostic | None = None


def subject_at(
    snapshot: Snapshot, parsed: Parsed | None, offset: int, problems: Sequence[Diagnostic] = ()
) -> Subject | None:
    """Return the subject at `offset`, None for none. A problem has precedence over the name that it
    is at, because the user points at its squiggle."""
    text = snapshot.text
    here = [p for p in problems if p.span.start <= offset <= max(p.span.end, p.span.start + 1)]
    if here:
        problem = min(here, key=lambda p: (p.span.end - p.span.start, p.span.start))
        return _subject(SubjectKind.PROBLEM, problem.message, problem.span, text, parsed, problem)
    if parsed is None or parsed.language.name in _PROSE:
        return None if snapshot.language in _PROSE or parsed is not None else _word(text, offset)
    path = _path(parsed, text, offset)
    if not path or any(node.type in parsed.language.comments for node in path):
        return None
    if parsed.language.name in _CONFIGURATION:
        return _key(parsed, path)
    if (pattern := _pattern(parsed, path)) is not None:
        return _subject(SubjectKind.REGEX, *_cut(parsed, pattern), text, parsed)
    if any(node.type in parsed.language.strings for node in path) and _is_plain(path):
        return None
    return _code(parsed, path)


def subject_of(snapshot: Snapshot, parsed: Parsed | None, span: Span) -> Subject | None:
    """Return the selected subject, or the one at an empty selection."""
    text = snapshot.text[span.start : span.end]
    if not text.strip():
        return subject_at(snapshot, parsed, span.start)
    if _WORD.match(text) and (found := subject_at(snapshot, parsed, span.start)) is not None:
        return found
    end = min(span.end, span.start + MAX_SELECTION_CHARS)
    whole = Span(span.start, end)
    return Subject(
        SubjectKind.SELECTION,
        snapshot.text[span.start : end],
        whole,
        line_at(snapshot.text, span.start),
        whole,
    )


def _subject(
    kind: SubjectKind,
    what: str,
    span: Span,
    text: str,
    parsed: Parsed | None,
    problem: Diagnostic | None = None,
) -> Subject:
    context = _context(text, parsed, span)
    return Subject(kind, what, span, line_at(text, span.start), context, problem)


def _context(text: str, parsed: Parsed | None, span: Span) -> Span:
    """Return the function around `span` if it is short enough, else whole lines around `span`."""
    unit = unit_at(parsed, text, span, "function")
    around = unit.span if unit.kind == "function" else Span(0, len(text))
    if around.end - around.start <= MAX_CONTEXT_CHARS:
        return around
    most = MAX_CONTEXT_CHARS if unit.kind == "function" else MAX_TOP_LEVEL_CHARS
    room = max(most - (span.end - span.start), 0) // 2
    start, end = max(span.start - room, around.start), min(span.end + room, around.end)
    if start > around.start:
        start = text.find("\n", start, span.start) + 1 or start
    if end < around.end:
        below = text.rfind("\n", span.end, end)
        end = end if below < 0 else below
    return Span(start, min(end, start + 2 * MAX_CONTEXT_CHARS))


def _word(text: str, offset: int) -> Subject | None:
    """Return the word at `offset` of a text without a tree."""
    start = end = offset
    while start and (text[start - 1].isalnum() or text[start - 1] in "_$"):
        start -= 1
    while end < len(text) and (text[end].isalnum() or text[end] in "_$"):
        end += 1
    word = text[start:end]
    if not _WORD.match(word) or word in _SELF_EVIDENT:
        return None
    return _subject(SubjectKind.NAME, word, Span(start, end), text, None)


def _path(parsed: Parsed, text: str, offset: int) -> list[tree_sitter.Node]:
    """Return the nodes around `offset`, or around the word that ends there."""
    at_end = offset >= len(text) or not (text[offset].isalnum() or text[offset] in "_$@")
    if offset and at_end and (text[offset - 1].isalnum() or text[offset - 1] in "_$"):
        offset -= 1
    if offset >= len(text) or text[offset].isspace():
        return []
    return parsed.path_to(offset)


def _key(parsed: Parsed, path: list[tree_sitter.Node]) -> Subject | None:
    """Return the dotted key at the place with its value: that of a pair, or the name of a table."""
    names: list[str] = []
    pair: tree_sitter.Node | None = None
    for node in reversed(path):
        if node.type in _PAIRS:
            pair = pair or node
        elif node.type not in _TABLES:
            continue
        key = node.child_by_field_name("key") or (node.named_children or [None])[0]
        if key is not None and key.type not in _PAIRS:
            names.insert(0, _source(parsed, key).strip("\"' "))
            pair = pair or key
    if pair is None or not names:
        return None
    value = _source(parsed, pair) if pair.type in _PAIRS else ""
    what = ".".join(names) + (f"\n{value[:MAX_VALUE_CHARS]}" if value else "")
    span = parsed.span(pair)
    return _subject(SubjectKind.KEY, what, span, parsed.text, parsed)


def _pattern(parsed: Parsed, path: list[tree_sitter.Node]) -> tree_sitter.Node | None:
    """Return the regular expression that holds the place."""
    for node in path:
        if node.type == "regex":
            return node
        if node.type in parsed.language.strings:
            start = parsed.offset(node.start_byte)
            before = parsed.text[max(0, start - MAX_CALL_CHARS) : start]
            return node if _REGEX_CALL.search(before) else None
    return None


def _is_plain(path: list[tree_sitter.Node]) -> bool:
    """Return whether the place is in a string's own text, not in interpolated code."""
    return "interpolation" not in " ".join(n.type for n in path) and not any(
        n.type in ("template_substitution", "format_expression") for n in path
    )


def _code(parsed: Parsed, path: list[tree_sitter.Node]) -> Subject | None:
    leaf = path[-1]
    if len(path) > 1 and path[-2].type == "variable_name":  # PHP's $name
        leaf = path[-2]
    word = _source(parsed, leaf)
    if word in _SELF_EVIDENT or any(node.type in _BUILT_IN_TYPES for node in path[-2:]):
        return None
    if leaf.is_named and _WORD.match(word):
        return _subject(SubjectKind.NAME, word, parsed.span(leaf), parsed.text, parsed)
    return _expression(parsed, path)


def _expression(parsed: Parsed, path: list[tree_sitter.Node]) -> Subject | None:
    """Return the smallest expression around a mark, a number or a keyword."""
    language = parsed.language
    for node in reversed(path[:-1]):
        if node.type in language.blocks or node.parent is None:
            return None
        if node.is_named and node.named_child_count and len(_source(parsed, node)) > 2:
            what, span = _cut(parsed, node)
            too_long = node.end_byte - node.start_byte > MAX_EXPRESSION_CHARS
            return (
                None
                if too_long
                else _subject(SubjectKind.EXPRESSION, what, span, parsed.text, parsed)
            )
    return None


def _cut(parsed: Parsed, node: tree_sitter.Node) -> tuple[str, Span]:
    return _source(parsed, node)[:MAX_EXPRESSION_CHARS], parsed.span(node)


def _source(parsed: Parsed, node: tree_sitter.Node) -> str:
    return parsed.source[node.start_byte : node.end_byte].decode("utf-8", "replace")
