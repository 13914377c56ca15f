"""What a model's answer holds: the code in it, without prose, fences and whatever else it wrote.

Small models answer in many forms: a fenced block, several of them, bare code, the function alone
or the whole file around it with examples of its use. What counts is the definition of the name that
was asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import tree_sitter

from nearfield.features.code_actions.check import first_error
from nearfield.syntax.definitions import Form, form_of, named_scopes, outermost
from nearfield.syntax.languages import Language
from nearfield.syntax.parser import Parsed, parse

__all__ = ["Answer", "blocks", "definition", "read"]

_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})([^\n`]*)\n(.*?)(?:^[ \t]*\1[ \t]*$|\Z)", re.S | re.M)
_PROSE = re.compile(r"^(?:here(?:'s| is| are)|sure|certainly|the (?:bug|problem|issue|fix)|to fix"
                    r"|this (?:code|function)|i )", re.IGNORECASE)  # fmt: skip
HOLDERS = {
    "typescript": ("class Holder {\n", "\n}"),
    "typescriptreact": ("class Holder {\n", "\n}"),
    "javascript": ("class Holder {\n", "\n}"),
    "java": ("class Holder {\n", "\n}"),
    "csharp": ("class Holder {\n", "\n}"),
    "php": ("<?php\nclass Holder {\n", "\n}"),
    "kotlin": ("class Holder {\n", "\n}"),
    "swift": ("class Holder {\n", "\n}"),
    "scala": ("class Holder {\n", "\n}"),
}
"""What must be around a method for it to parse."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`code` is what stands for the unit, `form` the same in its parts where it is a definition;
    `broken` says where it does not parse, `others` are definitions beside it, by name, `imports`
    the import statements."""

    code: str
    form: Form | None = None
    broken: str = ""
    others: tuple[tuple[str, str], ...] = ()
    imports: tuple[str, ...] = ()


def read(text: str, language: Language | None, name: str = "") -> Answer | None:
    """The code in an answer that defines `name`, or, with no name, all the code; None when there is
    none."""
    found = [block for block in blocks(text) if block.strip()]
    if language is None or not name:
        return Answer(max(found, key=len).strip("\n")) if found else None
    for block in found:
        if (answer := definition(block, language, name)) is not None:
            return answer
    return None


def blocks(text: str) -> Iterator[str]:
    """The fenced blocks of `text`; without any, `text` from its first line that is not prose."""
    text = _unix(text)
    fenced = [match[3] for match in _FENCE.finditer(text)]
    if fenced:
        yield from fenced
        return
    lines = text.split("\n")
    while lines and (not lines[0].strip() or _PROSE.match(lines[0].strip())):
        del lines[0]
    yield "\n".join(lines).strip("\n")


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def definition(block: str, language: Language, name: str) -> Answer | None:
    """The definition of `name` in `block`, as a whole; None when it has none."""
    for before, behind in (("", ""), HOLDERS.get(language.name, ("", ""))):
        parsed = parse(language, before + block + behind)
        if parsed is None:
            return None
        scopes = named_scopes(parsed)
        found = [node for one, node in scopes if one == name]
        if found:
            # Of several the last: models write a wrong one first and correct themselves.
            best = next((n for n in reversed(found) if not n.has_error), found[-1])
            return _answer(parsed, best, scopes)
    return None


def _answer(
    parsed: Parsed, node: tree_sitter.Node, scopes: list[tuple[str, tree_sitter.Node]]
) -> Answer:
    whole = outermost(node)
    others: list[tuple[str, str]] = []
    for name, other in scopes:
        outer = outermost(other)
        if outer.parent == parsed.root and other != node and not _holds(outer, whole):
            others.append((name, _lines(parsed, outer)))
    imports = [
        _lines(parsed, child)
        for child in parsed.root.named_children
        if child.type in parsed.language.imports and not child.has_error
    ]
    form = form_of(parsed, node, *_bytes(parsed, whole))
    broken = first_error(parsed, whole) if whole.has_error else ""
    return Answer(form.text, form, broken, tuple(others), tuple(imports))


def _lines(parsed: Parsed, node: tree_sitter.Node) -> str:
    start, end = _bytes(parsed, node)
    return parsed.source[start:end].decode("utf-8", "replace")


def _bytes(parsed: Parsed, node: tree_sitter.Node) -> tuple[int, int]:
    """Where `node` is with the white space before it on its line and the mark behind it."""
    start, end = node.start_byte, node.end_byte
    while start and parsed.source[start - 1 : start] in (b" ", b"\t"):
        start -= 1
    while end > start and parsed.source[end - 1 : end].isspace():
        end -= 1
    if parsed.source[end : end + 1] == b";":
        end += 1
    return start, end


def _holds(outer: tree_sitter.Node, inner: tree_sitter.Node) -> bool:
    return outer.start_byte <= inner.start_byte and inner.end_byte <= outer.end_byte
