"""Of a long file a small context is shown an outline and what the question is about."""

from __future__ import annotations

import pytest

from nearfield.features.excerpt import excerpt

FUNCTIONS = [
    f"def step_{number}(value):\n    # Do one thing.\n    return value + {number}\n\n\n"
    for number in range(300)
]
FUNCTIONS[211] = "def parse_tariff(text):\n    return [float(part) for part in text.split()]\n\n\n"
LONG = "".join(FUNCTIONS)


def test_a_file_that_fits_is_shown_whole() -> None:
    found = excerpt("x = 1\n", "a.py", "what?", 100)
    assert ([piece.text for piece in found.pieces], found.note) == (["x = 1\n"], "")


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_what_the_question_names_is_shown_with_an_outline(line_end: str) -> None:
    text = LONG.replace("\n", line_end)
    found = excerpt(text, "a.py", "how does parse_tariff read its text?", 3_000)
    shown = "".join(piece.text for piece in found.pieces)
    assert len(shown) < 4_000
    assert "return [float(part)" in shown
    assert "def step_0(value):" in shown and "left out)" in shown
    assert found.total == LONG.count("\n") and f"{found.total} lines" in found.note
    for piece in found.pieces:
        if piece.span is not None:
            assert text[piece.span.start : piece.span.end] == piece.text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("notes.md", "# Part\n\nSome words here.\n\n" * 500),
        ("data.unknown", "a b c\n\n" * 5_000),
        ("min.js", "var a=1;" * 10_000),
        ("empty.py", "\n" * 9_000),
    ],
)
def test_any_text_is_cut_to_the_room(name: str, text: str) -> None:
    found = excerpt(text, name, "parse_tariff", 2_000)
    assert sum(len(piece.text) for piece in found.pieces) < 3_000
    assert found.note
