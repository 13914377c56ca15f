"""Shaping, as a table: a document with the cursor at "█", what the model writes, what is shown.

An expected "-reason" means that nothing is shown, for that reason.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfield.features.completion.answers import Generated
from nearfield.features.completion.cursor_context import Extent
from nearfield.features.completion.postprocess import Shaped, Shaper
from nearfield.syntax.languages import language_for
from nearfield.syntax.parser import parse
from nearfield.types import Delta, Selected, Snapshot, Span

PY_BODY = "def f(a, b):\n    █\n\n\ndef g():\n    pass\n"
PY_HOLE = "def f(a, b):\n    x = a\n    █\n    return x\n"
TS_BODY = "function f(a: number) {\n  █\n}\n\nfunction g() {}\n"
GO_BODY = "package a\n\nfunc f(a int) int {\n\t█\n}\n"
RUST_BODY = "fn f(a: u8) -> u8 {\n    █\n}\n"
C_BODY = "int f(int a) {\n    █\n}\n"

CASES: list[tuple[str, str, str, str, str]] = [
    # --- how much: the end of the statement ---
    ("statement", "python", "x = █\n", "1\ny = 2\n", "1"),
    ("rest of a word", "python", "imp█\n", "ort os\nimport sys\n", "ort os"),
    ("statement over lines", "python", "x = f(█\n", "\n    1,\n    2,\n)\ny = 1\n", "\n    1,\n    2,\n)"),
    ("open bracket goes on", "python", "x = █\n", "f(\n    1,\n)\ny = 1\n", "f(\n    1,\n)"),
    ("triple quotes go on", "python", "x = █\n", '"""a\nb\n"""\ny = 1\n', '"""a\nb\n"""'),
    ("backslash goes on", "python", "x = █\n", "1 + \\\n    2\ny = 1\n", "1 + \\\n    2"),
    ("ts semicolon", "typescript", "const x = █\n", "1;\nconst y = 2;\n", "1;"),
    ("ts no semicolon", "typescript", "const x = █\n", "1\nconst y = 2\n", "1"),
    ("ts chain", "typescript", "const x = █\n", "a\n  .b()\n  .c();\nd();\n", "a\n  .b()\n  .c();"),
    ("rust chain", "rust", "fn f() {\n    let x = █\n}\n", "a\n        .b();\n    c();\n", "a\n        .b();"),
    ("go statement", "go", "package a\n\nfunc f() {\n\tx := █\n}\n", "1\n\ty := 2\n", "1"),
    ("java", "java", "class A {\n    int f() {\n        return █\n    }\n}\n", "1;\n    }\n", "1;"),
    ("ruby", "ruby", "def f\n  x = █\nend\n", "1\n  y = 2\nend\n", "1"),
    ("bash", "shellscript", "x=█\n", "1\ny=2\n", "1"),
    ("lua", "lua", "local x = █\n", "1\nlocal y = 2\n", "1"),
    ("header with its body below", "python", "for █\n    pass\n", "x in y:\n    print(x)\n", "x in y:"),
    ("header and body", "python", "def f(█\n", "a):\n    return a\n\n\nf(1)\n", "a):\n    return a"),
    ("if and else", "python", "if █\n", "a:\n    b()\nelse:\n    c()\nd()\n", "a:\n    b()\nelse:\n    c()"),
    ("brace body", "c", "int f(█\n", "int a) {\n    return a;\n}\n\nint g() {\n", "int a) {\n    return a;\n}"),
    ("brace body is below", "c", "int f(█\n    return 1;\n}\n", "void) {\n    return 2;\n}\n", "void) {"),
    ("next line after a whole statement", "python", "def f():\n    x = 1█\n", "\n    y = 2\n\n    z = 3\n", "\n    y = 2"),
    ("body behind its opener", "python", "def f():█\n", "\n    return 1\n\n\ndef g():\n", "\n    return 1"),
    # --- how much: empty lines ---
    ("empty body", "python", PY_BODY, "c = a + b\n    return c\n\n\ndef h():\n    pass\n", "c = a + b\n    return c"),
    ("empty body keeps one gap", "python", PY_BODY, "c = a\n\n    return c\n\n\nf()\n", "c = a\n\n    return c"),
    ("never past the scope", "python", PY_BODY, "return a\nprint(f(1, 2))\n", "return a"),
    ("empty body ts", "typescript", TS_BODY, "const b = a;\n  return b;\n}\n\nf(1);\n", "const b = a;\n  return b;"),
    ("empty body go", "go", GO_BODY, "b := a\n\treturn b\n}\n\nfunc g() {\n", "b := a\n\treturn b"),
    ("empty body rust", "rust", RUST_BODY, "let b = a;\n    b\n}\n\nfn g() {}\n", "let b = a;\n    b"),
    ("empty body c", "c", C_BODY, "int b = a;\n    return b;\n}\n\nint g() {\n", "int b = a;\n    return b;"),
    ("scope not closed yet", "c", "int f(int a) {\n    █\n", "return a;\n}\n\nint g() {\n", "return a;\n}"),
    ("one statement in a hole", "python", PY_HOLE, "x += b\n    x *= 2\n    return x\n", "x += b"),
    ("compound in a hole", "python", PY_HOLE, "if b:\n        x += b\n    x *= 2\n", "if b:\n        x += b"),
    ("paragraph", "python", "a = 1\n█\n", "b = 2\nc = 3\n\nd = 4\n", "b = 2\nc = 3"),
    ("one function at a time", "python", "a = 1\n\n\n█\n", "def f():\n    x = 1\n\n    return x\n\n\ndef g():\n", "def f():\n    x = 1\n\n    return x"),
    ("going in circles", "python", "a = 1\n█\n", "f(x)\nf(x)\nf(x)\nf(x)\n", "f(x)"),
    ("comment line", "python", "# the quick█\n", " brown fox\nx = 1\n", " brown fox"),
    ("markdown paragraph", "markdown", "# A\n\nThe █\n", "end.\nOf it.\n\nMore.\n", "end.\nOf it."),
    ("no tree", "", "alpha █\n", "beta\ngamma\n", "beta"),
    # --- what is on the line already ---
    ("closing bracket", "python", "f(█)\n", "a, b)\n", "a, b"),
    ("own brackets stay", "python", "f(█)\n", "g(a)\n", "g(a)"),
    ("own and the editor's bracket", "python", "f(█)\n", "g(a))\n", "g(a)"),
    ("semicolon alone", "java", "class A {\n    void f() {\n        █;\n    }\n}\n", "g(a);\n        h();\n", "g(a)"),
    ("comma alone", "python", "f(\n    █,\n    b,\n)\n", "a,\n    b,\n", "a"),
    ("equals sign alone", "python", "x = 1\n█ = 2\n", "y\nz = 1\n", "y"),
    ("bracket and semicolon", "typescript", "f(█);\n", "a, b);\n", "a, b"),
    ("semicolon behind the bracket", "typescript", "f(█)\n", "a, b);\n", "a, b"),
    ("two brackets", "typescript", "f([█]);\n", "1, 2]);\n", "1, 2"),
    ("callback's brackets", "typescript", "f(█);\n", "x => g(x));\n", "x => g(x)"),
    ("closing quote", "python", 'x = "ab█"\n', 'cd"\n', "cd"),
    ("quote and bracket", "python", 'f("ab█")\n', 'cd")\n', "cd"),
    ("string of its own", "python", "f(█)\n", '"a")\n', '"a"'),
    ("rest of the expression", "python", "x = █ + y\n", "a + y\n", "a"),
    ("last word", "python", "x = █y\n", "a + y\n", "a + "),
    ("word's tail is no repetition", "python", "x = ar█e\n", "rang\n", "rang"),
    ("semicolon", "c", "int f(void) {\n    return █;\n}\n", "1;\n", "1"),
    ("comma", "python", "x = [\n    █,\n]\n", "1,\n", "1"),
    ("all of it is there", "python", "x = █1 + 2\n", "1 + 2\n", "-repeats"),
    ("dict value", "python", "x = {'a': █}\n", "1}\n", "1"),
    ("index", "go", "package a\n\nfunc f() {\n\tx[█]\n}\n", "i]\n", "i"),
    ("generic", "rust", "fn f() {\n    g(█);\n}\n", "&x);\n", "&x"),
    ("in front of a line", "python", "def f(x):\n█    return x\n", "    x += 1\n    return x\n", "    x += 1\n"),
    ("in front of code", "python", "def f(x):\n    █return x\n", "x += 1\n    return x\n", "x += 1\n    "),
    # --- what is below already ---
    ("next line", "python", PY_HOLE, "return x\n", "-repeats"),
    ("next line at the end", "typescript", TS_BODY.replace("█\n", "█\n\n  return a;\n"), "a += 1;\n  return a;\n", "a += 1;"),
    ("closing brace", "typescript", "if (a) {\n  █\n}\n", "b();\n}\n", "b();"),
    ("block below", "python", "a()\n█\n\nfor x in y:\n    z(x)\n", "for x in y:\n    z(x)\n", "-repeats"),
    ("same text, other depth", "python", "if a:\n    █\nreturn_x()\n", "return_x()\n", "return_x()"),
    # --- indentation and line breaks ---
    ("indentation twice", "python", PY_BODY, "    return a\n", "return a"),
    ("indentation of all lines twice", "python", PY_BODY, "    c = a\n        return c\n", "c = a\n    return c"),
    ("cursor too shallow", "python", "def f():\n  █\n", "  return 1\n", "  return 1"),
    ("cursor at the line's start", "python", "def f():\n█\n", "    return 1\n", "    return 1"),
    ("tabs", "go", GO_BODY, "if a > 1 {\n        return a\n    }\n", "if a > 1 {\n\t\treturn a\n\t}"),
    ("spaces", "python", PY_BODY, "if a:\n\t\treturn a\n\treturn b\n", "if a:\n        return a\n    return b"),
    ("a delimiter that is half typed", "python", 'def f():\n    x = ""█\n', '"one\n\ttwo\n"""\n', '"one\n\ttwo\n"""'),
    ("windows line breaks", "python", "def f(a):\r\n    █\r\n\r\n\r\ng()\r\n", "b = a\n    return b\n", "b = a\r\n    return b"),
    ("windows line breaks from the model", "python", "a = 1\n█\n", "b = 2\r\nc = 3\r\n", "b = 2\nc = 3"),
    ("line breaks inside a string stay", "python", 'x = """a\n█\n"""\n', "  b\n\nc\n", "  b"),
    # --- what breaks the parse ---
    ("unbalanced", "python", PY_BODY, "return (a\n", "-syntax"),
    ("not code", "python", "x = 1\n█\ny = 2\n", "Here is the code you asked for:\n", "-syntax"),
    ("trimmed to what parses", "python", PY_BODY, "c = a\n    return (c\n", "c = a"),
    ("ts unbalanced", "typescript", TS_BODY, "return (a;\n", "-syntax"),
    ("go unbalanced", "go", GO_BODY, "return a)\n", "-syntax"),
    ("rust unbalanced", "rust", RUST_BODY, "a + + )\n", "-syntax"),
    ("c unbalanced", "c", C_BODY, "return a +;\n", "-syntax"),
    ("header without a body", "python", "x = 1\n█\ny = 2\n", "def f(a):\n", "def f(a):"),
    ("header of what was begun", "python", "x = 1\ndef █\n", "f(a):\n", "f(a):"),
    ("braces without a body", "typescript", "let x = 1;\n█\n", "function f() {\n", "-syntax"),
    ("braces of what was begun", "typescript", "let x = 1;\nfunction █\n", "f() {\n", "f() {"),
    ("broken elsewhere", "python", "def g(:\n    pass\n\n\nx = █\n", "f(1)\n", "f(1)"),
    ("broken by the line itself", "python", "x = f(█\ny = 1\n", "1)\n", "1)"),
    ("the rest would not fit", "python", "x = █y\n", "(a\n", "-syntax"),
    # --- nothing ---
    ("empty", "python", "x = █\n", "", "-empty"),
    ("only white space", "python", "x = █\n", "  \n \n", "-whitespace"),
    ("only a line break in a line", "python", "f(█)\n", "\n    a\n", "-whitespace"),
]  # fmt: skip


