"""Edits that say nothing: the text stays as it is, or something is given to itself."""

from __future__ import annotations

import pytest
from tests.unit.features.next_edit.editing import tree_of

from nearfield.features.next_edit.no_change import changes_nothing
from nearfield.types import Edit, Span


def says_nothing(language: str, text: str, old: str, new: str) -> bool:
    """Whether the last `old` of `text` as `new` changes nothing."""
    now = tree_of(language, text)
    assert now is not None
    at = text.rindex(old)
    return changes_nothing(now, Edit(Span(at, at + len(old)), new))


@pytest.mark.parametrize(
    ("language", "text", "old", "new"),
    [
        ("python", "turns = left\n", "left", "left"),
        ("python", "turns = left\n", "left", "turns"),
        ("python", "def f():\n    if left: self.turns = self.left\n", "left", "turns"),
        ("python", "rows[turn] = 1  # one\n", "1", "rows[turn]"),
        ("typescript", "this.turns = left;\n", "left", "this.turns"),
        ("go", "package m\n\nfunc f() {\n\tturns = left\n}\n", "left", "turns"),
        ("rust", "fn f() {\n    self.turns = left;\n}\n", "left", "self.turns"),
        ("java", "class A { void f() { turns = left; } }\n", "left", "turns"),
    ],
)
def test_the_same_and_what_is_given_to_itself(language: str, text: str, old: str, new: str) -> None:
    assert says_nothing(language, text, old, new)


@pytest.mark.parametrize(
    ("language", "text", "old", "new"),
    [
        ("python", "turns = left\n", "left", "right"),
        ("python", "call(turns=left)\n", "left", "turns"),
        ("python", "call(\n    turns=left\n)\n", "left", "turns"),
        ("python", "def f(turns=left): ...\n", "left", "turns"),
        # The class gets one of its own.
        ("python", "class A:\n    turns = left\n", "left", "turns"),
        ("python", "turns = left.right\n", "left", "turns"),
        ("python", "if turns == left: ...\n", "left", "turns"),
        ("python", "text = 'turns = left'\n", "left", "turns"),
        ("python", "# turns = left\n", "left", "turns"),
        ("typescript", "const turns = left;\n", "left", "turns"),
        ("go", "package m\n\nfunc f() {\n\tturns := left\n}\n", "left", "turns"),
        ("rust", "fn f() {\n    let turns = left;\n}\n", "left", "turns"),
    ],
)
def test_what_changes_something(language: str, text: str, old: str, new: str) -> None:
    assert not says_nothing(language, text, old, new)
