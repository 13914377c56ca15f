"""Checks of an answer before it becomes an edit, with complaints that a model can act on.

An edit must parse where the document did, keep the signature unless it was to be changed, drop no
definition, and change something. A complaint is sent back to the model once.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections import Counter

import tree_sitter

from nearfield.features.code_actions.layout import is_docstring
from nearfield.syntax.definitions import form_of, is_local, named_scopes, outermost
from nearfield.syntax.differences import changed_span
from nearfield.syntax.parser import Parsed
from nearfield.types import Edit

__all__ = [
    "altered",
    "empty_bodies",
    "first_error",
    "is_contained",
    "is_elided",
    "is_ill_indented",
    "is_same_code",
    "reparsed",
]

_ELISION = re.compile(
    # Possessive quantifiers, so that white space is not matched in another way on failure.
    r"^[ \t]*+(?:(?:#|//|/\*|--|;)[ \t]*+)?(?:(?:\.\.\.|…)[ \t]*+)?"
    r"(?:(?:the )?(?:rest|remainder) of|(?:existing|previous|original|same|other|remaining|your) "
    r"(?:code|implementation|logic|methods?|functions?|as (?:above|before)))\b.*$",
    re.IGNORECASE | re.MULTILINE,
)
"""A remark in place of code that was left out."""


def is_elided(before: str, after: str) -> bool:
    """Return whether `after` leaves code out with a remark that `before` does not have."""
    return any(match[0].strip() not in before for match in _ELISION.finditer(after))


def reparsed(parsed: Parsed, text: str) -> Parsed | None:
    """Return the tree of `text`, a changed form of the text of `parsed`; None if it takes too
    long."""
    if parsed.text == text:
        return parsed
    span, length = changed_span(parsed.text, text)
    return parsed.edited(Edit(span, text[span.start : span.start + length]))


def first_error(parsed: Parsed | None, under: tree_sitter.Node | None = None) -> str:
    """Return in words where the first syntax error is, in all of the text or under a node; "" for
    none. None stands for a text that takes too long to parse."""
    if parsed is None:
        return "it takes too long to parse"
    node: tree_sitter.Node | None = under or parsed.root
    while node is not None and not (node.is_error or node.is_missing):
        node = next((child for child in node.children if child.has_error), None)
    if node is None:
        return ""
    row = node.start_point.row
    lines = parsed.source.split(b"\n")
    line = lines[row].decode("utf-8", "replace").strip() if row < len(lines) else ""
    what = f"'{node.type}' is missing" if node.is_missing else "there is a syntax error"
    return f"{what} at the line `{line[:120]}`"


def is_ill_indented(unit: str, indent: str) -> bool:
    """Return whether Python refuses the indentation of `unit`, which its grammar here accepts."""
    code = f"if True:\n{unit}" if indent else unit
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(code)
    except IndentationError:
        return True
    except (SyntaxError, ValueError):
        return False  # the tree finds other errors
    return False


def empty_bodies(parsed: Parsed) -> int:
    """Return the number of definitions with an empty body, which Python's grammar here accepts."""
    if not parsed.language.indented:
        return 0
    bodies = [node.child_by_field_name("body") for _, node in named_scopes(parsed)]
    return sum(body is not None and not body.named_children for body in bodies)


def altered(before: Parsed, after: Parsed, *, defaults: bool = True) -> list[str]:
    """Return the names of the functions whose signature is not in `after` as it was in `before`;
    without `defaults` their values may differ."""
    kept = Counter(text for _, text in _signatures(after, defaults))
    gone: list[str] = []
    for name, text in _signatures(before, defaults):
        if kept[text]:
            kept[text] -= 1
        elif name not in gone:
            gone.append(name)
    return gone


def is_same_code(before: Parsed, after: Parsed) -> bool:
    """Return whether two texts differ in nothing but comments, docstrings and white space."""
    return _code(before) == _code(after)


def is_contained(before: Parsed, after: Parsed) -> bool:
    """Return whether `after` has all the code of `before` in its order, and perhaps more of it."""
    rest = iter([text for _, text in _code(after)])
    return all(text in rest for _, text in _code(before))


def _code(parsed: Parsed) -> list[tuple[int, bytes]]:
    """Return the leaves of the tree that are code, each with its depth."""
    found: list[tuple[int, bytes]] = []
    pending = [(parsed.root, 0)]
    while pending:
        node, depth = pending.pop()
        is_text = node.type == "string" and is_docstring(node)
        if node.type in parsed.language.comments or is_text:
            continue
        if node.type in parsed.language.strings or not node.children:
            found.append((depth, parsed.source[node.start_byte : node.end_byte].strip()))
        else:
            pending.extend((child, depth + 1) for child in reversed(node.children))
    return [one for one in found if one[1]]


def _signatures(parsed: Parsed, defaults: bool) -> list[tuple[str, str]]:
    """Return the name and the declaration, without blanks, of each function."""
    found: list[tuple[str, str]] = []
    for name, node in named_scopes(parsed):
        if node.type in parsed.language.functions and not is_local(parsed, node):
            whole = outermost(node)
            form = form_of(parsed, node, whole.start_byte, whole.end_byte)
            declared = form.signature if defaults else form.interface
            found.append((name, re.sub(r"\s+", "", form.lead) + declared))
    return found
