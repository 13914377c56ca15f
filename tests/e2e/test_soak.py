"""Random typing over many files: every request answered once, nothing leaked, memory flat.

Some seconds in `make test`; by hand as long as one likes: `NEARFIELD_SOAK_SECONDS=600 pytest
tests/e2e/test_soak.py`.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.e2e.prepared import STARTED
from tests.e2e.process import PATIENCE_SECONDS, script
from tests.e2e.wiring import StartWire, Wire, ghost_params

SECONDS = float(os.environ.get("NEARFIELD_SOAK_SECONDS", "8"))
FILES = 24
"""More than the engine holds sequences, and more than an editor shows."""

GROWTH_MB = 64
"""What a process may grow after the first third: caches fill up to their limits, allocators round
up. A leak of a kilobyte a request is more than that within ten minutes."""

WORDS = ("value", "return ", "self.", "(", ")", ": ", "total += ", "x", "é", "\U0001f600", "= ")
TEXT = (
    "class Thing{n}:\n    def total(self, values):\n        return \n\n    def other(self):\n" * 4
)

ANSWERS = (
    {"match": r"return $", "text": "sum(values)\n", "delay_ms": 5},
    {"match": r"\($", "text": "values)\n", "piece_ms": 3},
    {"match": r"total \+= $", "text": "value\n"},
    {"match": r"self\.$", "text": "", "hang": True},
    {"match": r"\)$", "text": "x", "error": "Unreachable"},
    {"match": r"", "text": "value = 1\n"},
)


class Typist:
    """Somebody who types, jumps, undoes, accepts, cancels, opens and closes without sense."""

    def __init__(self, wire: Wire, dice: random.Random) -> None:
        self.wire, self.dice = wire, dice
        self.texts: dict[str, str] = {}
        self.versions: dict[str, int] = {}
        self.asked: list[int] = []
        self.done = Counter[str]()

    def go(self) -> None:
        """Do one thing."""
        uri = f"file:///w/soak{self.dice.randrange(FILES)}.py"
        if uri not in self.texts:
            self.texts[uri] = TEXT.replace("{n}", str(self.dice.randrange(100)))
            self.versions[uri] = 1
            self.wire.open(self.texts[uri], uri)
        what = self.dice.choices(
            ("type", "new line", "delete", "paste", "ask", "invoke", "cancel", "accept", "close"),
            (40, 6, 10, 2, 25, 5, 5, 4, 2),
        )[0]
        self.done[what] += 1
        text = self.texts[uri]
        at = self.dice.randrange(len(text) + 1)
        if what in ("type", "new line", "paste"):
            new = {"type": self.dice.choice(WORDS), "new line": "\n    ", "paste": TEXT}[what]
            self.edit(uri, at, at, new)
            self.ask(uri, at + len(new), 2)
        elif what == "delete":
            self.edit(uri, at, min(len(text), at + self.dice.randrange(200)), "")
        elif what in ("ask", "invoke"):
            self.ask(uri, at, 1 if what == "invoke" else 2)
        elif what == "cancel" and self.asked:
            self.wire.notify("$/cancelRequest", {"id": self.asked[-1]})
        elif what == "accept":
            self.accept(uri)
        elif what == "close":
            self.close(uri)
        if len(self.texts.get(uri, "")) > 20_000:
            self.close(uri)

    def edit(self, uri: str, start: int, end: int, new: str) -> None:
        """Replace a part of the document."""
        text = self.texts[uri]
        self.versions[uri] += 1
        span = {"start": place(text, start), "end": place(text, end)}
        self.wire.notify(
            "textDocument/didChange",
            {
                "textDocument": {"uri": uri, "version": self.versions[uri]},
                "contentChanges": [{"range": span, "text": new}],
            },
        )
        self.texts[uri] = text[:start] + new + text[end:]

    def ask(self, uri: str, at: int, kind: int) -> None:
        """Ask for ghost text."""
        where = place(self.texts[uri], at)
        params = ghost_params(uri, where["line"], where["character"], kind)
        self.asked.append(self.wire.request("textDocument/inlineCompletion", params))

    def accept(self, uri: str) -> None:
        """Take a suggestion that came a while ago for some document, as clients do."""
        for message in reversed(self.wire.answers()[-40:]):
            for item in (message.get("result") or {}).get("items", ()):
                self.edit(uri, len(self.texts[uri]), len(self.texts[uri]), item["insertText"])
                command = item["command"]
                params = {"command": command["command"], "arguments": command["arguments"]}
                self.asked.append(self.wire.request("workspace/executeCommand", params))
                return

    def close(self, uri: str) -> None:
        """Close the document."""
        del self.texts[uri]
        self.wire.notify("textDocument/didClose", {"textDocument": {"uri": uri}})


def place(text: str, at: int) -> dict[str, int]:
    """A position as on the wire."""
    line = text[:at].rpartition("\n")[2]
    return {"line": text.count("\n", 0, at), "character": len(line.encode("utf-16-le")) // 2}


def memory(wire: Wire) -> dict[str, float]:
    """Megabytes that the server and its worker hold."""
    server = psutil.Process(wire.process.pid)
    every = {"server": server, **{f"child {i}": p for i, p in enumerate(server.children())}}
    return {name: process.memory_info().rss / 2**20 for name, process in every.items()}


def soak(wire: Wire, seconds: float, pause: float) -> Typist:
    """Type for so long; every request is answered once, and no process has grown."""
    typist = Typist(wire, random.Random(11))
    begun = time.monotonic()
    settled: dict[str, float] = {}
    while (past := time.monotonic() - begun) < seconds:
        typist.go()
        time.sleep(typist.dice.random() * pause)
        if not settled and past > seconds / 3:
            settled = memory(wire)
    for uri in tuple(typist.texts):
        typist.close(uri)
    # Asked for one by one, the tens of thousands of ten minutes would take another ten.
    waiting = set(typist.asked) - {message["id"] for message in wire.answers()}
    for number in waiting:
        wire.answer(number)
    seen = Counter(message["id"] for message in wire.answers())
    assert len(typist.asked) > 10
    assert [number for number in typist.asked if seen[number] != 1] == []
    grown = {name: mb - settled.get(name, mb) for name, mb in memory(wire).items()}
    assert all(mb < GROWTH_MB for mb in grown.values()), grown
    assert "Traceback" not in wire.log()
    return typist


def still_answers(wire: Wire, expected: int) -> None:
    """As many new documents as were open get an answer: no sequence of the engine is lost."""
    for number in range(expected):
        uri = wire.open("def add(a, b):\n    return \n", f"file:///w/after{number}.py")
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            wire.ghost(uri, 1, 11)
            (trace,) = wire.ask("nearfield/trace", {"last": 1})
            # The deadlines are short, and a busy machine may be late.
            if trace["reason"] != "deadline" or time.monotonic() > end:
                break
        assert trace["reason"] in ("", "empty", "whitespace", "repeats", "syntax"), trace


def test_a_long_session_with_a_script_stays_small_and_right(wire: StartWire) -> None:
    w = wire("--stdio", program=STARTED)
    settings: dict[str, Any] = {
        "completion": {"deadline_ms": 2000, "invoked_deadline_ms": 4000},
        # The script fails often; that the others then rest is tested elsewhere.
        "routing": {"roles": {"complete": ["fake"]}, "breaker_failures": 1_000_000},
    }
    w.initialize(script(ANSWERS, **settings))
    soak(w, SECONDS, 0.02)
    assert any(trace["shown"] for trace in w.ask("nearfield/trace", {"last": 1000}))
    still_answers(w, FILES)


@pytest.mark.model
def test_a_long_session_with_a_small_model_stays_small_and_right(
    wire: StartWire, small_model: Path
) -> None:
    w = wire("--stdio", program=STARTED)
    short = {"deadline_ms": 1500, "invoked_deadline_ms": 3000, "max_tokens": 24}
    w.initialize({"models": {"complete": str(small_model)}, "completion": short})
    soak(w, SECONDS, 0.2)
    still_answers(w, 4)
