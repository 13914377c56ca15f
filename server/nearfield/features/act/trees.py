"""Changes that need no model: the tree says what is safe."""

from __future__ import annotations

from nearfield.errors import EditRefused
from nearfield.features.act.proposal import Change, Wish
from nearfield.syntax.parser import Parsed
from nearfield.types import Snapshot, Span

TREE_ACTIONS: dict[str, str] = {}


def offers(
    snapshot: Snapshot, parsed: Parsed | None, span: Span
) -> list[tuple[str, str, str, bool]]:
    """x."""
    return []


def tree_changes(wish: Wish, parsed: Parsed | None) -> tuple[Change, ...]:
    """x."""
    raise EditRefused("no")
