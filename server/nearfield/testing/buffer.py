"""A document in the headless editor: its text, a cursor, and what can be asked there.

Positions are offsets in code points; the session speaks UTF-32, so that columns are the same.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from nearfield.testing.connection import Connection, Failed

_BREAK = re.compile(r"\r\n|\r|\n")

POPUP_SECONDS = 0.1
"""Interval at which an incomplete popup is requested again, as if the user typed on."""


@dataclass(frozen=True, slots=True)
class Item:
    """An item of the completion list; `text` is what taking it writes, `raw` all of it."""

    label: str
    detail: str
    text: str
    raw: Mapping[str, Any]


class Host(Protocol):
    """The part of an editor that a buffer needs."""

    connection: Connection

    def apply(self, edit: Mapping[str, Any]) -> None:
        """Apply a `WorkspaceEdit`."""
        ...

    def execute(self, command: Mapping[str, Any]) -> Any:
        """Run a command of the server's."""
        ...


class Buffer:
    """See the module. Made by `Editor.open`; the cursor is at the end."""

    def __init__(self, host: Host, uri: str, language: str, text: str) -> None:
        self.uri = uri
        self.text = text
        self.cursor = len(text)
        self.version = 1
        self.diagnostics: list[dict[str, Any]] = []
        self._host = host
        self._shown: dict[str, Any] | None = None
        item = {"uri": uri, "languageId": language, "version": 1, "text": text}
        host.connection.notify("textDocument/didOpen", {"textDocument": item})

    # --- what a user does -------------------------------------------------------------------

    def type(self, text: str) -> None:
        """Type at the cursor, key by key."""
        for key in text:
            self.replace(self.cursor, self.cursor, key)

    def delete(self, count: int = 1) -> None:
        """Delete `count` characters left of the cursor."""
        self.replace(max(0, self.cursor - count), self.cursor, "")

    def go_behind(self, text: str) -> None:
        """Put the cursor after the first occurrence of `text`. Raises `Failed`."""
        at = self.text.find(text)
        if at < 0:
            raise Failed(f"{text!r} is not in {self.uri}.")
        self.cursor = at + len(text)

    def replace(self, start: int, end: int, text: str) -> None:
        """Replace a range, and tell the server; the cursor is where `text` ends."""
        self.edit([{"range": self._range(start, end), "newText": text}])
        self.cursor = start + len(text)

    def close(self) -> None:
        """Close the document."""
        self._host.connection.notify("textDocument/didClose", self._document())

    # --- what can be asked ------------------------------------------------------------------

    def suggest(self, *, invoked: bool = True) -> str:
        """The ghost text at the cursor, "" when there is none; `invoked` as if by a key, which
        waits longer for an answer than typing does."""
        context = {"triggerKind": 1 if invoked else 2}
        found = self._ask("textDocument/inlineCompletion", context=context) or {}
        items: Sequence[dict[str, Any]] = found if isinstance(found, list) else found["items"]
        self._shown = items[0] if items else None
        if self._shown is None:
            return ""
        start, _ = self._span(self._shown["range"])
        return self._shown["insertText"].removeprefix(self.text[start : self.cursor])

    def accept(self) -> None:
        """Take what `suggest` has shown. Raises `Failed` when it showed nothing."""
        shown, self._shown = self._shown, None
        if shown is None:
            raise Failed("Nothing is suggested that could be accepted.")
        self.replace(*self._span(shown["range"]), shown["insertText"])
        if "command" in shown:
            self._host.execute(shown["command"])

    def popup(self, wait_s: float = 10.0) -> list[Item]:
        """The completion list at the cursor. One that is empty and not complete is asked for again
        for `wait_s`, as typing would."""
        end = time.monotonic() + wait_s
        while True:
            found = self._ask("textDocument/completion", context={"triggerKind": 1}) or []
            items = found if isinstance(found, list) else found["items"]
            complete = isinstance(found, list) or not found["isIncomplete"]
            if items or complete or time.monotonic() > end:
                return [_item(item) for item in items]
            self._host.connection.rest(POPUP_SECONDS)

    def take(self, item: Item) -> None:
        """Take an item of the list."""
        edit = item.raw.get("textEdit")
        span = self._span(edit["range"]) if edit else (self.cursor, self.cursor)
        self.replace(*span, item.text)
        if command := item.raw.get("command"):
            self._host.execute(command)

    def hover(self) -> str:
        """Return the hover at the cursor as Markdown, "" for none."""
        found = self._ask("textDocument/hover")
        contents = found["contents"] if found else ""
        return contents["value"] if isinstance(contents, dict) else contents

    def actions(self, start: int | None = None, end: int | None = None) -> list[str]:
        """The titles of the code actions for a range, by default at the cursor."""
        return [action["title"] for action in self._actions(start, end)]

    def act(self, title: str, start: int | None = None, end: int | None = None) -> None:
        """Do the first code action whose title begins with `title`. Raises `Failed` when there is
        none, and when it comes to nothing."""
        actions = self._actions(start, end)
        chosen = next((one for one in actions if one["title"].startswith(title)), None)
        if chosen is None:
            raise Failed(f"There is no action {title!r}, only: {[a['title'] for a in actions]}.")
        if "edit" not in chosen and "data" in chosen:
            chosen = self._host.connection.request("codeAction/resolve", chosen)
        if "edit" in chosen:
            self._host.apply(chosen["edit"])
        if command := chosen.get("command"):
            self._host.execute(command)

    # --- edits ------------------------------------------------------------------------------

    def edit(self, edits: Sequence[Mapping[str, Any]]) -> None:
        """Apply text edits, all of them counted in the text as it is, and tell the server."""
        spans = [(*self._span(edit["range"]), edit["newText"]) for edit in edits]
        changes: list[dict[str, Any]] = []
        # From the end, so that those before stay where they are.
        for start, end, new in sorted(spans, key=lambda span: span[:2], reverse=True):
            changes.append({"range": self._range(start, end), "text": new})
            self.text = self.text[:start] + new + self.text[end:]
            if self.cursor >= end:
                self.cursor += len(new) - (end - start)
        self.version += 1
        document = {"uri": self.uri, "version": self.version}
        params = {"textDocument": document, "contentChanges": changes}
        self._host.connection.notify("textDocument/didChange", params)

    # --- inside -----------------------------------------------------------------------------

    def _ask(self, method: str, **more: Any) -> Any:
        params = {**self._document(), "position": self._position(self.cursor), **more}
        return self._host.connection.request(method, params)

    def _actions(self, start: int | None, end: int | None) -> list[dict[str, Any]]:
        first = self.cursor if start is None else start
        range_ = self._range(first, first if end is None else end)
        context: dict[str, Any] = {"diagnostics": self.diagnostics, "triggerKind": 1}
        params = {**self._document(), "range": range_, "context": context}
        return self._host.connection.request("textDocument/codeAction", params) or []

    def _document(self) -> dict[str, Any]:
        return {"textDocument": {"uri": self.uri}}

    def _starts(self) -> list[int]:
        return [0, *(found.end() for found in _BREAK.finditer(self.text))]

    def _position(self, offset: int) -> dict[str, int]:
        starts = [start for start in self._starts() if start <= offset]
        return {"line": len(starts) - 1, "character": offset - starts[-1]}

    def _range(self, start: int, end: int) -> dict[str, Any]:
        return {"start": self._position(start), "end": self._position(end)}

    def _span(self, range_: Mapping[str, Any]) -> tuple[int, int]:
        starts = self._starts()

        def offset(position: Mapping[str, int]) -> int:
            if position["line"] >= len(starts):
                return len(self.text)
            return min(starts[position["line"]] + position["character"], len(self.text))

        return offset(range_["start"]), offset(range_["end"])


def _item(raw: Mapping[str, Any]) -> Item:
    edit = raw.get("textEdit")
    text = edit["newText"] if edit else raw.get("insertText", raw["label"])
    return Item(raw["label"], raw.get("detail", ""), text, raw)
