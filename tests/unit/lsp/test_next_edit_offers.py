"""Every offered edit applies to the version that it names and to no other, whatever is typed.

A client that keeps its documents in UTF-16 types, renames, undoes, jumps, closes and opens, and
asks meanwhile; what it is offered it applies by arithmetic of its own.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from lsprotocol import types

from nearfield.config.folders import FolderConfigs
from nearfield.config.schema import Config
from nearfield.features.diagnostics import LanguageServers
from nearfield.features.documents import DocumentChange, Documents
from nearfield.features.idle import IdleScheduler
from nearfield.features.next_edit import edits as next_edits
from nearfield.features.next_edit.edits import NextEdits
from nearfield.features.provenance.recorder import ProvenanceRecorder
from nearfield.listeners import Listeners
from nearfield.lsp import next_edit
from nearfield.lsp.documents import TextDocuments as OpenDocuments
from nearfield.syntax.parser import ParseCache
from nearfield.types import Snapshot

NAMES = ["price", "cost", "𐐀价", "sum_of"]
FILES = {
    "a.py": (
        "def price(wide, high=1):\r\n    é = '🙂', wide\n    return wide * high\n\n\nprice(2)\n"
    ),
    "b.py": "# 🙂\r\nfrom a import price\r\n\r\nx = '🙂', price(3)\r\nprice(4)\r\n",
}
CHARS = st.sampled_from(["x", "_", " ", "\n", "\r\n", "🙂", "é", "(", ")", ",", "𐐀"])
PLACE = st.integers(0, 200)


def units(text: str) -> list[bytes]:
    """The UTF-16 units of a text."""
    raw = text.encode("utf-16-le")
    return [raw[at : at + 2] for at in range(0, len(raw), 2)]


def text_of(held: Sequence[bytes]) -> str:
    return b"".join(held).decode("utf-16-le")


def place_of(held: Sequence[bytes], line: int, character: int) -> int:
    """The unit at which a position lies."""
    at = 0
    for _ in range(line):
        while held[at] not in (b"\n\0", b"\r\0"):
            at += 1
        at += 2 if held[at : at + 2] == [b"\r\0", b"\n\0"] else 1
    return at + character


def position_of(held: Sequence[bytes], at: int) -> types.Position:
    """The position of a unit."""
    lines = re.split("\r\n|\r|\n", b"".join(held[:at]).decode("utf-16-le", "surrogatepass"))
    return types.Position(len(lines) - 1, len(units_lone(lines[-1])))


def units_lone(text: str) -> bytes:
    raw = text.encode("utf-16-le", "surrogatepass")
    return raw[::2]


class Handlers:
    """The requests and commands that a face registers."""

    def __init__(self) -> None:
        self.known: dict[str, Callable[..., Any]] = {}

    def feature(self, name: str) -> Callable[[Callable[..., Any]], None]:
        return lambda handler: self.known.update({name: handler})

    command = feature


class Session:
    """What the face needs of a session."""

    def __init__(self, root: str, edits: NextEdits) -> None:
        self.documents = OpenDocuments()
        self.documents.set_roots([Path(root).as_uri()])
        self.protocol = SimpleNamespace(
            encoding="utf-16", client_capabilities=types.ClientCapabilities()
        )
        self.code_actions: list[Any] = []
        self.when_started = Listeners[Any]()
        self.running_service = SimpleNamespace(
            is_paused=False,
            next_edits=edits,
            language_servers=LanguageServers(),
            configs=FolderConfigs(Config()),
            provenance=ProvenanceRecorder(),
        )

    async def service(self) -> Any:
        return self.running_service


class Names:
    """An index that knows the files of `FILES`."""

    async def naming(
        self, name: str, stems: Sequence[str], snapshot: Snapshot
    ) -> tuple[list[str], list[str], list[str]]:
        return list(FILES), [f"{stem}.py" for stem in stems], []

    def has_all(self, snapshot: Snapshot) -> bool:
        return True


class Editing(RuleBasedStateMachine):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.root = Path(self.folder.name).resolve()
        for name, text in FILES.items():
            (self.root / name).write_bytes(text.encode())
        self.loop = asyncio.new_event_loop()
        self.documents = Documents()
        self.now = 0.0
        self.edits = NextEdits(
            self.documents,
            ParseCache().cursor,
            IdleScheduler(),
            lambda: self.now,
            names=Names(),
        )
        self.session = Session(str(self.root), self.edits)
        self.handlers = Handlers()
        next_edit.register(self.handlers, self.session)  # pyright: ignore[reportArgumentType]
        self.held: dict[str, list[bytes]] = {}
        self.undo: dict[str, list[list[bytes]]] = {}
        self.version = 0
        self.dismissed: set[str] = set()
        self.open("a.py")

    # --- the client ---

    def uri(self, name: str) -> str:
        return (self.root / name).as_uri()

    def open(self, name: str) -> None:
        self.version += 1
        text = (self.root / name).read_bytes().decode()
        document = self.session.documents.open(self.uri(name), "python", self.version, text)
        self.held[name], self.undo[name] = units(text), []
        self.documents.opened(document.snapshot())
        self.edits.opened(document.snapshot())

    def close(self, name: str) -> None:
        document = self.session.documents.get(self.uri(name))
        assert document is not None
        self.session.documents.close(self.uri(name))
        self.edits.closed(document.uri)
        self.documents.closed(document.uri)
        del self.held[name], self.undo[name]

    def change(self, name: str, start: int, end: int, new: str, *, keep: bool = True) -> None:
        """Replace units, as a client sends it."""
        held = self.held[name]
        if keep:
            self.undo[name].append(list(held))
        where = types.Range(position_of(held, start), position_of(held, end))
        held[start:end] = units(new)
        self.version += 1
        self.now += 0.5
        document = self.session.documents.get(self.uri(name))
        assert document is not None
        before = document.snapshot()
        change = types.TextDocumentContentChangePartial(where, new)
        edits = document.change(self.version, [change], "utf-16")
        after = document.snapshot()
        self.documents.changed(after, edits)
        self.edits.changed(DocumentChange(before, after, edits, self.now))

    def request(self, name: str, at: int, version: int) -> Any:
        place = position_of(self.held[name], at)
        params = {
            "uri": self.uri(name),
            "position": {"line": place.line, "character": place.character},
            "version": version,
        }
        return self.handlers.known[next_edit.NEXT_EDIT](params)

    def ask(self, name: str, at: int, version: int) -> dict[str, Any]:
        self.now += 1
        return self.loop.run_until_complete(self.request(name, at, version))

    def boundary(self, name: str, at: int) -> int:
        """A unit at or before `at` at which a character begins, and no half of a line break."""
        held = self.held[name]
        at = min(at, len(held))
        while 0 < at < len(held) and (
            0xDC <= held[at][1] <= 0xDF or held[at - 1 : at + 1] == [b"\r\0", b"\n\0"]
        ):
            at -= 1
        return at

    def version_of(self, name: str) -> int:
        document = self.session.documents.get(self.uri(name))
        assert document is not None
        return document.version

    # --- what the user does ---

    @rule(name=st.sampled_from(["a.py", "b.py"]), at=PLACE, char=CHARS)
    def type(self, name: str, at: int, char: str) -> None:
        if name in self.held:
            place = self.boundary(name, at)
            self.change(name, place, place, char)

    @rule(name=st.sampled_from(["a.py", "b.py"]), at=PLACE, count=st.integers(1, 6))
    def delete(self, name: str, at: int, count: int) -> None:
        if name in self.held:
            start = self.boundary(name, at)
            self.change(name, start, max(start, self.boundary(name, start + count)), "")

    @rule(name=st.sampled_from(["a.py", "b.py"]), new=st.sampled_from(NAMES), nth=st.integers(0, 3))
    def rename(self, name: str, new: str, nth: int) -> None:
        """Replace one place of a name, or a parameter list."""
        if name not in self.held:
            return
        text = text_of(self.held[name])
        found = [one for old in NAMES for one in re.finditer(rf"\b{old}\b", text)]
        if found:
            one = found[nth % len(found)]
            start = len(units(text[: one.start()]))
            self.change(name, start, start + len(units(one.group())), new)

    @rule(new=st.sampled_from(["wide", "wide, high=1", "high=1, wide=2", "wide, *, high=1"]))
    def sign(self, new: str) -> None:
        """Change the parameters."""
        text = text_of(self.held["a.py"]) if "a.py" in self.held else ""
        if found := re.search(r"def \w+\(([^)\n]*)\)", text):
            start = len(units(text[: found.start(1)]))
            self.change("a.py", start, start + len(units(found[1])), new)

    @rule(name=st.sampled_from(["a.py", "b.py"]))
    def take_back(self, name: str) -> None:
        if self.undo.get(name):
            was = text_of(self.undo[name].pop())
            self.change(name, 0, len(self.held[name]), was, keep=False)

    @rule(name=st.sampled_from(["a.py", "b.py"]))
    def open_or_close(self, name: str) -> None:
        if name in self.held:
            self.close(name)
        else:
            self.open(name)

    @rule(
        name=st.sampled_from(["a.py", "b.py"]),
        at=PLACE,
        then=st.sampled_from(["accept", "accept", "dismiss", "nothing"]),
    )
    def take(self, name: str, at: int, then: str) -> None:
        if name not in self.held:
            return
        version = self.version_of(name)
        answer = self.ask(name, self.boundary(name, at), version)
        held = self.held[name]
        if (edit := answer["edit"]) is not None:
            assert edit["textDocument"] == {"uri": self.uri(name), "version": version}
            offer_id = edit["command"]["arguments"][0]
            assert offer_id not in self.dismissed
            start, end = (
                place_of(held, edit["range"][side]["line"], edit["range"][side]["character"])
                for side in ("start", "end")
            )
            assert 0 <= start <= end <= len(held)
            old, before = text_of(held[start:end]), text_of(held)
            assert old != edit["text"]
            if then == "accept":
                self.change(name, start, end, edit["text"])
                # An edit for a name or a call is one of a line, within it.
                assert before.count("\n") == text_of(held).count("\n")
            elif then == "dismiss":
                dismissed = self.loop.run_until_complete(
                    self.handlers.known[next_edit.DISMISS](offer_id)
                )
                assert dismissed == {"dismissed": True}
                self.dismissed.add(offer_id)
        if (jump := answer["jump"]) is not None:
            self.check_jump(name, jump)

    def check_jump(self, name: str, jump: dict[str, Any]) -> None:
        (there,) = {"a.py", "b.py"} - {name}
        assert jump["uri"] == self.uri(there)
        is_open = there in self.held
        assert jump["version"] == (self.version_of(there) if is_open else None)
        on_disk = (self.root / there).read_bytes().decode()
        held = list(self.held[there]) if is_open else units(on_disk)
        (edits,) = jump["edit"].changes.values()
        assert len(edits) == jump["count"]
        for edit in reversed(edits):
            start = place_of(held, edit.range.start.line, edit.range.start.character)
            end = place_of(held, edit.range.end.line, edit.range.end.character)
            assert text_of(held[start:end]) != edit.new_text
            held[start:end] = units(edit.new_text)
        first = jump["range"]["start"]
        assert (first["line"], first["character"]) == (
            edits[0].range.start.line,
            edits[0].range.start.character,
        )

    @rule(name=st.sampled_from(["a.py", "b.py"]), by=st.sampled_from([-1, 1]))
    def ask_of_another_version(self, name: str, by: int) -> None:
        if name in self.held:
            answer = self.ask(name, 0, self.version_of(name) + by)
            assert answer == {"edit": None, "others": 0, "jump": None}

    @precondition(lambda self: "a.py" in self.held)
    @rule(new=st.sampled_from(NAMES))
    def type_while_it_is_asked(self, new: str) -> None:
        """The answer is for a version that is gone, so that there is none."""

        async def both() -> Any:
            asked = asyncio.ensure_future(self.request("a.py", 0, self.version_of("a.py")))
            await asyncio.sleep(0)
            text = text_of(self.held["a.py"])
            if asked.done() or not (found := re.search(r"def (\w+)", text)):
                return await asked and None
            start = len(units(text[: found.start(1)]))
            self.change("a.py", start, start + len(units(found[1])), new)
            return await asked

        answer = self.loop.run_until_complete(both())
        assert answer is None or answer["edit"] is None
        assert answer is None or answer["jump"] is None

    # --- what holds at all times ---

    @invariant()
    def the_texts_are_the_same(self) -> None:
        for name, held in self.held.items():
            document = self.session.documents.get(self.uri(name))
            assert document is not None
            assert document.text == text_of(held)

    @invariant()
    def nothing_is_left_running(self) -> None:
        self.loop.run_until_complete(asyncio.sleep(0))
        assert [task for task in asyncio.all_tasks(self.loop) if not task.done()] == []

    def teardown(self) -> None:
        for name in list(self.held):
            self.close(name)
        assert list(self.documents) == []
        # Nothing that was offered is held any longer.
        assert not any(self.edits.dismiss(f"next-{number}") for number in range(1, 400))
        self.loop.run_until_complete(asyncio.wait_for(self.edits.aclose(), 60))
        self.loop.close()
        self.folder.cleanup()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is waited for: the clock is the test's own."""
    monkeypatch.setattr(next_edits, "REST_SECONDS", 0.0)
    monkeypatch.setattr(next_edit, "BEHIND_SECONDS", 0.03)


class TestEditing(Editing.TestCase):
    settings = settings(
        max_examples=100,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
