"""Each action that a model does, by the real model, on small projects in three languages: the edit
applies to what is there, the file parses, and what the action may not touch stays."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types
from tests.e2e.editing import Editor, StartEditor, capabilities, plain
from tests.e2e.process import PATIENCE_S

from nearfield.syntax.languages import language_for
from nearfield.syntax.parser import parse

pytestmark = pytest.mark.model

PYTHON = """import json


def average(numbers):
    # an empty list has none
    total = 0
    for n in numbers:
        total = total + n
    return total / len(number)


def load_names(path):
    f = open(path)
    data = json.load(f)
    names = []
    for item in data:
        names.append(item["name"])
    return names
"""
TYPESCRIPT = """export interface Item {
  price: number;
  count: number;
}

/** What all items cost together. */
export function total(items: Item[]): number {
  let sum = 0;
  for (let i = 0; i <= items.length; i++) {
    sum += items[i].price * items[i].count;
  }
  return sum;
}

export function double(value: number): number {
  return value * 2;
}
"""
GO = """package shop

import "strconv"

type Item struct {
\tPrice int
\tCount int
}

func Total(items []Item) int {
\tsum := 0
\tfor i := 0; i < len(items); i++ {
\t\tsum += items[i].Price * items[i].Count
\t}
\treturn sum
}

func ParsePrice(text string) int {
\tvalue, _ := strconv.Atoi(text)
\treturn value * 100
}
"""


@dataclass(frozen=True)
class Done:
    """An action at a line (from 0), and what must be seen afterwards: `has` matches the changed
    file, `kept` are lines of the old one that stay. `where` is the file, if it is another one."""

    action: str
    line: int
    has: str
    kept: tuple[str, ...]
    instruction: str = ""
    problems: tuple[tuple[int, str], ...] = ()
    where: str = ""


PROJECTS = {
    "python": (
        {
            "shop.py": PYTHON,
            "pyproject.toml": "[tool.pytest.ini_options]\n",
            "tests/test_shop.py": "import os\n\n\ndef test_os():\n    assert os\n",
        },
        (
            Done("fix_all", 8, r"\A(?![\s\S]*len\(number\))",
                 ("def average(numbers):", "    f = open(path)"),
                 problems=((8, "Undefined name `number`"), (8, "division by zero, if empty"))),
            Done("types", 3, r"def average\(numbers: .+\) -> ", ("    # an empty list has none",)),
            Done("rewrite", 12, r"with open\(path", ("def load_names(path):", "    return names"),
                 instruction="use a with statement to open the file"),
            Done("document", 11, r'def load_names\(path\):\n    """',
                 tuple(PYTHON.splitlines())),
            Done("test", 3, r"def test_\w+\(.*\):\n(?:.*\n)*.*average\(",
                 ("def test_os():", "    assert os"), where="tests/test_shop.py"),
        ),
    ),
    "typescript": (
        {"src/cart.ts": TYPESCRIPT, "package.json": '{"devDependencies": {"vitest": "1"}}'},
        (
            Done("fix", 8, r"i < items\.length", ("/** What all items cost together. */",
                 "export function total(items: Item[]): number {"),
                 problems=((9, "items[i] is undefined in the last round"),)),
            Done("document", 14, r"\*/\nexport function double", tuple(TYPESCRIPT.splitlines())),
            Done("test", 14, r"double\(", (), where="src/cart.test.ts"),
        ),
    ),
    "go": (
        {"cart.go": GO, "go.mod": "module example.com/shop\n\ngo 1.21\n"},
        (
            Done("simplify", 9, r"range items", ("func Total(items []Item) int {",
                 "func ParsePrice(text string) int {")),
            Done("errors", 17, r"err != nil", ("func Total(items []Item) int {",
                 "func ParsePrice(text string) int {")),
            Done("document", 9, r"// Total .*\n(?:// ?.*\n)*func Total", tuple(GO.splitlines())),
            Done("test", 9, r"func TestTotal\(t \*testing\.T\)", (), where="cart_test.go"),
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("language", PROJECTS)
async def test_actions_by_the_real_model(
    editor: StartEditor, default_model: Path, tmp_path: Path, language: str
) -> None:
    files, wanted = PROJECTS[language]
    root = tmp_path / "project"
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    name = next(iter(files))
    options = {"models": {"complete": str(default_model)}}
    async with editor(options, caps=_caps(), root=root) as e:
        uri = e.open(files[name], (root / name).as_uri(), language)
        for one in wanted:
            where = one.where or name
            edit = await _edit(e, uri, one)
            before = files.get(where, "")
            check(language, before, _after(before, edit, (root / where).as_uri()), one)
        last = await e.traces(len(wanted))
        assert [row["situation"] for row in reversed(last)] == [one.action for one in wanted]


def check(language: str, before: str, after: str, one: Done) -> None:
    """Whether `one` came to what it should."""
    row = language_for(language)
    assert row is not None
    parsed = parse(row, after)
    assert parsed is not None
    assert not parsed.root.has_error, after
    assert after != before
    assert re.search(one.has, after), after
    left = after.splitlines()
    for line in one.kept:
        assert line in left, (line, after)


def _caps() -> types.ClientCapabilities:
    said = capabilities()
    kinds = types.ResourceOperationKind
    said.workspace = types.WorkspaceClientCapabilities(
        apply_edit=True,
        workspace_edit=types.WorkspaceEditClientCapabilities(
            document_changes=True, resource_operations=[kinds.Create]
        ),
    )
    return said


async def _edit(e: Editor, uri: str, one: Done) -> list[dict[str, Any]]:
    """The document changes that the action proposes."""
    arguments = {
        "action": one.action,
        "uri": uri,
        "range": _place(one.line),
        "instruction": one.instruction,
        "diagnostics": [{"range": _place(row), "message": said} for row, said in one.problems],
        "preview": True,
    }
    asked = e.client.workspace_execute_command_async(
        types.ExecuteCommandParams("nearfield.action", [arguments])
    )
    told = plain(await asyncio.wait_for(asked, 10 * PATIENCE_S))
    assert told["applied"] is False
    assert told["diff"].startswith("--- ")
    return told["edit"]["documentChanges"]


def _after(before: str, changes: list[dict[str, Any]], uri: str) -> str:
    """The file with what is changed of it; nothing else may be changed."""
    edits: list[dict[str, Any]] = []
    for change in changes:
        if "edits" in change:
            assert change["textDocument"]["uri"] == uri
            edits += change["edits"]
        else:
            assert (change["kind"], change["uri"], before) == ("create", uri, "")
    starts = [0]
    for line in before.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))

    def offset(place: dict[str, int]) -> int:
        return starts[place["line"]] + place["character"]

    places = sorted(
        ((offset(e["range"]["start"]), offset(e["range"]["end"]), e["newText"]) for e in edits),
        reverse=True,
    )
    after = before
    for start, end, text in places:
        after = after[:start] + text + after[end:]
    return after


def _place(line: int) -> dict[str, Any]:
    here = {"line": line, "character": 4}
    return {"start": here, "end": here}