def shaper(language: str, marked: str, **options: Any) -> Shaper:
    offset = marked.index("█")
    text = marked.replace("█", "")
    row = language_for(language)
    parsed = parse(row, text) if row else None
    return Shaper(Snapshot("file:///a", language, 1, text), parsed, offset, **options)


def stream(to: Shaper, text: str, size: int) -> Shaped:
    """Feed in pieces of `size` until the shaper has enough, as a provider's stream does."""
    found = Generated()
    for start, end in pairwise([*range(0, len(text), size), len(text)]):
        found.add(Delta(text[start:end]))
        if to.is_enough(found.text):
            break
    return to.finish(found.text)


def check(shaped: Shaped, expected: str) -> None:
    shown = f"-{shaped.reason}" if shaped.reason else shaped.text
    assert shown == expected


@pytest.mark.parametrize("size", [1, 4, 1000])
@pytest.mark.parametrize(
    ("language", "marked", "model", "expected"),
    [case[1:] for case in CASES],
    ids=[case[0].replace(" ", "_") for case in CASES],
)
def test_a_stream_is_cut_to_its_unit(
    language: str, marked: str, model: str, expected: str, size: int
) -> None:
    check(stream(shaper(language, marked), model, size), expected)


@pytest.mark.parametrize("size", [1, 4, 1000])
@pytest.mark.parametrize(
    ("language", "marked", "model", "expected"),
    [
        ("python", PY_BODY, "b = a\n    c = b\n    return c\n", "b = a"),
        ("python", PY_BODY, "b = f(\n        a,\n    )\n    return b\n", "b = f(\n        a,\n    )"),
        ("python", PY_BODY, "if a:\n        b = a\n        c = b\n", "if a:\n        b = a"),
        ("python", PY_BODY, '"""Say\n    more."""\n    return a\n', '"""Say\n    more."""'),
        ("python", PY_BODY, "\n    b = a\n    return b\n", "\n    b = a"),
        ("go", GO_BODY, "b := a\n\tc := b\n\treturn c\n", "b := a"),
        ("typescript", TS_BODY, "if (a) {\n    b();\n  }\n  c();\n", "if (a) {\n    b();\n  }"),
        ("python", "# █\n", "One line.\n# Another.\n", "One line."),
    ],
)  # fmt: skip
def test_late_lines_are_shown_before_their_block_is_complete(
    language: str, marked: str, model: str, expected: str, size: int
) -> None:
    late = stream(shaper(language, marked, soon=0.0), model, size)
    if size < 1000:
        check(late, expected)
    assert not late.reason
    in_time = stream(shaper(language, marked), model, size)
    assert in_time.text.startswith(late.text)


