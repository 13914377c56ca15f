"""How files are cut."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfield.index.chunks import MAX_CHARS, Chunk, chunked, doc_of
from nearfield.index.symbols import outline
from nearfield.syntax.languages import language_for
from nearfield.syntax.parser import parse

METHODS = "".join(f"    def m{i}(self):\n        return {'x' * 90}{i}\n\n" for i in range(8))
BIG_CLASS = f'import os\n\n\nclass A:\n    """Doc."""\n\n    f = 1\n\n{METHODS}\nprint(A)\n'


def cut(text: str, path: str) -> list[Chunk]:
    language = language_for("", path)
    parsed = parse(language, text) if language else None
    return chunked(text, path, parsed, outline(parsed).definitions if parsed else ())


@pytest.mark.parametrize(
    ("path", "text", "chunks"),
    [
        ("a.py", BIG_CLASS, "1-1:block: 4-7:class:A "
         + " ".join(f"{9 + i * 3}-{10 + i * 3}:method:A.m{i}" for i in range(8))
         + " 34-34:block:"),
        ("a.py", "class A:\n    def m(self): pass\n", "1-2:class:A"),
        ("a.py", "# doc\n@deco\ndef f():\n    pass\nx = 1\n", "1-4:function:f 5-5:block:"),
        ("a.py", "\n\n  \n", ""),
        ("a.md", "intro\n# A\ntext\n## B\n```\n# no heading\n```\n# C\n",
         "1-1:text: 2-3:section:A 4-7:section:A > B 8-8:section:C"),
        ("a.unknown", "one\n\ntwo\n", "1-4:block:"),
    ],
)  # fmt: skip
def test_a_file_is_cut_at_definitions_and_headings(path: str, text: str, chunks: str) -> None:
    got: list[str] = []
    for chunk in cut(text, path):
        last = chunk.first + len(chunk.text.rstrip().split("\n"))
        if path.endswith(".unknown"):
            last = chunk.last
        first = chunk.first + len(chunk.text) - len(chunk.text.lstrip("\n"))
        got.append(f"{first + 1}-{last}:{chunk.kind}:{chunk.symbol}")
    assert " ".join(got) == chunks


def test_a_class_head_lists_the_signatures_of_its_members() -> None:
    head = next(chunk for chunk in cut(BIG_CLASS, "a.py") if chunk.kind == "class")
    assert head.signatures.split("\n")[0] == "def m0(self):"
    assert len(head.signatures.split("\n")) == 8
    assert head.meaning.startswith("A\n") and "def m7(self):" in head.meaning


LINES = st.sampled_from(
    [
        "", "def f():", "    return 1", "class A:", "    def m(self):", "        x = 1", "# note",
        "@deco", "x = [", "]", '"""', "    pass", "if x:", "x = '\u20ac\U0001f600'",
        "y = " + "z" * 1500,
    ]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(LINES, max_size=60), st.sampled_from(["a.py", "a.md", "a.txt", "a.js", "a.xyz"]))
def test_every_line_with_something_on_it_is_in_exactly_one_chunk(
    lines: list[str], path: str
) -> None:
    text = "\n".join(lines)
    seen: dict[int, int] = {}
    for number, chunk in enumerate(cut(text, path)):
        assert chunk.text == "\n".join(lines[chunk.first : chunk.last])
        assert chunk.last - chunk.first == 1 or len(chunk.text) <= MAX_CHARS
        for row in range(chunk.first, chunk.last):
            assert row not in seen, (number, seen[row])
            seen[row] = number
    assert [row for row, line in enumerate(lines) if line.strip() and row not in seen] == []


def test_a_long_function_is_cut_between_statements() -> None:
    rng = random.Random(7)
    body = "".join(
        f"    if x{i}:\n        call({'y' * rng.randint(1, 60)})\n        other()\n"
        for i in range(90)
    )
    chunks = cut(f"def f():\n{body}", "a.py")
    assert len(chunks) > 2
    assert all(chunk.text.startswith(("def f", "    if")) for chunk in chunks)
    assert {chunk.symbol for chunk in chunks} == {"f"}


@pytest.mark.parametrize(
    ("text", "row", "doc"),
    [
        ('def f():\n    """One.\n\n    Two."""\n', 0, "One. Two."),
        ("# One\n# two.\ndef f(): pass\n", 2, "One two."),
        ("/**\n * One\n */\nfunction f() {}\n", 3, "One"),
        ("def f():\n    return 1\n", 0, ""),
    ],
)
def test_documentation_is_found_above_or_inside_a_definition(text: str, row: int, doc: str) -> None:
    assert doc_of(text, row) == doc
