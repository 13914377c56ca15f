"""Notebooks over the wire: cells are documents, and one goes on from those above it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.process import script
from tests.e2e.wiring import StartWire, Wire

FIRST = "def mean_of_rows(rows):\n    return sum(rows) / len(rows)\n"
SECOND = "average = "
SHOWN = [
    {"match": r"mean_of_rows\(rows\)[^#]*\n\naverage = $", "text": "mean_of_rows([1, 2])\n"},
    {"match": r"average = $", "text": "0\n"},
]
EDITS = {"workspace": {"applyEdit": True, "workspaceEdit": {"documentChanges": True}}}


class Book:
    """A notebook that a client has open."""

    def __init__(self, w: Wire, folder: Path, *answers: dict[str, Any], **more: Any) -> None:
        self.w = w
        folder.mkdir(exist_ok=True)
        self.file = folder / "a.ipynb"
        self.file.write_text("{}")
        roles = {"complete": ["fake"], "fast": ["fake"], "code": ["fake"]}
        settings = script(answers or SHOWN, routing={"roles": roles}, **more)
        folders = [{"uri": folder.as_uri(), "name": "w"}]
        self.told = w.initialize(settings, capabilities=EDITS, workspaceFolders=folders)
        self.uri = self.file.as_uri()
        self.version = 1

    def cell(self, number: int) -> str:
        return f"vscode-notebook-cell:{self.file}#W{number}sZmlsZQ%3D%3D"

    def open(self, *texts: str, languages: dict[int, str] | None = None) -> None:
        languages = languages or {}
        kinds = [1 if languages.get(n) == "markdown" else 2 for n in range(len(texts))]
        items = [self.item(n, text, languages.get(n, "python")) for n, text in enumerate(texts)]
        cells = [{"kind": kind, "document": self.cell(n)} for n, kind in enumerate(kinds)]
        book = {"uri": self.uri, "notebookType": "jupyter-notebook", "version": 1, "cells": cells}
        params = {"notebookDocument": book, "cellTextDocuments": items}
        self.w.notify("notebookDocument/didOpen", params)

    def item(self, number: int, text: str, language: str = "python") -> dict[str, Any]:
        return {"uri": self.cell(number), "languageId": language, "version": 1, "text": text}

    def change(self, **cells: Any) -> None:
        self.version += 1
        book = {"uri": self.uri, "version": self.version}
        params = {"notebookDocument": book, "change": {"cells": cells}}
        self.w.notify("notebookDocument/didChange", params)

    def write(self, number: int, line: int, column: int, text: str) -> None:
        at = {"line": line, "character": column}
        change = {"range": {"start": at, "end": at}, "text": text}
        document = {"uri": self.cell(number), "version": self.version + 1}
        self.change(textContent=[{"document": document, "changes": [change]}])

    def splice(self, start: int, deleted: int, *numbers: int, **more: Any) -> None:
        cells = [{"kind": 2, "document": self.cell(number)} for number in numbers]
        array = {"start": start, "deleteCount": deleted, "cells": cells}
        self.change(structure={"array": array, **more})

    def suggested(self, number: int, line: int, column: int) -> str:
        """The first suggestion, "" for none."""
        items = self.w.ghost(self.cell(number), line, column)
        return items[0]["insertText"] if items else ""

    def included(self) -> list[dict[str, Any]]:
        return self.w.ask("nearfield/trace", {"last": 1})[0]["included"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "work"


def test_a_cell_is_completed_with_the_cells_above(wire: StartWire, folder: Path) -> None:
    book = Book(wire("--stdio"), folder)
    assert book.told["capabilities"]["notebookDocumentSync"]["notebookSelector"]
    book.open(FIRST, SECOND)
    assert book.suggested(1, 0, 10) == "mean_of_rows([1, 2])"
    (told,) = book.included()
    assert (told["path"], told["kind"]) == ("a.ipynb", "cells")


def test_cells_opened_one_by_one_keep_the_order_of_opening(wire: StartWire, folder: Path) -> None:
    book = Book(wire("--stdio"), folder)
    for number, text in enumerate((FIRST, SECOND)):
        book.w.notify("textDocument/didOpen", {"textDocument": book.item(number, text)})
    assert book.suggested(1, 0, 10) == "mean_of_rows([1, 2])"


def test_a_change_above_is_seen_below(wire: StartWire, folder: Path) -> None:
    book = Book(wire("--stdio"), folder)
    book.open("pass\n", SECOND)
    assert book.suggested(1, 0, 10) == "0"
    book.write(1, 0, 10, "\n")
    book.write(0, 0, 0, FIRST)
    book.write(1, 0, 10, "\naverage = ")
    assert book.suggested(1, 1, 10) == "0"  # `pass` and a line stand between
    book.change(
        textContent=[
            {"document": {"uri": book.cell(0), "version": 9}, "changes": [{"text": FIRST}]},
            {"document": {"uri": book.cell(1), "version": 9}, "changes": [{"text": SECOND}]},
        ]
    )
    assert book.suggested(1, 0, 10) == "mean_of_rows([1, 2])"


def test_cells_can_be_added_removed_and_moved(wire: StartWire, folder: Path) -> None:
    book = Book(wire("--stdio"), folder)
    book.open(SECOND, FIRST)
    assert book.suggested(0, 0, 10) == "0"
    book.splice(0, 1)
    book.splice(1, 0, 0)  # the first is now the last, its document stays open
    assert book.suggested(0, 0, 10) == "mean_of_rows([1, 2])"
    book.splice(2, 0, 2, didOpen=[book.item(2, SECOND)])
    book.splice(0, 2, didClose=[{"uri": book.cell(0)}, {"uri": book.cell(1)}])
    assert book.suggested(2, 0, 10) == "0"


def test_closing_a_notebook_closes_its_cells(wire: StartWire, folder: Path) -> None:
    book = Book(wire("--stdio"), folder)
    book.open(FIRST, SECOND)
    params = {"notebookDocument": {"uri": book.uri}}
    book.w.notify("notebookDocument/didSave", params)
    book.w.notify("notebookDocument/didClose", {**params, "cellTextDocuments": []})
    params = {"textDocument": {"uri": book.cell(1)}, "position": {"line": 0, "character": 10}}
    answer = book.w.answer(book.w.request("textDocument/inlineCompletion", params))
    assert not (answer.get("result") or {}).get("items")


def test_prose_is_shown_as_comments_and_other_languages_are_not(
    wire: StartWire, folder: Path
) -> None:
    match = r"^# # Rows\n# of numbers\n\naverage = $"
    book = Book(wire("--stdio"), folder, {"match": match, "text": "mean\n"})
    book.open("# Rows\nof numbers\n", "SELECT 1", SECOND, languages={0: "markdown", 1: "sql"})
    assert book.suggested(2, 0, 10) == "mean"


def test_magics_do_not_keep_a_suggestion_back(wire: StartWire, folder: Path) -> None:
    book = Book(wire("--stdio"), folder, {"match": r"return $", "text": "len(names)\n"})
    code = "%matplotlib inline\nnames = !ls\n\ndef count():\n    return "
    book.open("!pip install x\n", code)
    assert book.suggested(1, 4, 11) == "len(names)"


def test_an_edit_is_the_cell_s(wire: StartWire, folder: Path) -> None:
    fixed = FIRST.replace("/ len(rows)", "/ max(len(rows), 1)")
    answer = {"match": "", "text": f"```python\n{fixed}```"}
    book = Book(wire("--stdio"), folder, answer)
    book.open("%load_ext x\n" + FIRST, SECOND)
    at = {"line": 1, "character": 6}
    params = {
        "uri": book.cell(0), "range": {"start": at, "end": at}, "action": "rewrite",
        "instruction": "mind empty rows", "preview": True,
    }  # fmt: skip
    done = book.w.ask(
        "workspace/executeCommand", {"command": "nearfield.action", "arguments": [params]}
    )
    (change,) = done["edit"]["documentChanges"]
    assert change["textDocument"] == {"uri": book.cell(0), "version": 1}
    assert {edit["range"]["start"]["line"] for edit in change["edits"]} == {2}
    assert book.file.read_text() == "{}"


def test_a_hover_in_a_cell(wire: StartWire, folder: Path) -> None:
    book = Book(
        wire("--stdio"), folder, {"match": "", "text": "It counts."}, hover={"wait_ms": 15_000}
    )
    book.open(FIRST)
    where = {"line": 0, "character": 6}
    params = {"textDocument": {"uri": book.cell(0)}, "position": where}
    assert "mean_of_rows" in json.dumps(book.w.ask("textDocument/hover", params))


def test_the_rules_for_the_file_are_the_cells(wire: StartWire, folder: Path) -> None:
    book = Book(wire("--stdio"), folder, files={"exclude": ["*.ipynb"]})
    book.open(FIRST, SECOND)
    assert book.suggested(1, 0, 10) == ""
    assert book.w.ask("nearfield/trace", {"last": 1})[0]["reason"] == "excluded"