@pytest.mark.parametrize(
    ("language", "marked", "extent"),
    [
        ("python", "x = █1\n", Extent.LINE),
        ("python", "█x = 1\n", Extent.ABOVE),
        ("java", "█;\n", Extent.LINE),
        ("python", "x = █\n", Extent.STATEMENT),
        ("python", PY_BODY, Extent.BODY),
        ("python", PY_HOLE, Extent.STATEMENT),
        ("python", "x = 1\n█\n", Extent.BLOCK),
        ("python", "# █\n", Extent.TEXT),
        ("python", '"""A\n█\n"""\n', Extent.TEXT),
        ("typescript", TS_BODY, Extent.BODY),
        ("go", GO_BODY, Extent.BODY),
        ("ruby", "def f\n  █\nend\n", Extent.BODY),
        ("lua", "if a then\n  █\nend\n", Extent.BODY),
        ("", "█\n", Extent.BLOCK),
    ],
)
def test_the_extent_follows_from_the_cursor(language: str, marked: str, extent: Extent) -> None:
    assert shaper(language, marked).extent is extent


@pytest.mark.parametrize(
    ("marked", "stops_after"),
    [
        ("x = █\n", "1\n"),
        ("f(█)\n", "a\n"),
        (PY_HOLE, "x += b\n"),
        (PY_BODY, "return a\nx"),
        ("a = 1\n█\n", "b = 2\n\n"),
    ],
)
def test_the_model_is_stopped_as_soon_as_the_unit_is_complete(
    marked: str, stops_after: str
) -> None:
    to = shaper("python", marked)
    written = [stops_after[:end] for end in range(1, len(stops_after) + 1)]
    assert [to.is_enough(text) for text in written] == [False] * (len(written) - 1) + [True]


