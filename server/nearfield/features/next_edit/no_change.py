"""Edits that say nothing: they leave the text as it is, or give something to itself."""

from __future__ import annotations

import re

import tree_sitter

from nearfield.files.lines import line_end, line_start
from nearfield.syntax.parser import Parsed
from nearfield.types import Edit, Span

__all__ = ["changes_nothing", "gives_to_itself"]

_TO_ITSELF = re.compile(r"(?<![\w.\]])(\w[\w.\[\]]*)\s*=\s*\1(?![\w.(\[])")
"""What may be an assignment of something to itself; the tree tells."""
_ASSIGNMENTS = frozenset({"assignment", "assignment_expression", "assignment_statement"})
"""No declarations: `let a = a` and `a := a` make another variable."""


def changes_nothing(now: Parsed, edit: Edit) -> bool:
    """Return whether the text says the same after `edit`, or something is given to itself by it."""
    if edit.text == now.text[edit.span.start : edit.span.end]:
        return True
    before = now.text[line_start(now.text, edit.span.start) : edit.span.start]
    behind = now.text[edit.span.end : line_end(now.text, edit.span.end)]
    if _TO_ITSELF.search(before + edit.text + behind) is None:
        return False
    after = now.edited(edit)
    put = Span(edit.span.start, edit.span.start + len(edit.text))
    return after is not None and gives_to_itself(after, put)


def gives_to_itself(after: Parsed, put: Span) -> bool:
    """Return whether a line of `after` that `put` is in has an assignment of something to itself,
    which is more than a name in a class's own body."""
    first, last = line_start(after.text, put.start), line_end(after.text, put.end)
    for match in _TO_ITSELF.finditer(after.text, first, last):
        path = after.path_to(match.start())
        if any(map(_is_to_itself, path)) and not any(map(_is_class_attribute, path)):
            return True
    return False


def _is_to_itself(node: tree_sitter.Node) -> bool:
    left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
    alike = left is not None and right is not None and left.text == right.text
    return node.type in _ASSIGNMENTS and alike


def _is_class_attribute(node: tree_sitter.Node) -> bool:
    """Return whether it is a statement of a class's body in Python: a name of outside may be given
    to the class."""
    body = node.parent if node.type == "expression_statement" else None
    holder = body.parent if body is not None and body.type == "block" else None
    return holder is not None and holder.type == "class_definition"
