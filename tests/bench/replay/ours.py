"""`nearfield serve` in an editor that behaves as VS Code does.

After every keystroke it sends the change, cancels the request before, and asks anew; a suggestion
that was taken is told.
"""

from __future__ import annotations

import os
import queue
import time
from pathlib import Path

from completer import GIVE_UP_SECONDS, Cost, Looked
from editor import Editor, Json
from sessions import Kind


class Ours:
    """One server on one workspace folder, whose caches are in `home`."""

    name = "nearfield"

    def __init__(self, folder: Path, home: Path, language: str, settings: Json) -> None:
        self.costs: list[Cost] = []
        self._folder, self._home, self._language = folder, home, language
        self._settings = settings
        self._editor: Editor | None = None
        self._kind = Kind.COLD
        self._before: Json = {}
        self._pending: tuple[int, str, int] | None = None
        self._sent = 0.0
        self._texts: dict[str, str] = {}
        self._file = ""

    def start(self) -> None:
        """See `Completer`."""
        self.close()
        own = {"NEARFIELD_DATA_DIR": str(self._home)}
        self._editor = Editor(self._folder, self._settings, env=dict(os.environ) | own)
        self._editor.wait_ready()
        self._texts.clear()
        self._before = {}

    def close(self) -> None:
        """See `Completer`."""
        if self._editor is not None:
            self._count()
            self._editor.__exit__(None, None, None)
            self._editor = None

    def open(self, name: str, text: str) -> None:
        """See `Completer`."""
        self._file = (self._folder / name).as_uri()
        if self._file not in self._texts:
            self._texts[self._file] = text
            self.editor.open(self._file, text, self._language)

    def edit(self, kind: Kind, text: str, offset: int, removed: int, added: str) -> None:
        """See `Completer`."""
        before, self._texts[self._file] = self._texts[self._file], text
        start, end = _position(before, offset), _position(before, offset + removed)
        self.editor.replace(self._file, start, end, added)
        self._ask(kind, text, offset + len(added))

    def look(self, kind: Kind, text: str, offset: int) -> Looked:
        """See `Completer`."""
        if self._pending is None or self._pending[1:] != (self._file, offset):
            self._ask(kind, text, offset)
        if self._pending is None:
            raise RuntimeError("nothing was asked")
        shown = ""
        try:
            answer = self.editor.answer(self._pending[0], GIVE_UP_SECONDS)
            items = answer.get("items", []) if isinstance(answer, dict) else answer or []
            if items:
                start = items[0]["range"]["start"]["character"]
                _, column = _position(text, offset)
                shown = items[0]["insertText"][max(0, column - start) :]
                self.editor.notify("textDocument/didShowCompletion", {"item": items[0]})
        except queue.Empty:
            pass
        ms = (time.perf_counter() - self._sent) * 1000
        self._pending = None
        self._count()
        return Looked(kind, ms, shown)

    @property
    def editor(self) -> Editor:
        """The client; raises before `start`."""
        if self._editor is None:
            raise RuntimeError("not started")
        return self._editor

    def _ask(self, kind: Kind, text: str, offset: int) -> None:
        if self._pending is not None:
            self.editor.notify("$/cancelRequest", {"id": self._pending[0]})
        if kind is not self._kind:
            self._count()
            self._kind = kind
        line, column = _position(text, offset)
        self._sent = time.perf_counter()
        id = self.editor.send(
            "textDocument/inlineCompletion",
            {
                "textDocument": {"uri": self._file},
                "position": {"line": line, "character": column},
                "context": {"triggerKind": 2},
            },
        )
        self._pending = (id, self._file, offset)

    def _count(self) -> None:
        """What was evaluated since the last time goes to the kind of place that was asked about."""
        spent: Json = self.editor.call("nearfield/spent", {})
        for name, idle in (("completion", False), ("prefill", True)):
            now, before = spent[name], self._before.get(name, {})
            cost = {key: now[key] - before.get(key, 0) for key in now}
            if any(cost.values()):
                self.costs.append(Cost(self._kind, **cost, idle=idle))
        self._before = spent


def _position(text: str, offset: int) -> tuple[int, int]:
    """Line and UTF-16 column of an offset."""
    start = text.rfind("\n", 0, offset) + 1
    column = len(text[start:offset].encode("utf-16-le")) // 2
    return text.count("\n", 0, start), column
