"""The code in a model's answer, without prose, fences and other additions.

Small models answer in many forms: a fenced block, several of them, bare code, the function alone or
the whole file with examples of its use. The definition of the requested name is what counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import tree_sitter

from nearfield.features.code_actions.check import first_error
from nearfield.files.lines import plain_breaks
from nearfield.syntax.definitions import DefinitionParts, form_of, named_scopes, outermost
from nearfield.syntax.languages import Language
from nearfield.syntax.parser import Parsed, parse

__all__ = ["ExtractedCode", "blocks", "definition", "extracted"]

_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})([^\n`]*)\n(.*?)(?:^[ \t]*\1[ \t]*$|\Z)", re.S | re.M)
_PROSE = re.compile(r"^(?:here(?:'s| is| are)|sure|certainly|the (?:bug|problem|issue|fix)|to fix"
                    r"|this (?:code|function)|i )", re.IGNORECASE)  # fmt: skip
_CLASS = ("class Holder {\n", "\n}")
HOLDERS = {
    **dict.fromkeys(("typescript", "typescriptreact", "javascript", "java", "csharp"), _CLASS),
    **dict.fromkeys(("kotlin", "swift", "scala"), _CLASS),
    "php": ("<?php\nclass Holder {\n", "\n}"),
}
"""The text before and after a method that makes it parse."""


@dataclass(frozen=True, slots=True)
class ExtractedCode:
    """`code` replaces the unit; `form` has its parts if it is a definition. `broken` says where it
    does not parse. `others` are further definitions, by name, `imports` the import statements."""

    code: str
    form: DefinitionParts | None = None
    broken: str = ""
    others: tuple[tuple[str, str], ...] = ()
    imports: tuple[str, ...] = ()


def extracted(text: str, language: Language | None, name: str = "") -> ExtractedCode | None:
    """Return the code in an answer that defines `name`, all the code if there is no name, and None
    if there is none."""
    found = [block for block in blocks(text) if block.strip()]
    if language is None or not name:
        return ExtractedCode(max(found, key=len).strip("\n")) if found else None
    return next(filter(None, (definition(block, language, name) for block in found)), None)


def blocks(text: str) -> Iterator[str]:
    """Yield the fenced blocks of `text`; without any, `text` from its first line that is not
    prose."""
    text = plain_breaks(text)
    fenced = [match[3] for match in _FENCE.finditer(text)]
    if fenced:
        yield from fenced
        return
    lines = text.split("\n")
    while lines and (not lines[0].strip() or _PROSE.match(lines[0].strip())):
        del lines[0]
    yield "\n".join(lines).strip("\n")


def definition(block: str, language: Language, name: str) -> ExtractedCode | None:
    """Return the definition of `name` in `block`; None if it has none."""
    for before, after in (("", ""), HOLDERS.get(language.name, ("", ""))):
        parsed = parse(language, before + block + after)
        if parsed is None:
            return None
        scopes = named_scopes(parsed)
        if found := [node for one, node in scopes if one == name]:
            # The last of several: models write a wrong one first and correct themselves.
            best = next((n for n in reversed(found) if not n.has_error), found[-1])
            return _code_of(parsed, best, scopes)
    return None


def _code_of(
    parsed: Parsed, node: tree_sitter.Node, scopes: list[tuple[str, tree_sitter.Node]]
) -> ExtractedCode:
    whole = outermost(node)
    others: list[tuple[str, str]] = []
    for name, other in scopes:
        outer = outermost(other)
        holds = outer.start_byte <= whole.start_byte and whole.end_byte <= outer.end_byte
        if outer.parent == parsed.root and other != node and not holds:
            others.append((name, _text(parsed, outer)))
    imports = [
        _text(parsed, child)
        for child in parsed.root.named_children
        if child.type in parsed.language.imports and not child.has_error
    ]
    form = form_of(parsed, node, *_bytes(parsed, whole))
    broken = first_error(parsed, whole) if whole.has_error else ""
    return ExtractedCode(form.text, form, broken, tuple(others), tuple(imports))


def _text(parsed: Parsed, node: tree_sitter.Node) -> str:
    start, end = _bytes(parsed, node)
    return parsed.source[start:end].decode("utf-8", "replace")


def _bytes(parsed: Parsed, node: tree_sitter.Node) -> tuple[int, int]:
    """Return the bytes of `node` with the white space before it on its line and a semicolon after
    it."""
    start, end = node.start_byte, node.end_byte
    while start and parsed.source[start - 1 : start] in (b" ", b"\t"):
        start -= 1
    while end > start and parsed.source[end - 1 : end].isspace():
        end -= 1
    if parsed.source[end : end + 1] == b";":
        end += 1
    return start, end
