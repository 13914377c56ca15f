"""Notebooks in the index: their code and prose, not their JSON."""

from __future__ import annotations

import json
from typing import Any

from nearfield.index.builder import Builder, explain
from nearfield.index.files import MAX_FILE_BYTES
from nearfield.index.store import SqliteStore

from .conftest import Place

CODE = ["def mean_of_rows(rows):\n", "    return sum(rows) / len(rows)\n"]


def ipynb(*cells: dict[str, Any], **metadata: Any) -> str:
    return json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4})


def cell(*source: str, kind: str = "code", **more: Any) -> dict[str, Any]:
    return {"cell_type": kind, "source": list(source), **more}


OUTPUT = {"output_type": "stream", "text": ["a needle that was printed"]}
BOOK = ipynb(
    cell("# Averages of things", kind="markdown"),
    cell("%load_ext x\n", "!pip install y"),
    cell(*CODE, outputs=[OUTPUT]),
)


def test_code_and_prose_are_found_without_the_json_around_them(place: Place) -> None:
    place.write({"a.ipynb": BOOK})
    place.build()
    hit, *_ = place.searcher().search("mean_of_rows")
    assert (hit.path, hit.symbol, hit.language) == ("a.ipynb", "mean_of_rows", "python")
    assert hit.text == "# %% cell 3\n" + "".join(CODE).rstrip()
    hit, *_ = place.searcher().search("averages of things")
    assert hit.text.startswith("# notebook in python\n\n# %% cell 1 [markdown]\n# # Averages")
    found = place.searcher().search("needle that was printed")
    assert not any("needle" in hit.text or "cell_type" in hit.text for hit in found)


def test_definitions_in_a_notebook_are_known(place: Place) -> None:
    place.write({"a.ipynb": BOOK})
    place.build()
    (defined,) = place.searcher().defined("mean_of_rows")
    assert defined.signature == "def mean_of_rows(rows):"


def test_outputs_do_not_make_a_notebook_too_large(place: Place) -> None:
    big = {"output_type": "stream", "text": "x" * MAX_FILE_BYTES}
    place.write({"a.ipynb": ipynb(cell(*CODE, outputs=[big]))})
    place.write({"b.ipynb": ipynb(cell(*CODE, outputs=[big] * 10))})
    report = place.build()
    assert (report.files, report.skipped["too large"]) == (1, 1)
    assert place.searcher().defined("mean_of_rows")


def test_an_invalid_notebook_is_left_out_with_a_reason(place: Place) -> None:
    place.write({"a.ipynb": '{"cells": ['})
    place.write({"b.ipynb": '{"cells":' * 10_000})
    report = place.build()
    assert report.skipped["no readable notebook"] == 2
    assert explain(place.tree, "a.ipynb") == "no readable notebook"


def test_a_notebook_of_another_language(place: Place) -> None:
    code = cell("function areaOf(w: number) {\n  return w * w\n}")
    place.write({"a.ipynb": ipynb(code, kernelspec={"language": "typescript"})})
    place.build()
    (defined,) = place.searcher().defined("areaOf")
    assert defined.signature.startswith("function areaOf")


def test_a_notebook_that_is_open_as_json_counts_as_it_is_there(place: Place) -> None:
    place.write({"a.ipynb": BOOK})
    store = SqliteStore(place.file)
    builder = Builder(place.tree, store)
    builder.build()
    builder.buffer("a.ipynb", BOOK.replace("mean_of_rows", "median_of_rows"))
    assert place.searcher().defined("median_of_rows")
    builder.buffer("a.ipynb", BOOK[:-1])
    assert not place.searcher().defined("median_of_rows")
    builder.closed("a.ipynb")
    assert place.searcher().defined("mean_of_rows")
    store.close()
