"""A suggestion is shown as editors show ghost text."""

from __future__ import annotations

import pytest

from nearfield.cli.ghost import ghost_text
from nearfield.types import Span


@pytest.mark.parametrize(
    ("document", "suggestion", "shown", "ghost"),
    [
        # `|` is the cursor, `[...]` what the suggestion replaces.
        ("x = |", "1 + 2", ["1 │ x = ▏1 + 2"], "1 + 2"),
        ("a\nx = |\nb", "1", ["1 │ a", "2 │ x = ▏1", "3 │ b"], "1"),
        ("f(|)", "x, y", ["1 │ f(▏x, y)"], "x, y"),
        (
            "if a:\n    |\nb",
            "c\n    d",
            ["1 │ if a:", "2 │     ▏c", "  │     d", "3 │ b"],
            "c\n    d",
        ),
        # What is there already is not ghost text.
        ("[ret|]", "return x", ["1 │ ret▏urn x"], "urn x"),
        ("x = [f(|)]", "f(y)", ["1 │ x = f(▏y)"], "y"),
        ("[abc|]", "xyz", ["1 │ ▏xyz"], "xyz"),
        # Only the lines near the cursor; their numbers are the document's.
        (
            "1\n2\n3\n4\n5\n6|\n7\n8\n9\n10",
            "x",
            ["3 │ 3", "4 │ 4", "5 │ 5", "6 │ 6▏x", "7 │ 7", "8 │ 8"],
            "x",
        ),
        ("\tx = |", "1", ["1 │     x = ▏1"], "1"),
    ],
)
@pytest.mark.parametrize("language", ["", "python", "no such language"])
def test_ghost_text(
    document: str, suggestion: str, shown: list[str], ghost: str, language: str
) -> None:
    plain = document.replace("|", "")
    start = plain.index("[") if "[" in plain else document.index("|")
    offset = document.replace("[", "").index("|")
    text = plain.replace("[", "").replace("]", "")
    end = plain.index("]") - 1 if "[" in plain else start
    result = ghost_text(text, offset, suggestion, Span(start, end), language=language)
    assert result.plain.split("\n") == shown
    dimmed = [result.plain[s.start : s.end] for s in result.spans if "italic" in str(s.style)]
    assert "\n".join(dimmed) == ghost