def test_at_most_max_lines() -> None:
    text = "".join(f"    x{i} = {i}\n" for i in range(50))[4:]
    assert stream(shaper("python", PY_BODY, max_lines=3), text, 1).text.count("\n") == 2


def test_multiline_never_and_always() -> None:
    text = "x += b\n    x *= 2\n\n    x -= 1\n    return x\n"
    check(stream(shaper("python", PY_HOLE, multiline="never"), text, 1), "x += b")
    check(
        stream(shaper("python", PY_HOLE, multiline="always"), text, 1),
        text[: text.rindex("\n    return")],
    )


def test_another_text_is_judged_on_its_own() -> None:
    to = shaper("python", "x = █\n")
    assert not to.is_enough("wrong")
    assert to.is_enough("1\n")
    check(to.finish("1\n"), "1")


@pytest.mark.parametrize(
    ("marked", "item", "length", "model", "expected"),
    [
        ("os.pa█\n", "path", 2, ".join(a)\nx = 1\n", "path.join(a)"),
        ("os.pa█\n", "path", 2, "", "-empty"),
        ("f(os.pa█)\n", "path", 2, ".join(a))\n", "path.join(a)"),
    ],
)
def test_a_suggestion_continues_the_selected_item(
    marked: str, item: str, length: int, model: str, expected: str
) -> None:
    offset = marked.index("█")
    span = Span(offset - length, offset)
    to = shaper("python", marked, selected=Selected(span, item))
    shaped = stream(to, model, 1)
    check(shaped, expected)
    assert shaped.replace == span


