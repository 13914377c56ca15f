"""Count the files and functions of the server that one keystroke enters.

    python tests/bench/keystroke.py [--files] [--path] [--json]

The real server in this process, over a scripted provider, without an index: a document is opened,
a line is typed and completed once, then one `didChange` is counted up to its return, and one
`inlineCompletion` from the request to its answer. `sys.setprofile` reports each call (and each
resumption of a coroutine or generator) on the event loop's thread; only code of the package counts.
A move is a call into another file than the call before it; `--path` lists them all. Idle work is
put off, so the counts are the same in every run, also on a loaded machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import nearfield
from nearfield.config.load import Loaded
from nearfield.config.schema import Completion, Config, Engine, Index, ProviderSettings
from nearfield.features import idle
from nearfield.features.status import ServiceState
from nearfield.lsp import server

PACKAGE = str(Path(nearfield.__file__).parent) + os.sep

URI = "file:///work/a.py"
TEXT = "def add(first, second):\n    return first + second\n\n\ndef twice(value):\n    "
ANSWER = [{"match": "return $", "text": "first + first\n"}, {"match": "a", "text": "dd(value)\n"}]
WAIT_SECONDS = 20.0


@dataclass
class Count:
    """The calls of one step, in order."""

    calls: list[CodeType] = field(default_factory=list[CodeType])

    @property
    def files(self) -> dict[str, int]:
        """Return the files entered, relative to the package, with their number of functions."""
        functions = {code: code.co_filename.removeprefix(PACKAGE) for code in self.calls}
        names = list(functions.values())
        return {name: names.count(name) for name in dict.fromkeys(names)}

    @property
    def path(self) -> list[tuple[str, list[str]]]:
        """Return the files in the order in which they were entered, each with its functions."""
        visits = groupby(self.calls, lambda code: code.co_filename.removeprefix(PACKAGE))
        return [(name, [code.co_qualname for code in calls]) for name, calls in visits]

    @property
    def moves(self) -> int:
        """Return the number of calls into another file than the call before."""
        return len(self.path) - 1

    def note(self, frame: FrameType, event: str, _argument: object) -> None:
        """Take an event of `sys.setprofile`."""
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            self.calls.append(frame.f_code)


class Client:
    """Sends messages to a server in this process and keeps its answers."""

    def __init__(self) -> None:
        self.server = server.build(_settings)
        self.protocol = self.server.session.protocol
        self.protocol.set_writer(self)  # pyright: ignore[reportArgumentType] - an Outbox is one
        self.answered: dict[str, Any] = {}
        self.when_answered: Callable[[], None] = lambda: None

    def write(self, frame: bytes, _replaces: str = "") -> None:
        """Take a frame of the server's."""
        message = json.loads(frame.partition(b"\r\n\r\n")[2])
        if "method" not in message:
            self.answered[message["id"]] = message.get("result")
            self.when_answered()

    def send(self, method: str, params: Any, **more: Any) -> None:
        """Send a notification, or with an `id` a request."""
        self.protocol.receive({"jsonrpc": "2.0", "method": method, "params": params, **more})

    async def ask(self, method: str, params: Any, count: Count | None = None) -> Any:
        """Return the result of a request, counted up to the moment when it is sent."""
        number = f"n{len(self.answered)}"
        done = asyncio.Event()

        def answered() -> None:
            if number in self.answered:
                sys.setprofile(None)
                done.set()

        self.when_answered = answered
        if count is not None:
            sys.setprofile(count.note)
        self.send(method, params, id=number)
        async with asyncio.timeout(WAIT_SECONDS):
            await done.wait()
        return self.answered[number]


def _settings(roots: Sequence[str], client: object) -> tuple[Loaded, dict[str, Loaded]]:
    del roots, client
    demo = ProviderSettings(kind="scripted", options={"answers": ANSWER})
    loaded = Loaded(
        Config(
            engine=Engine(enabled=False),
            index=Index(enabled=False),
            providers={"demo": demo},
            completion=Completion(debounce_ms=0),
        )
    )
    return loaded, {}


class Typing:
    """A document that grows at its end, one notification a step."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.text, self.version = TEXT, 1

    def at_end(self) -> dict[str, int]:
        """Return the position of the cursor."""
        lines = self.text.split("\n")
        return {"line": len(lines) - 1, "character": len(lines[-1])}

    def type(self, text: str) -> None:
        """Insert `text` at the end."""
        at = self.at_end()
        self.text += text
        self.version += 1
        changes = [{"range": {"start": at, "end": at}, "text": text}]
        document = {"uri": URI, "version": self.version}
        params = {"textDocument": document, "contentChanges": changes}
        self.client.send("textDocument/didChange", params)

    async def complete(self, count: Count | None = None) -> list[Any]:
        """Return the items that are offered at the end."""
        params = {
            "textDocument": {"uri": URI},
            "position": self.at_end(),
            "context": {"triggerKind": 2},
        }
        result = await self.client.ask("textDocument/inlineCompletion", params, count)
        return result["items"]


async def measure() -> dict[str, Count]:
    """Return the counts of one keystroke: typed, and completed by a model."""
    idle.REST_SECONDS = WAIT_SECONDS
    with tempfile.TemporaryDirectory() as folder:
        for name in ("NEARFIELD_CACHE_DIR", "NEARFIELD_DATA_DIR", "NEARFIELD_CONFIG_DIR"):
            os.environ[name] = folder
        client = Client()
        await client.ask("initialize", {"capabilities": {"textDocument": {"inlineCompletion": {}}}})
        client.send("initialized", {})
        service = await client.server.session.service()
        item = {"uri": URI, "languageId": "python", "version": 1, "text": TEXT}
        client.send("textDocument/didOpen", {"textDocument": item})
        async with asyncio.timeout(WAIT_SECONDS):
            while service.status.state is not ServiceState.READY:
                await asyncio.sleep(0.01)
        typing = Typing(client)
        typing.type("return ")
        assert await typing.complete(), "the first answer"
        counts = {"didChange": Count(), "inlineCompletion": Count()}
        sys.setprofile(counts["didChange"].note)
        typing.type("a")
        sys.setprofile(None)
        assert await typing.complete(counts["inlineCompletion"]), "the second answer"
        await client.server.session.close()
    return counts


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--files", action="store_true", help="list the files with their functions")
    parser.add_argument("--path", action="store_true", help="list the moves in their order")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    counts = asyncio.run(measure())
    rows = {
        step: {
            "files": len(count.files),
            "functions": len(set(count.calls)),
            "calls": len(count.calls),
            "moves": count.moves,
        }
        for step, count in counts.items()
    }
    if options.json:
        print(json.dumps(rows))
        return
    print(f"{'step':18}{'files':>7}{'functions':>11}{'calls':>7}{'moves':>7}")
    for step, row in rows.items():
        values = row["files"], row["functions"], row["calls"], row["moves"]
        print("{:18}{:7}{:11}{:7}{:7}".format(step, *values))
        if options.files:
            for file, functions in counts[step].files.items():
                print(f"    {functions:4} {file}")
        if options.path:
            for number, (file, names) in enumerate(counts[step].path):
                print(f"    {number:4} {file}: {', '.join(dict.fromkeys(names))}")


if __name__ == "__main__":
    main()
