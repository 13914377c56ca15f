"""The actions that need no model, because the tree says what is safe: when they are offered, and
what they come to. The outcome is parsed once more before anybody sees it."""

from __future__ import annotations

from typing import NamedTuple

from nearfield.errors import EditRefused
from nearfield.features.code_actions.extract import (
    expression_at,
    extracted_function,
    extracted_variable,
    statements_at,
)
from nearfield.features.code_actions.hunks import applied
from nearfield.features.code_actions.inline import inlinable, inlined
from nearfield.features.code_actions.proposal import ActionRequest, Change
from nearfield.features.code_actions.rename import renamable, renamed
from nearfield.syntax.parser import Parsed, parse
from nearfield.syntax.scopes import SUPPORTED
from nearfield.types import Span

__all__ = ["TREE_ACTIONS", "TreeOffer", "offered", "tree_changes"]

RENAME = "rename"
TREE_ACTIONS = {
    RENAME: "refactor.rewrite",
    "inline_variable": "refactor.inline",
    "extract_variable": "refactor.extract",
    "extract_function": "refactor.extract",
}
"""Each action and its kind."""


class TreeOffer(NamedTuple):
    """An action, its title, whether the user must type a name first, and why it cannot be done
    here ("" where it can)."""

    action: str
    title: str
    asks: bool = False
    why: str = ""


def offered(parsed: Parsed | None, span: Span) -> list[TreeOffer]:
    """What can be done at `span`."""
    if parsed is None or parsed.language.name not in SUPPORTED or parsed.root.has_error:
        return []
    found: list[TreeOffer] = []
    if span.start == span.end:
        if (scope := renamable(parsed, span)) is not None:
            title = f"Rename `{scope.name}` in this function …"
            found.append(TreeOffer(RENAME, title, asks=True))
        if (variable := inlinable(parsed, span)) is not None:
            found.append(TreeOffer("inline_variable", f"Inline `{variable.scope.name}`"))
        return found
    if expression_at(parsed, span) is not None:
        found.append(TreeOffer("extract_variable", "Extract as a variable"))
    if statements_at(parsed, span) is not None:
        why = _why_not(parsed, span)
        found.append(TreeOffer("extract_function", "Extract as a function", why=why))
    return found


def tree_changes(wish: ActionRequest, parsed: Parsed | None) -> tuple[Change, ...]:
    """The edits of a tree action. Raises `EditRefused` when it is not certainly safe."""
    if parsed is None or parsed.language.name not in SUPPORTED:
        raise EditRefused("This is not known for the language.")
    if parsed.root.has_error:
        raise EditRefused("The file does not parse.", "Correct it first.")
    name = wish.instruction.strip()
    if wish.action == RENAME:
        changes = renamed(parsed, wish.span, name)
    elif wish.action == "inline_variable":
        changes = inlined(parsed, wish.span)
    elif wish.action == "extract_variable":
        changes = extracted_variable(parsed, wish.span, name)
    else:
        changes = extracted_function(parsed, wish.span, name)
    after = parse(parsed.language, applied(parsed.text, [change.edit for change in changes]))
    if after is None or after.root.has_error:
        raise EditRefused("It would not parse afterwards, so nothing is changed.")
    return changes


def _why_not(parsed: Parsed, span: Span) -> str:
    """Why the statements at `span` cannot become a function, "" when they can."""
    try:
        extracted_function(parsed, span)
    except EditRefused as refused:
        return refused.message
    return ""
