"""A notebook in VS Code: suggestions, hovers and edits in its cells, with real keys."""

from __future__ import annotations

import json

import pytest
from tests.editors.conftest import StartVSCode, chat_script, script
from tests.editors.vscode import Window

pytestmark = pytest.mark.editor

FIRST = "def mean_of_rows(rows):\n    return sum(rows) / len(rows)"
BELOW = {"match": r"mean_of_rows\(rows\)[^#]*\n\naverage = $", "text": "mean_of_rows([1, 2])\n"}


def notebook(*sources: str) -> str:
    cells = [
        {"cell_type": "code", "id": f"c{number}", "metadata": {}, "execution_count": None,
         "outputs": [], "source": source.splitlines(keepends=True)}
        for number, source in enumerate(sources)
    ]  # fmt: skip
    about = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return json.dumps({"cells": cells, "metadata": about, "nbformat": 4, "nbformat_minor": 5})


def sources(window: Window) -> list[str]:
    read = json.loads((window.folder / "a.ipynb").read_text("utf-8"))
    return ["".join(cell["source"]) for cell in read["cells"]]


def enter(window: Window, number: int) -> None:
    """Put the cursor at the end of a cell."""
    window.page.locator(".notebookOverlay .code-cell-row .view-lines").nth(number).click()
    window.press("Control+End")


def test_a_cell_goes_on_from_the_one_above(same_vscode: StartVSCode) -> None:
    window = same_vscode({"a.ipynb": notebook(FIRST, "average =")}, config=script([BELOW]))
    window.open("a.ipynb")
    window.ready()
    enter(window, 1)
    window.press("Space")
    window.suggests(r"mean_of_rows\(\[1, 2\]\)")
    window.picture("notebook")
    window.press("Tab")
    window.sees("^$", lambda: window.ghost)
    window.save()
    assert sources(window) == [FIRST, "average = mean_of_rows([1, 2])"]
    window.hovers("mean_of_rows", r"def mean_of_rows\(rows\)")


def test_a_rewrite_changes_the_cell_alone(same_vscode: StartVSCode) -> None:
    better = FIRST.replace("(rows):", "(rows: list[float]) -> float:")
    config = chat_script({"text": f"```python\n{better}\n```\n"})
    window = same_vscode({"a.ipynb": notebook("x = 1", FIRST)}, config=config)
    window.open("a.ipynb")
    window.ready()
    enter(window, 1)
    box = window.ask("Control+Alt+r")
    box.fill("add types")
    box.press("Enter")
    window.page.locator(".diff-editor, .monaco-diff-editor").first.wait_for()
    window.sees(r"-> float", lambda: window.text)
    window.picture("notebook-rewrite")
    window.page.locator('.editor-actions [aria-label*="Accept the Change"]').first.click()
    window.page.locator(".monaco-diff-editor").first.wait_for(state="detached")
    window.save()
    assert sources(window) == ["x = 1", better]
