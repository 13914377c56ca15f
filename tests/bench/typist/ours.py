"""`nearfield serve` in an editor that asks after each key, by the clock on the wall."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import psutil
from completer import Edit, Spent
from editing import Editing, Shown
from editor import Editor
from screen import Screen


class Ours(Editing):
    """A server on one folder; its own files are in `home`."""

    def __init__(self, folder: Path, home: Path, language: str, settings: dict[str, Any]) -> None:
        super().__init__()
        self._folder, self._home, self._language = folder, home, language
        self._settings = settings
        self._editor: Editor | None = None
        self._uri, self._text = "", ""
        self._keys_ms: list[float] = []
        self._cpu = 0.0

    async def start(self, screen: Screen) -> None:
        """See `Completer`."""
        await super().start(screen)
        environ = dict(os.environ) | {"NEARFIELD_DATA_DIR": str(self._home)}
        self._editor = Editor(self._folder, self._settings, env=environ)
        await asyncio.to_thread(self._editor.wait_ready, 600)

    async def open(self, name: str, text: str) -> None:
        """See `Completer`."""
        self._uri, self._text = (self._folder / name).as_uri(), text
        self._cpu = cpu_seconds(self.editor.process.pid)
        self.editor.open(self._uri, text, self._language)

    @property
    def editor(self) -> Editor:
        """The client; raises before `start`."""
        assert self._editor is not None
        return self._editor

    def told(self, text: str, edit: Edit) -> None:
        """See `Editing`."""
        before, self._text = self._text, text
        start = position(before, edit.offset)
        end = position(before, edit.offset + edit.removed)
        self.editor.replace(self._uri, start, end, edit.added)

    async def answer(self, text: str, cursor: int) -> Shown | None:
        """See `Editing`."""
        line, column = position(text, cursor)
        id = self.editor.send(
            "textDocument/inlineCompletion",
            {
                "textDocument": {"uri": self._uri},
                "position": {"line": line, "character": column},
                "context": {"triggerKind": 2},
            },
        )
        waiting = asyncio.get_running_loop().run_in_executor(None, self._wait, id)
        try:
            answer = await asyncio.shield(waiting)
        except asyncio.CancelledError:
            sent = time.perf_counter()
            self.editor.notify("$/cancelRequest", {"id": id})
            waiting.add_done_callback(lambda done: self._handled(sent, done))
            raise
        items = answer.get("items", []) if isinstance(answer, dict) else answer or []
        if not items:
            return None
        item = items[0]
        start, end = item["range"]["start"]["character"], item["range"]["end"]["character"]
        typed = text[cursor - (column - start) : cursor] if start <= column else ""
        if end != column or not item["insertText"].startswith(typed):
            return None
        self._item = item
        return Shown(item["insertText"][len(typed) :], item["command"]["arguments"][0])

    def _wait(self, id: int) -> Any:
        try:
            return self.editor.answer(id)
        except RuntimeError:
            return None  # it was given up

    def _handled(self, sent: float, done: asyncio.Future[Any]) -> None:
        """Note when the server had come to a key: when it answers what the key has overtaken."""
        if not done.cancelled():
            self._keys_ms.append((time.perf_counter() - sent) * 1000)

    def shown(self, found: Shown) -> None:
        """See `Editing`."""
        self.editor.notify("textDocument/didShowCompletion", {"item": self._item})

    def took(self, found: Shown) -> None:
        """See `Editing`."""
        arguments = {"command": "nearfield.accept", "arguments": [found.id]}
        self.editor.send("workspace/executeCommand", arguments)

    def spent(self) -> Spent:
        """See `Completer`."""
        spent = self.editor.call("nearfield/spent", {})
        reasons: dict[str, int] = {}
        for trace in self.editor.trace(10_000):
            reasons[trace["reason"]] = reasons.get(trace["reason"], 0) + 1
        return Spent(
            evaluated=sum(kind["evaluated"] for kind in spent.values()),
            generated=sum(kind["generated"] for kind in spent.values()),
            cpu_s=cpu_seconds(self.editor.process.pid) - self._cpu,
            keys_ms=self._keys_ms,
            reasons=reasons,
        )

    async def close(self) -> None:
        """See `Completer`."""
        await self.end()
        await asyncio.to_thread(self.editor.__exit__, None, None, None)


def position(text: str, offset: int) -> tuple[int, int]:
    """Return the line and the UTF-16 column of an offset."""
    start = text.rfind("\n", 0, offset) + 1
    return text.count("\n", 0, start), len(text[start:offset].encode("utf-16-le")) // 2


def cpu_seconds(pid: int) -> float:
    """Return the processor seconds of a process and of those that it has started."""
    total = 0.0
    process = psutil.Process(pid)
    for one in (process, *process.children(recursive=True)):
        try:
            times = one.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total
