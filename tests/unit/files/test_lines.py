"""Lines are the editor's lines, in every part of the package."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nearfield
from nearfield.files.lines import line_number, split_lines
from nearfield.lsp.documents import LineTable

NO_LINE_ENDS = "\v\f\x1c\x1d\x1e\x85\u2028\u2029"
TEXTS = st.text(alphabet="ab \n\r" + NO_LINE_ENDS, max_size=40)

SPLIT_OTHERWISE = {
    "lsp/frames.py": "bytes: those split at the same three line ends",
    "files/ignore.py": "rules of git, whose reader has its own line ends",
    "routing/withhold.py": "rules of git, whose reader has its own line ends",
}


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        ("a", ["a"]),
        ("a\n", ["a"]),
        ("\n", [""]),
        ("a\r\nb\rc\nd", ["a", "b", "c", "d"]),
        ("a\n\r\nb", ["a", "", "b"]),
        ("a\r\r\n", ["a", ""]),
        *((f"a{sign}b\nc", [f"a{sign}b", "c"]) for sign in NO_LINE_ENDS),
    ],
)
def test_lines_are_split_as_editors_do(text: str, lines: list[str]) -> None:
    assert split_lines(text) == lines
    assert [line.rstrip("\r\n") for line in split_lines(text, keepends=True)] == lines
    assert "".join(split_lines(text, keepends=True)) == text


@given(TEXTS)
def test_lines_are_those_of_a_document(text: str) -> None:
    table = LineTable(text)
    assert len(split_lines(text + "x")) == len(table)
    for offset in range(len(text) + 1):
        assert line_number(text, offset) == table.line_at(offset)


def test_nothing_else_splits_lines() -> None:
    package = Path(nearfield.__file__).parent
    found = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Attribute) and node.attr == "splitlines"
    }
    assert found <= SPLIT_OTHERWISE.keys()