def test_without_an_item_the_suggestion_is_inserted_at_the_cursor() -> None:
    assert stream(shaper("python", "x = █\n"), "1\n", 1).replace == Span(4, 4)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([case[2] for case in CASES]),
    st.sampled_from(["python", "typescript", "go", "rust", "c", "markdown", "yaml", ""]),
    st.text("abc ()[]{}\"':;,.=\n\r\t#é🦀\\", max_size=40),
)
def test_any_text_anywhere_is_shaped_or_refused(marked: str, language: str, model: str) -> None:
    shaped = stream(shaper(language, marked), model, 3)
    assert bool(shaped.text) != bool(shaped.reason)
    if shaped.text:
        assert shaped.text.strip()
    text = marked.replace("█", "")
    row = language_for(language)
    before = parse(row, text) if row else None
    offset = marked.index("█")
    after = parse(row, text[:offset] + shaped.text + text[offset:]) if row else None
    if (
        before
        and after
        and not before.root.has_error
        and shaped.text
        and Extent.TEXT not in {shaper(language, marked).extent}
    ):
        assert not after.root.has_error


@pytest.mark.parametrize(
    ("document", "text", "expected"),
    [
        ("x = █\n", "load(", "load("),
        ("def f(a):\n    █\n", "        total = sum(", "total = sum("),
        ("f(g(█\n", "a))), b", "-syntax"),
        ("f(g(█\n", "a), b", "a), b"),
        ("def f(a):\n    ret█\n    return a + 1\n", "urn a", "-repeats"),
    ],
)
def test_a_part_of_a_line(document: str, text: str, expected: str) -> None:
    check(shaper("python", document).part(text), expected)
