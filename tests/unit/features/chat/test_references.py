"""What a message may refer to."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.unit.features.chat.conftest import StartTalk

from nearfield.features.chat.references import Reference, references
from nearfield.index.search import Hit
from nearfield.types import Snapshot, Span, SymbolLocation


@pytest.mark.parametrize(
    ("message", "found"),
    [
        ("look at @file:src/a.py, please", [("file", "src/a.py")]),
        ('@file:"a b.py" and @symbol:total?', [("file", "a b.py"), ("symbol", "total")]),
        ("@selection @diff @workspace", [("selection", ""), ("diff", ""), ("workspace", "")]),
        ("@file:a.py:3-9 twice @file:a.py:3-9", [("file", "a.py:3-9")]),
        ("me@file:x.org or @filet or @workspaces", []),
        ("@file: nothing", []),
    ],
)
def test_references_are_found_in_a_message(message: str, found: list[tuple[str, str]]) -> None:
    assert references(message) == [Reference(*one) for one in found]


class Known:
    """An index that knows one thing."""

    def __init__(self, root: Path) -> None:
        self.root = root

    async def definitions(
        self, name: str, snapshot: Snapshot | None = None, *, limit: int = 20
    ) -> tuple[SymbolLocation, ...]:
        del snapshot
        if name != "price":
            return ()
        whole = str(self.root / "src/shop.py")
        text = "def price(item): ..."
        given: dict[str, Any] = {"path": whole, "shown": "src/shop.py", "name": name, "text": text}
        return (
            SymbolLocation(
                **given, kind="function", container="", row=0, first=0, last=1, signature="", doc=""
            ),
        )

    async def named(self, text: str, *, limit: int) -> tuple[SymbolLocation, ...]:
        return await self.definitions(text, limit=limit)

    async def defined_in(self, path: str) -> tuple[SymbolLocation, ...]:
        return await self.definitions("price")

    async def references(
        self, name: str, snapshot: Snapshot | None = None, *, limit: int = 200
    ) -> tuple[SymbolLocation, ...]:
        return ()

    async def search(self, query: str, *, limit: int = 10, workspace: str = "") -> tuple[Hit, ...]:
        del limit, workspace
        names = ["src/shop.py", ".env"] if "money" in query else []
        return tuple(
            Hit(str(self.root / one), 3, 5, "function", "price", "python", 1.0, f"found in {one}")
            for one in names
        )


CASES: dict[str, tuple[str, str]] = {
    "a file": ("what is @file:src/shop.py", "src/shop.py:\n```\ndef price(item):"),
    "lines": ("@file:src/shop.py:2-2", "src/shop.py, lines 2 to 2:\n```\n    return"),
    "lines from none": ("@file:src/shop.py:0-1", "lines 1 to 1:\n```\ndef price(item):\n\n```"),
    "lines backwards": ("@file:src/shop.py:2-1", "lines 2 to 2:\n```\n    return"),
    "a symbol": ("@symbol:price", "Definition of price:\nsrc/shop.py, line 1:\ndef price"),
    "the workspace": ("where is money @workspace", "src/shop.py, from line 4:\nfound in src/shop"),
    "a selection": ("@selection", "Selected in src/shop.py, from line 2:\n```\nreturn 2"),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("case", CASES)
async def test_is_shown_to_the_model(case: str, talk: StartTalk) -> None:
    message, expected = CASES[case]
    t = talk({"text": "ok"})
    t.chat._knowledge = lambda: Known(t.root)  # pyright: ignore[reportPrivateUsage] - stands for an index
    snapshot = Snapshot("u", "python", 1, "x = 1\nreturn 2\n", str(t.root / "src/shop.py"))
    how: dict[str, Any] = {"snapshot": snapshot, "selection": Span(6, 14)}
    reply = await t.say(message, **(how if case == "a selection" else {}))
    assert reply.notes == []
    assert expected in t.told()
    assert ".env" not in t.told()


NAMED: dict[str, tuple[str, str]] = {
    "a path": ("What does price in src/shop.py do?", "src/shop.py:\n```\ndef price"),
    "at the end": ("Summarise readme.md.", "readme.md:\n```\n# Shop"),
    "a secret": ("What is in .env?", ""),
    "no file": ("Make new.py, as in e.g. shop.py", ""),
    "outside": ("What is in ../work/readme.md?", ""),
    "absolute": ("What is in /etc/passwd.txt?", ""),
    "a part of another": ("See x/readme.md and https://a.b/readme.md", ""),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("case", NAMED)
@pytest.mark.parametrize("reads", [True, False])
async def test_a_file_that_is_named_is_shown(case: str, reads: bool, talk: StartTalk) -> None:
    message, expected = NAMED[case]
    t = talk({"text": "ok"})
    reply = await t.say(message, functions=None if reads else ("listDirectory",))
    assert reply.notes == []
    if expected and reads:
        assert f"user: {message}\n\n{expected}" in t.told()
    else:
        assert t.told().endswith(f"user: {message}")


@pytest.mark.asyncio
@pytest.mark.parametrize("is_indexed", [True, False])
async def test_of_a_long_file_the_beginning_and_the_definitions_are_shown(
    is_indexed: bool, talk: StartTalk
) -> None:
    t = talk({"text": "ok"})
    (t.root / "src/long.py").write_text('"""Prices."""\n' + "x = 1\n" * 2_000)
    if is_indexed:
        t.chat._knowledge = lambda: Known(t.root)  # pyright: ignore[reportPrivateUsage] - stands for an index
    await t.say("Summarise src/long.py")
    assert 'src/long.py begins:\n```\n"""Prices."""\n' in t.told()
    assert t.told().count("x = 1") < 300
    assert ("src/long.py defines:\nlines " in t.told()) is is_indexed


MISSING: dict[str, tuple[str, str]] = {
    "no file": ("@file:nope.py", "nope.py' cannot be opened"),
    "a secret": ("@file:.env", "not shown to models"),
    "outside": ("@file:../x", "'..'"),
    "no symbol": ("@symbol:nope", "No definition of 'nope'"),
    "no selection": ("@selection", "Nothing is selected"),
    "nothing found": ("@workspace what", "Nothing in the index fits"),
    "no repository": ("@diff", "Git failed in this folder"),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("case", MISSING)
async def test_a_missing_reference_is_reported(case: str, talk: StartTalk) -> None:
    message, expected = MISSING[case]
    t = talk({"text": "ok"})
    t.chat._knowledge = lambda: Known(t.root)  # pyright: ignore[reportPrivateUsage] - stands for an index
    reply = await t.say(message)
    assert (reply.text, len(reply.notes)) == ("ok", 1)
    assert expected in reply.notes[0]


def git(root: Path, *arguments: str) -> None:
    person = ["-c", "user.name=t", "-c", "user.email=t@t"]
    subprocess.run(["git", *person, *arguments], cwd=root, check=True, capture_output=True)


@pytest.mark.asyncio
async def test_the_diff_shows_permitted_files_alone(talk: StartTalk) -> None:
    t = talk({"text": "ok"})
    (t.root / ".git/config").unlink()
    git(t.root, "init", "-q")
    git(t.root, "add", "-f", ".")
    git(t.root, "commit", "-qm", "x")
    (t.root / "readme.md").write_text("# Tea shop\n")
    (t.root / ".env").write_text("TOKEN=hunter3\n")
    await t.say("review @diff")
    assert "-# Shop\n+# Tea shop" in t.told()
    assert "hunter" not in t.told()
