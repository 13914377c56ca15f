"""What goes on from the changes of several lines, and from one of several records."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.features.next_edit.editing import Typist, shown, tree_of

from nearfield.types import Span

CALLS = """\
def report(a, b):
    print(render(a))
    show(render(b))
    return 1


def other(c):
    # render(c) is slow
    text = "render(c)"
    return text, render(c, 2)


render(0)
"""
LIST = """\
ROWS = [
    ("a", 1),
    ("b", 2),
    ("c", 3),
    ("d", 4),
]
OTHER = [
    ("e", 5),
]
"""


def replace(typist: Typist, old: str, new: str, nth: int = 0) -> None:
    """Select the `nth` place of `old` and type `new` over it."""
    at = -1
    for _ in range(nth + 1):
        at = typist.text.index(old, at + 1)
    typist.edit(at, at + len(old), new)


def twice(typist: Typist, old: str, new: str) -> None:
    """Do the first two places of `old`."""
    replace(typist, old, new)
    replace(typist, old, new)


def test_a_change_made_twice_is_offered_wherever_the_same_is_meant() -> None:
    typist = Typist(CALLS)
    replace(typist, "render(a)", "paint(a)")
    assert typist.offered() == ()
    replace(typist, "render(b)", "paint(b)")
    found = typist.offered()
    assert shown(found, typist.text) == [(10, "render", "paint"), (13, "render", "paint")]
    assert {one.by for one in found} == {"series"}
    assert typist.accept_all().count("paint(") == 4


PLACES = {
    "python": (
        "def f(turns, left):\n    one = left\n    two = left\n    {three}\n    four = left\n",
        "turns = left",
    ),
    "typescript": (
        "function f(turns, left) {{\n  one = left;\n  two = left;\n  {three};\n"
        "  four = left;\n}}\n",
        "turns = left",
    ),
    "go": (
        "package m\n\nfunc f(turns, left int) {{\n\tone = left\n\ttwo = left\n\t{three}\n"
        "\tfour = left\n}}\n",
        "turns = left",
    ),
    "rust": (
        "fn f(turns: u8, left: u8) {{\n    one = left;\n    two = left;\n    {three};\n"
        "    four = left;\n}}\n",
        "turns = left",
    ),
}


@pytest.mark.parametrize("language", PLACES)
def test_nothing_is_given_to_itself(language: str) -> None:
    code, three = PLACES[language]
    typist = Typist(code.format(three=three), language)
    replace(typist, "one = left", "one = turns")
    replace(typist, "two = left", "two = turns")
    assert [old for _, old, _ in shown(typist.offered(), typist.text)] == ["left"]
    after = typist.accept_all()
    assert "four = turns" in after
    assert three in after
    # Elsewhere it is another thing.
    typist = Typist(code.format(three="other = left"), language)
    replace(typist, "one = left", "one = turns")
    replace(typist, "two = left", "two = turns")
    assert typist.accept_all().count("= turns") == 4


def test_a_series_ends_when_a_change_is_undone_or_dismissed() -> None:
    typist = Typist(CALLS)
    twice(typist, "render(", "paint(")
    first, second = typist.offered()
    assert typist.edits.dismiss(first.id)
    assert [one.id for one in typist.offered()] == [second.id]
    replace(typist, "paint(b)", "render(b)")
    assert typist.offered() == ()


def test_an_accepted_and_undone_edit_is_not_offered_again() -> None:
    typist = Typist(CALLS)
    twice(typist, "render(", "paint(")
    first, second = typist.offered()
    typist.accept(first)
    assert [one.id for one in typist.offered()] == [second.id]
    typist.edit(first.span.start, first.span.start + len(first.new), first.old)
    assert [one.id for one in typist.offered()] == [second.id]


def test_skipping_a_place_offers_no_series() -> None:
    typist = Typist("f(render(1))\nf(render(2))\nf(render(3))\nf(render(4))\n")
    replace(typist, "render(1)", "paint(1)")
    replace(typist, "render(3)", "paint(3)")
    assert typist.offered() == ()


@pytest.mark.parametrize("first", [0, 1])
def test_a_list_is_continued_below_alone(first: int) -> None:
    """Without a name that says what is meant; one begun further down stays."""
    typist = Typist(LIST)
    for row in (first, first + 1):
        replace(typist, f"{row + 1})", f"{row + 1}, None)")
    lines = [line for line, _, _ in shown(typist.offered(), typist.text)]
    assert lines == ([4, 5] if first == 0 else [])


def test_cases_with_lines_between_are_one_list() -> None:
    code = (
        'switch (kind) {\n  case "a":\n    go();\n    break;\n  case "b":\n    stay();\n'
        '  case "c":\n    halt();\n    break;\n}\n'
    )
    typist = Typist(code, "typescript")
    replace(typist, '"a"', "Kind.A")
    replace(typist, '"b"', "Kind.B")
    assert shown(typist.offered(), typist.text) == [(7, '"c"', "Kind.C")]


def test_a_whole_line_that_was_the_same_twice() -> None:
    line = "    return None, error\n"
    code = f"def f():\n{line}    x()\n{line}    y()\n{line}"
    typist = Typist(code)
    twice(typist, "return None, error", "raise Failed(error)")
    assert shown(typist.offered(), typist.text) == [
        (6, "return None, error", "raise Failed(error)")
    ]


WORDS = st.sampled_from(
    ["render", "(", ")", "a", ",", "1", "=", ".", "[", "]", '"', ":", " ", "\n"]
)
TEXTS = st.lists(WORDS, max_size=60).map("".join)


@given(
    text=TEXTS,
    language=st.sampled_from(["python", "typescript", "go"]),
    edits=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 4), TEXTS), max_size=6),
)
def test_whatever_is_typed_an_offer_that_is_taken_adds_no_error(
    text: str, language: str, edits: list[tuple[int, int, str]]
) -> None:
    code = "render(1)\nx = render(2)\ny = render(3)\n" + text + "\nz = [render(4), render(5)]\n"
    typist = Typist(code, language)
    twice(typist, "render(", "view.paint(")
    for start, length, new in edits:
        at = min(start + 12, len(typist.text))
        typist.edit(at, min(at + length, len(typist.text)), new)
    before = tree_of(language, typist.text)
    assert before is not None
    for one in typist.offered():
        assert typist.text[one.span.start : one.span.end] == one.old
        after = tree_of(
            language, typist.text[: one.span.start] + one.new + typist.text[one.span.end :]
        )
        assert after is not None
        if one.by == "series":
            worse = after.errors(Span(0, len(after.text))) - before.errors(
                Span(0, len(before.text))
            )
            assert worse <= 0 or not after.root.has_error


EXTRACTED = """\
class Cart:
    def sum(self):
        found = max(0, self.shop.prices)
        first = least(self.shop.prices)
        rest = sum(self.shop.prices)
        return first, rest, mean(self.shop.prices)

    def count(self):
        return len(self.shop.prices)
"""


def test_a_variable_that_is_taken_out_is_offered_where_it_is_known() -> None:
    """Not where it is given its value, and not in the other method."""
    typist = Typist(EXTRACTED)
    for line in ("least(", "sum(self.shop"):
        at = typist.find(line) + line.index("(") + 1
        typist.edit(at, at + len("self.shop.prices"), "found")
    found = typist.offered()
    assert shown(found, typist.text) == [(6, "self.shop.prices", "found")]
