"""What the model is shown: whole when it fits, whole lines when not, and steady while one types."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfield.context.slice import Slice, SliceBudget, build
from nearfield.syntax.languages import language_for
from nearfield.syntax.parser import parse
from nearfield.types import Selected, Snapshot, Span, Window

METHOD = """
    def method_{n}(self, value):
        result = value + {n}
        if result > 10:
            result = self.other(
                result,
                value,
            )
        return result
"""
LONG = "import os\nimport sys\n\n# A comment.\n\n\nclass Thing(Base):\n" + "".join(
    METHOD.format(n=n) for n in range(40)
)
SMALL = SliceBudget(tokens=300)


def cut(
    text: str,
    offset: int,
    budget: SliceBudget = SMALL,
    window: Window | None = None,
    language: str = "python",
    selected: Selected | None = None,
) -> Slice:
    row = language_for(language)
    parsed = parse(row, text) if row else None
    snapshot = Snapshot("file:///r/pkg/a.py", language, 1, text, "/r/pkg/a.py", "/r")
    return build(snapshot, parsed, offset, budget, window, selected)


def test_a_document_that_fits_is_shown_whole_and_exact() -> None:
    text = "import os\n\n\ndef f(a):\n    retur\n\n\nf(1)\n"
    offset = text.index("retur") + 5
    found = cut(text, offset)
    assert (found.prefix, found.suffix) == (text[:offset], text[offset:])
    assert found.typed == "    retur"


def test_windows_line_breaks_become_newlines() -> None:
    text = "a = 1\r\nb = 2\r\n"
    found = cut(text, text.index("b") + 1)
    assert (found.prefix, found.suffix, found.typed) == ("a = 1\nb", " = 2\n", "b")


def test_a_long_document_keeps_imports_and_the_enclosing_signatures() -> None:
    offset = LONG.index("return result", len(LONG) // 2)
    found = cut(LONG, offset)
    head, _, lines = found.prefix.partition("class Thing(Base):\n")
    assert head == "import os\nimport sys\n\n"
    assert LONG[:offset].endswith(lines)
    assert LONG[offset:].startswith(found.suffix)


def test_signatures_over_several_lines_are_kept_whole() -> None:
    body = "".join(f"    x{i} = {i}\n" for i in range(200))
    text = f"def f(\n    a: int,\n    b: int,\n) -> int:\n{body}"
    found = cut(text, text.index("x150"))
    assert found.prefix.startswith("def f(\n    a: int,\n    b: int,\n) -> int:\n    x")


def test_braces_open_in_the_signature() -> None:
    body = "".join(f"    let x{i} = {i};\n" for i in range(200))
    text = f"class A {{\n  f(a) {{\n{body}  }}\n}}\n"
    found = cut(text, text.index("let x150"), language="javascript")
    assert found.prefix.startswith("class A {\n  f(a) {\n    let x")


@pytest.mark.parametrize("language", ["python", ""])
@pytest.mark.parametrize("place", range(0, len(LONG), 997))
def test_slices_fit_the_budget_and_hold_whole_lines(language: str, place: int) -> None:
    found = cut(LONG, place, language=language)
    lines = set(LONG.split("\n"))
    typed = found.prefix.rpartition("\n")[2]
    assert found.typed == typed
    assert set(found.prefix.split("\n")[:-1]) <= lines
    assert set(found.suffix.split("\n")[1:]) <= lines
    assert found.suffix.endswith("\n") or LONG.endswith(found.suffix)
    assert len(found.prefix) + len(found.suffix) <= SMALL.chars


@pytest.mark.parametrize("place", range(len(LONG) // 2, len(LONG) // 2 + 600, 61))
def test_lines_begin_where_a_statement_does(place: int) -> None:
    found = cut(LONG, place)
    first = LONG[found.window.top :].split("\n", 1)[0]
    assert first.strip().startswith(("def", "result", "if", "return"))
    assert not first.strip().startswith(("result,", "value"))


def test_the_beginning_stays_while_typing_and_jumps_seldom() -> None:
    text, offset = LONG, LONG.index("return result", len(LONG) // 2)
    window: Window | None = None
    tops: list[int] = []
    previous = ""
    for i in range(900):
        char = "x = call(y)\n        "[i % 20]
        text, offset = text[:offset] + char + text[offset:], offset + 1
        found = cut(text, offset, window=window, language="")
        if window and window.top == found.window.top:
            assert found.prefix == previous + char
        previous, window = found.prefix, found.window
        tops.append(window.top)
    assert len(set(tops)) <= 7
    assert tops == sorted(tops)


def test_the_suffix_stays_while_typing() -> None:
    offset = LONG.index("return result", len(LONG) // 2)
    before = cut(LONG, offset)
    after = cut(LONG[:offset] + "x = 1" + LONG[offset:], offset + 5, window=before.window)
    assert after.suffix == before.suffix


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("import sys\n", "import sys\nimport re\n"),
        ("import sys\n", ""),
        ("# A comment.", "# " + "A longer comment. " * 20),
        ("import os\n", "\n" * 30 + "import os\n"),
    ],
)
def test_the_window_survives_edits_above_it(old: str, new: str) -> None:
    offset = LONG.index("return result", len(LONG) // 2)
    before = cut(LONG, offset)
    text = LONG.replace(old, new)
    after = cut(text, offset + len(text) - len(LONG), window=before.window)
    first = LONG[before.window.top :].split("\n", 1)[0]
    assert text[after.window.top :].split("\n", 1)[0] == first
    assert len(text) - after.window.top == len(LONG) - before.window.top


@pytest.mark.parametrize("place", [0, 30, 900])
def test_a_jump_to_another_place_makes_a_new_window(place: int) -> None:
    far = cut(LONG, len(LONG) - 50).window
    found = cut(LONG, place, window=far)
    assert found.window.top <= place
    assert found == cut(LONG, place)


def test_the_line_limits_hold() -> None:
    found = cut(LONG, len(LONG) // 2, SliceBudget(4000, prefix_lines=10, suffix_lines=3))
    assert LONG[found.window.top : len(LONG) // 2].count("\n") <= 10
    assert found.suffix.count("\n") <= 4


def test_a_line_longer_than_the_budget_is_cut() -> None:
    text = "x = [" + "1, " * 100_000 + "]\n"
    found = cut(text, len(text) // 2, language="")
    assert len(found.prefix) + len(found.suffix) <= SMALL.chars
    assert text[: len(text) // 2].endswith(found.prefix)
    assert found.typed == found.prefix


def test_the_selected_item_is_as_if_inserted() -> None:
    text = "import os\nos.pa\n"
    offset = text.index("pa") + 2
    found = cut(text, offset, selected=Selected(Span(offset - 2, offset), "path"))
    assert (found.prefix, found.suffix, found.typed) == ("import os\nos.path", "\n", "os.path")


@settings(max_examples=100, deadline=None)
@given(
    st.text("ab \n\r(é🦀", max_size=400),
    st.floats(0, 1),
    st.integers(1, 60),
    st.integers(0, 300),
    st.sampled_from(["python", "go", ""]),
)
def test_any_text_anywhere(text: str, where: float, tokens: int, top: int, language: str) -> None:
    offset = int(where * len(text))
    if 0 < offset < len(text) and text[offset - 1 : offset + 1] == "\r\n":
        offset -= 1
    found = cut(text, offset, SliceBudget(tokens), Window(top, text[top : top + 9]), language)
    plain = text[:offset].replace("\r\n", "\n").replace("\r", "\n")
    rest = text[offset:].replace("\r\n", "\n").replace("\r", "\n")
    assert rest.startswith(found.suffix)
    assert found.prefix.endswith(found.typed)
    assert plain.endswith(found.typed)
