"""Whether an answer may become an edit: what is wrong with it, in words that a model can act on.

An edit must parse where the document did, keep the signature unless it was to be changed, drop no
definition, and change something. What these checks say goes back to the model once.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections import Counter

import tree_sitter

from nearfield.syntax.definitions import form_of, is_local, named_scopes, outermost
from nearfield.syntax.differences import changed_span
from nearfield.syntax.parser import Parsed
from nearfield.types import Edit

__all__ = ["altered", "elided", "first_error", "hollow", "ill_indented", "reparsed"]

_ELISION = re.compile(
    # Possessive: white space that was passed is not tried in another way.
    r"^[ \t]*+(?:(?:#|//|/\*|--|;)[ \t]*+)?(?:(?:\.\.\.|…)[ \t]*+)?"
    r"(?:(?:the )?(?:rest|remainder) of|(?:existing|previous|original|same|other|remaining|your) "
    r"(?:code|implementation|logic|methods?|functions?|as (?:above|before)))\b.*$",
    re.IGNORECASE | re.MULTILINE,
)
"""A remark that stands for code that was left out."""


def elided(before: str, after: str) -> bool:
    """Return whether `after` leaves code out with a remark that `before` does not have."""
    return any(match[0].strip() not in before for match in _ELISION.finditer(after))


def reparsed(parsed: Parsed, text: str) -> Parsed | None:
    """The tree of `text`, which `parsed` has become."""
    if parsed.text == text:
        return parsed
    span, length = changed_span(parsed.text, text)
    return parsed.edited(Edit(span, text[span.start : span.start + length]))


def first_error(parsed: Parsed, under: tree_sitter.Node | None = None) -> str:
    """Where the first syntax error is, of all or under a node, in words; "" for none."""
    node = _first_broken(under or parsed.root)
    if node is None:
        return ""
    row = node.start_point.row
    lines = parsed.source.split(b"\n")
    line = lines[row].decode("utf-8", "replace").strip() if row < len(lines) else ""
    what = f"'{node.type}' is missing" if node.is_missing else "there is a syntax error"
    return f"{what} at the line `{line[:120]}`"


def ill_indented(unit: str, indent: str) -> bool:
    """Return whether Python refuses the indentation of `unit`, which its grammar here lets pass."""
    code = f"if True:\n{unit}" if indent else unit
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(code)
    except IndentationError:
        return True
    except (SyntaxError, ValueError):
        return False  # what else may be wrong is the tree's business
    return False


def hollow(parsed: Parsed) -> int:
    """How many definitions have a body with nothing in it, which Python's grammar lets pass."""
    if not parsed.language.indented:
        return 0
    bodies = [node.child_by_field_name("body") for _, node in named_scopes(parsed)]
    return sum(body is not None and not body.named_children for body in bodies)


def altered(before: Parsed, after: Parsed) -> list[str]:
    """The names of the functions whose signature `after` does not have as `before` has it."""
    kept = Counter(text for _, text in _signatures(after))
    gone: list[str] = []
    for name, text in _signatures(before):
        if kept[text]:
            kept[text] -= 1
        elif name not in gone:
            gone.append(name)
    return gone


def _signatures(parsed: Parsed) -> list[tuple[str, str]]:
    """The name of each function, and how it is declared, without blanks."""
    found: list[tuple[str, str]] = []
    for name, node in named_scopes(parsed):
        if node.type in parsed.language.functions and not is_local(parsed, node):
            whole = outermost(node)
            form = form_of(parsed, node, whole.start_byte, whole.end_byte)
            found.append((name, re.sub(r"\s+", "", form.lead) + form.signature))
    return found


def _first_broken(root: tree_sitter.Node) -> tree_sitter.Node | None:
    node: tree_sitter.Node | None = root
    while node is not None and node.has_error:
        if node.is_error or node.is_missing:
            return node
        node = next((child for child in node.children if child.has_error), None)
    return None
