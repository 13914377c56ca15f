"""The place that `nearfield explain FILE:LINE` explains."""

from __future__ import annotations

from pathlib import Path

import pytest

from nearfield.cli import explain

CODE = "import re\n\n\ndef total(names, discount=0.0):\n    return sum(names) * 2\n\n}}\n"


@pytest.mark.parametrize(
    ("place", "name"),
    [("1", "re"), ("4", "total"), ("5", "sum"), ("7", "}}"), ("4:11", "names"), ("5:5", "return")],
)
def test_without_a_column_it_is_the_first_name_of_the_line(
    tmp_path: Path, place: str, name: str
) -> None:
    file = tmp_path / "a.py"
    file.write_text(CODE)
    found = explain.place_of(f"{file}:{place}")
    assert found.snapshot.text[found.offset :].startswith(name)


@pytest.mark.parametrize(("name", "text"), [("a.py", "\n"), ("a.unknown", "  total\n")])
def test_a_line_without_names_is_no_error(tmp_path: Path, name: str, text: str) -> None:
    file = tmp_path / name
    file.write_text(text)
    assert text[explain.place_of(f"{file}:1").offset :].strip() == text.strip()
