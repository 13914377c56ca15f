"""Whether anything gets in the way of typing: a chat that streams, the index, and cancelling.

    python tests/bench/in_the_way.py [--rounds N] [--json]

Keystrokes in turns without and with a chat answer under way, so that other load on the machine hits
both alike: the ratio of the medians of what an answer of ten tokens takes, since one keystroke asks
for longer answers than another. The same with the index at work: in each round a part of Python's
own library is put into the workspace. Then what a keystroke has to wait for right after the
cancellation of a cold request, and during idle prefill: the time to its answer less what the model
took to write it, beside the same of the keystrokes with nothing beside them.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sysconfig
import tempfile
import time
from dataclasses import dataclass, field
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


TOKENS = 10


@dataclass(frozen=True)
class Key:
    """An answer of the model to a keystroke, in milliseconds: what the user waited besides its
    being written, and what each token of it took."""

    waited: float
    token: float

    @property
    def total(self) -> float:
        """To an answer of `TOKENS`."""
        return self.waited + self.token * TOKENS


class Typist:
    """Types at one place, and asks after every keystroke."""

    def __init__(self, editor: Editor, folder: Path) -> None:
        self.editor = editor
        self.uri = (folder / "typed.py").as_uri()
        self.column = 0
        self.row = ROW
        editor.open(self.uri, TEXT)
        editor.complete(self.uri, ROW, 0, invoked=False)

    def keystroke(self) -> Key | None:
        """The next character of `LINE`; None when the model was not asked, or said nothing."""
        if self.column == len(LINE):
            self.editor.edit(self.uri, self.row, self.column, "\n")
            self.row, self.column = self.row + 1, 0
        self.editor.edit(self.uri, self.row, self.column, LINE[self.column])
        self.column += 1
        begun = time.perf_counter()
        self.editor.complete(self.uri, self.row, self.column, invoked=False)
        total = (time.perf_counter() - begun) * 1000
        account = self.editor.trace()[0]
        if not account["generated_tokens"]:
            return None
        return Key(total - account["decode_ms"], account["decode_ms"] / account["generated_tokens"])

    def keystrokes(self) -> list[Key]:
        """`KEYS` that the model answers."""
        keys: list[Key] = []
        while len(keys) < KEYS:
            if key := self.keystroke():
                keys.append(key)
        return keys


@dataclass
class Turns:
    """Keystrokes without and with something beside them."""

    alone: list[Key] = field(default_factory=list[Key])
    beside: list[Key] = field(default_factory=list[Key])

    def figures(self, name: str) -> dict[str, float]:
        """Medians, and their ratio."""
        alone = statistics.median(key.total for key in self.alone)
        beside = statistics.median(key.total for key in self.beside)
        return {
            f"{name}_keys": len(self.beside),
            f"without_{name}_ms": round(alone, 1),
            f"beside_{name}_ms": round(beside, 1),
            f"{name}_ratio": round(beside / alone, 3),
        }


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


def typing(editor: Editor, typist: Typist, rounds: int) -> Turns:
    """Without and with a chat under way."""
    turns = Turns()
    for _ in range(rounds):
        turns.alone += typist.keystrokes()
        id = chat(editor)
        turns.beside += typist.keystrokes()
        editor.notify("$/cancelRequest", {"id": id})
        settle(editor, id)
        while not editor.notifications.empty():
            editor.notifications.get()
    return turns


def indexing(editor: Editor, typist: Typist, folder: Path, rounds: int) -> tuple[Turns, int]:
    """While the index has nothing to do, and while it reads files or embeds; and how many vectors
    it had still made during the keystrokes."""
    turns, made = Turns(), 0
    sources = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    for i in range(rounds):
        index_is(editor, "ready")
        turns.alone += typist.keystrokes()
        part = folder / f"library_{i}"
        part.mkdir()
        for source in sources[i * FILES : (i + 1) * FILES]:
            (part / source.name).write_bytes(source.read_bytes())
        index_is(editor, "building", "embedding")
        before = index_of(editor)["vectors"]
        turns.beside += typist.keystrokes()
        after = index_of(editor)
        if after["state"] not in ("building", "embedding"):
            raise SystemExit("the index was ready before the keys were typed: raise FILES")
        made += after["vectors"] - before
    return turns, made


def index_is(editor: Editor, *states: str) -> None:
    """Wait until the index is in one of `states`."""
    end = time.monotonic() + INDEX_SECONDS
    while (state := index_of(editor)["state"]) not in states:
        if time.monotonic() > end:
            raise SystemExit(f"the index is still {state}")
        time.sleep(0.05)


def index_of(editor: Editor) -> Json:
    """What the index does."""
    return editor.call("nearfield/status", None)["index"]


def interrupted(
    editor: Editor, typist: Typist, folder: Path, rounds: int
) -> dict[str, list[Key | None]]:
    """Keystrokes right after a cold request was cancelled, and during idle prefill."""
    after_cancel: list[Key | None] = []
    in_prefill: list[Key | None] = []
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
        indexed, vectors = indexing(editor, typist, Path(folder), options.rounds)
        cut = interrupted(editor, typist, Path(folder), options.rounds * 3)
    figures = chatted.figures("chat") | indexed.figures("index")
    figures["vectors_made_meanwhile"] = vectors
    usual = statistics.median(key.waited for key in (*chatted.alone, *indexed.alone))
    figures["waited_usually_ms"] = round(usual, 1)
    for name, keys in cut.items():
        more = [key.waited - usual for key in keys if key]
        figures[f"{name}_keys"] = len(more)
        figures[f"{name}_p50_more_ms"] = round(statistics.median(more), 1)
        figures[f"{name}_max_more_ms"] = round(max(more), 1)
    if options.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:28}{value:10}")


if __name__ == "__main__":
    main()
