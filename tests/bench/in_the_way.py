"""Whether anything gets in the way of typing: a chat that streams, the index, and cancelling.

    python tests/bench/in_the_way.py [--rounds N] [--json]

Keystrokes in turns without and with a chat answer under way, so that other load on the machine hits
both alike: the ratio of the medians of the time to the answer. The same with the index at work: in
each round a part of Python's own library is put into the workspace. Then the time from the
cancellation of a running completion, and from a keystroke during idle prefill, to the engine's
being free: a one-token request right after it, less what such a request takes anyway.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sysconfig
import tempfile
import time
from pathlib import Path

from editor import Editor, Json

LINES = "".join(f"    total_{i} = measure(width, height, {i})\n" for i in range(60))
TEXT = "def area(width, height):\n" + LINES + "\n\ndef other(width, height):\n" + LINES
ROW = 30
LINE = "    halved = (height - 3) / 2 if width else None"
"""Nothing that the lines around it suggest, so that most answers come from the model."""

KEYS = 4
"""Keystrokes in a row."""
FILES = 40
"""Put into the workspace in each round: more than is embedded during the keystrokes."""
INDEX_SECONDS = 300


class Typist:
    """Types at one place, and asks after every keystroke."""

    def __init__(self, editor: Editor, folder: Path) -> None:
        self.editor = editor
        self.uri = (folder / "typed.py").as_uri()
        self.column = 0
        self.row = ROW
        editor.open(self.uri, TEXT)
        editor.complete(self.uri, ROW, 0, invoked=False)

    def keystroke(self) -> float:
        """Milliseconds to the answer after the next character of `LINE`."""
        if self.column == len(LINE):
            self.editor.edit(self.uri, self.row, self.column, "\n")
            self.row, self.column = self.row + 1, 0
        self.editor.edit(self.uri, self.row, self.column, LINE[self.column])
        self.column += 1
        begun = time.perf_counter()
        self.editor.complete(self.uri, self.row, self.column, invoked=False)
        return (time.perf_counter() - begun) * 1000


def chat(editor: Editor) -> int:
    """Start a long answer and wait for its first words; the request's id."""
    id = editor.send(
        "nearfield/chat",
        {
            "message": "Write a long story about a compiler, in many sentences.",
            "allowedFunctions": [],
            "maxTokens": 900,
            "partialResultToken": "chat",
        },
    )
    while True:
        message = editor.notifications.get(timeout=120)
        if message["method"] == "$/progress" and message["params"]["token"] == "chat":
            return id


def typing(editor: Editor, typist: Typist, rounds: int) -> tuple[list[float], list[float]]:
    """Times without and with a chat under way."""
    alone: list[float] = []
    beside: list[float] = []
    for _ in range(rounds):
        alone += [typist.keystroke() for _ in range(KEYS)]
        id = chat(editor)
        beside += [typist.keystroke() for _ in range(KEYS)]
        editor.notify("$/cancelRequest", {"id": id})
        settle(editor, id)
        while not editor.notifications.empty():
            editor.notifications.get()
    return alone, beside


def indexing(
    editor: Editor, typist: Typist, folder: Path, rounds: int
) -> tuple[list[float], list[float]]:
    """Times while the index has nothing to do, and while it reads files or embeds."""
    alone: list[float] = []
    beside: list[float] = []
    sources = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    for i in range(rounds):
        index_is(editor, "ready")
        alone += [typist.keystroke() for _ in range(KEYS)]
        part = folder / f"library_{i}"
        part.mkdir()
        for source in sources[i * FILES : (i + 1) * FILES]:
            (part / source.name).write_bytes(source.read_bytes())
        index_is(editor, "building", "embedding")
        times = [typist.keystroke() for _ in range(KEYS)]
        if state_of(editor) not in ("building", "embedding"):
            raise SystemExit("the index was ready before the keys were typed: raise FILES")
        beside += times
    return alone, beside


def index_is(editor: Editor, *states: str) -> None:
    """Wait until the index is in one of `states`."""
    end = time.monotonic() + INDEX_SECONDS
    while (state := state_of(editor)) not in states:
        if time.monotonic() > end:
            raise SystemExit(f"the index is still {state}")
        time.sleep(0.05)


def state_of(editor: Editor) -> str:
    """What the index does."""
    return editor.call("nearfield/status", None)["index"]["state"]


def interrupted(editor: Editor, typist: Typist, folder: Path, rounds: int) -> Json:
    """Keystrokes right after a cold request was cancelled, and during idle prefill: times."""
    after_cancel: list[float] = []
    in_prefill: list[float] = []
    for i in range(rounds):
        uri = (folder / f"cold{i}.py").as_uri()
        editor.open(uri, f"# File {i}\n" + TEXT)
        params: Json = {
            "textDocument": {"uri": uri},
            "position": {"line": 40, "character": 0},
            "context": {"triggerKind": 2},
        }
        id = editor.send("textDocument/inlineCompletion", params)
        time.sleep(0.12 + 0.02 * (i % 10))
        editor.notify("$/cancelRequest", {"id": id})
        after_cancel.append(typist.keystroke())
        settle(editor, id)
        id = editor.send("textDocument/inlineCompletion", params)
        settle(editor, id)
        time.sleep(0.6 + 0.02 * (i % 10))  # by now it evaluates what it showed too little of
        in_prefill.append(typist.keystroke())
        editor.close(uri)
    return {"after_cancel": after_cancel, "in_prefill": in_prefill}


def settle(editor: Editor, id: int) -> None:
    """Wait for the answer to what was cancelled."""
    with contextlib.suppress(RuntimeError):
        editor.answer(id, 60)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Editor(Path(folder)) as editor:
        editor.wait_ready()
        typist = Typist(editor, Path(folder))
        chatted = typing(editor, typist, options.rounds)
        indexed = indexing(editor, typist, Path(folder), options.rounds)
        cut = interrupted(editor, typist, Path(folder), options.rounds * 3)
    figures: dict[str, float] = {}
    for name, (alone, beside) in {"chat": chatted, "index": indexed}.items():
        figures[f"without_{name}_ms"] = round(statistics.median(alone), 1)
        figures[f"beside_{name}_ms"] = round(statistics.median(beside), 1)
        figures[f"{name}_ratio"] = round(statistics.median(beside) / statistics.median(alone), 3)
    usual = statistics.median(chatted[0])
    for name, times in cut.items():
        figures[f"{name}_p50_more_ms"] = round(statistics.median(times) - usual, 1)
        figures[f"{name}_max_more_ms"] = round(max(times) - usual, 1)
    if options.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:28}{value:10}")


if __name__ == "__main__":
    main()
