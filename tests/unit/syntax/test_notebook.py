"""Notebooks as code."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nearfield.syntax.languages import language_for
from nearfield.syntax.notebook import as_text, blanked, is_foreign, notebook_in, shown_above
from nearfield.syntax.parser import ParseCache, parse
from nearfield.types import Cell, Edit, Span

PICTURE = {"data": {"image/png": "AAAA"}, "output_type": "display_data"}


def _ipynb(*cells: dict[str, Any], **metadata: Any) -> str:
    return json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4})


def _cell(source: Any, kind: str = "code", **more: Any) -> dict[str, Any]:
    return {"cell_type": kind, "source": source, **more}


def test_code_and_prose_are_read_and_outputs_are_not() -> None:
    read = notebook_in(
        _ipynb(
            _cell(["# A title\n", "and words"], "markdown"),
            _cell("raw", "raw"),
            _cell(["x = 1\n", "x"], outputs=[PICTURE]),
            _cell("%%bash\nls"),
        )
    )
    assert read is not None
    assert as_text(read, "#") == (
        "# notebook in python\n\n"
        "# %% cell 1 [markdown]\n# # A title\n# and words\n\n"
        "# %% cell 2\nx = 1\nx\n\n"
        "# %% cell 3\n# %%bash\n# ls\n"
    )


@pytest.mark.parametrize(
    ("metadata", "language"),
    [
        ({}, "python"),
        ({"kernelspec": {"language": "R"}}, "r"),
        ({"language_info": {"name": "julia"}, "kernelspec": {"language": "x"}}, "julia"),
        ({"kernelspec": {"language": "a\nb"}}, "python"),
        ({"kernelspec": None, "language_info": 7}, "python"),
    ],
)
def test_the_language_is_the_kernel_s(metadata: dict[str, Any], language: str) -> None:
    read = notebook_in(_ipynb(_cell("x"), **metadata))
    assert read is not None
    assert (read.language, read.cells) == (language, (Cell(language, "x"),))


@pytest.mark.parametrize(
    "text",
    ["", "x", "[]", "{}", '{"cells": 5}', '{"cells":' * 5_000, "[" * 100_000, '{"cells": [}'],
)
def test_other_json_is_no_notebook(text: str) -> None:
    assert notebook_in(text) is None


@pytest.mark.parametrize(
    "cell",
    [5, None, [], {}, {"cell_type": []}, _cell(None), _cell([1, None, "x"]), _cell({"a": 1})],
)
def test_odd_cells_do_no_harm(cell: Any) -> None:
    read = notebook_in(_ipynb(cell, _cell("y = 2")))
    assert read is not None
    assert as_text(read, "#").endswith("\ny = 2\n")


def test_pictures_in_prose_are_left_out() -> None:
    read = notebook_in(_ipynb(_cell(f"a\n![](data:{'A' * 9000})\nb", "markdown")))
    assert read is not None
    assert as_text(read, "#").endswith("[markdown]\n# a\n# b\n")


@pytest.mark.parametrize(
    ("text", "python"),
    [
        ("%matplotlib inline\nx = 1", "#matplotlib inline\nx = 1"),
        ("%%time\nf()", "#%time\nf()"),
        ("if x:\n    !rm é\n", "if x:\n    #rm é\n"),
        ("names = !ls 😀", "names = ___😀"),
        ("t = %timeit f()", "t = ___________"),
        ("a.b??", "a.b  "),
        ("?f", "#f"),
        ("x = (a\n     % b)\ny != z", "x = (a\n     % b)\ny != z"),
        ("x = 5 % y", "x = 5 % y"),
        ("f'{x!r}'", "f'{x!r}'"),
    ],
)
def test_magics_become_python_of_the_same_size(text: str, python: str) -> None:
    if "😀" not in text:
        assert blanked(text) == python
    assert len(blanked(text).encode()) == len(text.encode())


@pytest.mark.parametrize(
    ("text", "foreign"),
    [("%%bash\nls", True), ("\n%%html", True), ("%%time\nf()", False), ("%time", False)],
)
def test_cells_in_another_language(text: str, foreign: bool) -> None:
    assert is_foreign(text) is foreign


def test_magics_parse_in_notebooks_alone_and_the_text_stays_as_it_is() -> None:
    text = "%load_ext x\nnames = !ls\n"
    cell, file = language_for("python", "/w/a.ipynb"), language_for("python", "/w/a.py")
    assert cell is not None
    assert file is not None
    in_cell, in_file = parse(cell, text), parse(file, text)
    assert in_cell is not None
    assert in_file is not None
    assert (in_cell.all_errors, in_cell.text, in_cell.source) == (0, text, text.encode())
    assert in_file.all_errors
    after = in_cell.edited(Edit(Span(0, 0), "x = 1\n"))
    assert after is not None
    assert after.all_errors == 0
    assert ParseCache().parse("u", cell, "%%bash\nls") is None


ABOVE = [
    Cell("markdown", "Some words\n"),
    Cell("python", "a = 1\n\n\n"),
    Cell("sql", "SELECT 1"),
    Cell("python", "b = 2"),
]


@pytest.mark.parametrize(
    ("language", "comment", "chars", "lines", "shown"),
    [
        ("python", "#", 1000, 100, "# Some words\n\na = 1\n\nb = 2\n\n"),
        ("python", "#", 14, 100, "a = 1\n\nb = 2\n\n"),
        ("python", "#", 1000, 2, "b = 2\n\n"),
        ("python", "#", 3, 100, ""),
        ("python", "#", 0, 0, ""),
        ("sql", "--", 1000, 100, "-- Some words\n\nSELECT 1\n\n"),
        ("markdown", "", 1000, 100, "Some words\n\n"),
        ("julia", "", 1000, 100, ""),
    ],
)
def test_the_cells_above_are_shown_as_code_and_comments(
    language: str, comment: str, chars: int, lines: int, shown: str
) -> None:
    assert shown_above(ABOVE, language, comment, chars, lines) == shown
