"""LSP4IJ (JetBrains) and lsp-mode (Emacs): how each asks for inline completions and uses them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.process import PATIENCE_SECONDS, script
from tests.e2e.wiring import StartWire, Wire

from nearfield.syntax.languages import language_for

TEMPLATE = Path(__file__).parents[2] / "editors" / "lsp4ij" / "template.json"
ANSWERS: list[dict[str, Any]] = [
    {"match": r"é = 1; ret$", "text": "urn a + b"},
    {"match": r"print\(add\($", "text": "1, 2)"},
    {"match": r"def add\(a, b\):\n$", "text": "    total = a + b\n    return total\n"},
]

Use = Callable[[str, int, Mapping[str, Any], Callable[[Mapping[str, int]], int]], str]
"""Returns the text after an item was taken, given the text, the cursor, the item, and the offset of
a position."""


def as_lsp4ij(
    text: str, at: int, item: Mapping[str, Any], offset: Callable[[Mapping[str, int]], int]
) -> str:
    """What is typed already is cut off; what the range has behind the cursor is stepped over."""
    shown, skipped = item["insertText"], 0
    if item.get("range"):
        start, end = offset(item["range"]["start"]), offset(item["range"]["end"])
        if start < at <= end and at - start < len(shown):
            assert shown[: at - start] == text[start:at]
            shown = shown[at - start :]
        skipped = max(0, end - at)
    return text[: at + skipped] + shown + text[at + skipped :]


def as_lsp_mode(
    text: str, at: int, item: Mapping[str, Any], offset: Callable[[Mapping[str, int]], int]
) -> str:
    """The range is replaced, without one the text is put at the cursor."""
    if not item.get("range"):
        return text[:at] + item["insertText"] + text[at:]
    start, end = offset(item["range"]["start"]), offset(item["range"]["end"])
    return text[:start] + item["insertText"] + text[end:]


@dataclass(frozen=True)
class GhostClient:
    """An editor: the encodings that it offers, how it asks, and how it uses an item."""

    encodings: tuple[str, ...]
    trigger: int
    use: Use


CLIENTS = {
    "lsp4ij": GhostClient(("utf-16",), 2, as_lsp4ij),
    "lsp-mode": GhostClient(("utf-32", "utf-16"), 1, as_lsp_mode),
}
WIDTHS: dict[str, Callable[[str], int]] = {
    "utf-16": lambda text: len(text.encode("utf-16-le")) // 2,
    "utf-32": len,
}
CASES = {
    "the rest of a line": ("# 🙂\ndef add(a, b):\n    é = 1; ret|\n", "return a + b"),
    "several lines": ("def add(a, b):\n|\n\nprint(add(1, 2))\n", "    total = a + b\n    return"),
    "before a closing bracket": (
        "def add(a, b):\n    pass\n\nprint(add(|))\n",
        "print(add(1, 2))\n",
    ),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", CLIENTS)
def test_what_is_taken_is_what_was_suggested(wire: StartWire, name: str, case: str) -> None:
    client, (marked, told) = CLIENTS[name], CASES[case]
    w = wire("--stdio")
    capabilities = {
        "general": {"positionEncodings": list(client.encodings)},
        "textDocument": {"inlineCompletion": {}},
    }
    able = w.initialize(script(ANSWERS), capabilities=capabilities)["capabilities"]
    assert "inlineCompletionProvider" in able
    width = WIDTHS[able["positionEncoding"]]
    text, at = marked.replace("|", ""), marked.index("|")
    line = text.count("\n", 0, at)
    character = width(text[:at].rpartition("\n")[2])
    item = asked(w, w.open(text), {"line": line, "character": character}, client.trigger)

    def offset(position: Mapping[str, int]) -> int:
        lines = text.splitlines(keepends=True)
        row = lines[position["line"]]
        column = next(n for n in range(len(row) + 1) if width(row[:n]) == position["character"])
        return sum(map(len, lines[: position["line"]])) + column

    assert told in client.use(text, at, item, offset)


def asked(w: Wire, uri: str, position: Mapping[str, int], trigger: int) -> Mapping[str, Any]:
    """The first item, once there is one."""
    params = {
        "textDocument": {"uri": uri},
        "position": position,
        "context": {"triggerKind": trigger},
    }
    for _ in range(int(PATIENCE_SECONDS / 0.1)):
        answer = w.ask("textDocument/inlineCompletion", params)
        items = answer["items"] if isinstance(answer, dict) else answer
        if items:
            return items[0]
    pytest.fail("nothing was suggested")


def test_the_template_is_one_that_lsp4ij_imports() -> None:
    template = json.loads(TEMPLATE.read_text())
    assert template["name"] == "Nearfield"
    # With an id it would link to a page among LSP4IJ's own; what it exports has none.
    assert "id" not in template
    assert template["programArgs"]["default"] == "nearfield serve"
    for mapping in template["fileTypeMappings"]:
        for pattern in mapping["fileType"]["patterns"]:
            by_name = language_for("", f"a{pattern.removeprefix('*')}")
            assert language_for(mapping["languageId"], f"a{pattern.removeprefix('*')}") is by_name
