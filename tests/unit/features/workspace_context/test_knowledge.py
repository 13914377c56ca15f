"""What the workspace is known to hold, asked of a service with a real indexer beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio
from tests.processes import running

from nearfield.config.folders import FolderConfigs
from nearfield.config.schema import Config, Files
from nearfield.config.schema import Index as IndexSettings
from nearfield.features.documents import DocumentChange, Documents
from nearfield.features.idle import Activity, IdleScheduler
from nearfield.features.workspace_context.knowledge import Knowledge
from nearfield.syntax.languages import language_for
from nearfield.syntax.parser import Cursor, parse
from nearfield.types import Edit, Snapshot, SnippetKind, Span

pytestmark = pytest.mark.slow

PATIENCE_SECONDS = 60.0
"""The indexer works at the lowest priority: on a busy machine it may wait for long."""

FILES = {
    "shop/stock.py": (
        "class Shelf:\n"
        '    """Where goods lie."""\n\n'
        "    def __init__(self, width: int) -> None:\n"
        "        self.width = width\n\n"
        "    def put(self, name: str, count: int) -> None:\n"
        '        """Lay `count` of them down."""\n'
        + "".join(f"        self.width += {i}\n" for i in range(40))
    ),
    "shop/money.py": 'def priceOf(name: str) -> float:\n    """In euros."""\n    return 1.0\n',
    "other/stock.py": "class Shelf:\n    colour = 'red'\n",
    "shop/till.py": "",
}


async def cursor_of(snapshot: Snapshot, offset: int) -> Cursor:
    language = language_for(snapshot.language, snapshot.path)
    return Cursor(snapshot, parse(language, snapshot.text) if language else None, offset)


async def until(true: Callable[[], object]) -> None:
    """Wait until `true()` is."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not true():
            await asyncio.sleep(0.01)


class ProviderPool:
    """Knowledge of one folder, and somebody who writes in it."""

    def __init__(self, root: Path, excluded: Sequence[str] = (), **settings: Any) -> None:
        self.root = root
        config = Config(
            index=IndexSettings(vectors=False, **settings), files=Files(exclude=list(excluded))
        )
        configs = FolderConfigs(config)
        self.documents = Documents()
        self.knowledge = Knowledge(
            configs,
            self.documents,
            cursor_of,
            IdleScheduler(),
            Activity(configs),
            wait_seconds=0,
        )
        self.knowledge.folders([str(root)])
        self.running = asyncio.get_running_loop().create_task(self.knowledge.run())

    def opened(self, snapshot: Snapshot) -> None:
        self.documents.opened(snapshot)
        self.knowledge.opened(snapshot)

    def changed(self, snapshot: Snapshot, edits: Sequence[Edit]) -> None:
        self.documents.changed(snapshot, edits)
        self.knowledge.changed(DocumentChange(None, snapshot, edits))

    def closed(self, uri: str) -> None:
        self.knowledge.closed(uri)
        self.documents.closed(uri)

    async def ready(self) -> None:
        await until(lambda: self.knowledge.state.state == "ready")

    def snapshot(self, path: str, text: str, version: int = 1) -> Snapshot:
        whole = self.root / path
        return Snapshot(whole.as_uri(), "python", version, text, str(whole), str(self.root))

    async def around(self, path: str, marked: str, budget: int = 4_000) -> dict[str, str]:
        """The snippets at the "|" of a document, by path."""
        offset = marked.index("|")
        found = await self.knowledge.around(
            self.snapshot(path, marked.replace("|", "")),
            offset,
            budget=budget,
            meaning=False,
        )
        kinds = (SnippetKind.DEFINITION,)
        return {snippet.path: snippet.text for snippet in found if snippet.kind in kinds}

    async def close(self) -> None:
        self.running.cancel()
        await asyncio.wait({self.running})
        await self.knowledge.aclose()


Sit = Callable[..., Awaitable[ProviderPool]]


@pytest_asyncio.fixture
async def sit(tmp_path: Path) -> AsyncGenerator[Sit]:
    """Writes files into a folder and opens it; ready when back."""
    desks: list[ProviderPool] = []

    async def start(files: dict[str, str] = FILES, **settings: Any) -> ProviderPool:
        root = tmp_path / f"work{len(desks)}"
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        desk = ProviderPool(root, **settings)
        desks.append(desk)
        if settings.get("enabled", True):
            await desk.ready()
        return desk

    yield start
    for desk in desks:
        await desk.close()


@pytest.mark.parametrize(
    ("code", "there", "not_there"),
    [
        ("from shop.stock import Shelf\n\nshelf = Shelf(|", {"shop/stock.py"}, {"other/stock.py"}),
        ("from .stock import Shelf\n\ndef fill(a: Shelf):\n    a.|", {"shop/stock.py"}, set()),
        ("from shop import stock\n\nstock.Shelf(|", {"shop/stock.py"}, {"other/stock.py"}),
        ("from shop.money import priceOf\n\nx = 1\n|", {"shop/money.py"}, set()),
        ("from elsewhere import Shelf\n\nShelf(|", set(), {"shop/stock.py", "other/stock.py"}),
        ("class Shelf: pass\nShelf(|", set(), {"shop/stock.py", "other/stock.py"}),
        ("width = 3\nprint(width|", set(), {"shop/stock.py", "shop/money.py"}),
    ],
    ids=["import", "parameter", "module", "unused", "foreign", "own", "local"],
)
async def test_the_definitions_that_a_place_needs(
    sit: Sit, code: str, there: set[str], not_there: set[str]
) -> None:
    desk = await sit()
    found = set(await desk.around("shop/till.py", code))
    assert there <= found
    assert not not_there & found


async def test_a_definition_is_shown_in_few_words(sit: Sit) -> None:
    desk = await sit()
    text = (await desk.around("shop/till.py", "from shop.stock import Shelf\nShelf(|"))[
        "shop/stock.py"
    ]
    assert "def put(self, name: str, count: int) -> None:" in text
    assert "Lay `count` of them down." in text and "self.width = width" in text
    assert "self.width += 30" not in text


async def test_the_budget_holds(sit: Sit) -> None:
    desk = await sit()
    code = "from shop.stock import Shelf\nfrom shop.money import priceOf\nShelf(priceOf(|"
    for budget in (0, 100, 300, 1_000):
        found = await desk.around("shop/till.py", code, budget)
        assert sum(map(len, found.values())) <= budget


async def test_definitions_references_and_search(sit: Sit) -> None:
    desk = await sit()
    (place,) = await desk.knowledge.definitions("priceOf")
    assert place.path == str(desk.root / "shop" / "money.py")
    assert (place.first, place.last, place.doc) == (0, 2, "In euros.")
    assert place.signature == "def priceOf(name: str) -> float:"
    found = await desk.knowledge.search("price of")
    assert found[0].path == place.path
    here = desk.snapshot("shop/till.py", "from shop.money import priceOf\npriceOf('tea')\n")
    desk.opened(here)

    async def referred() -> bool:
        return any(
            one.path == here.path and one.row == 1
            for one in await desk.knowledge.references("priceOf")
        )

    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await referred():
            await asyncio.sleep(0.02)


async def test_unsaved_text_is_indexed(sit: Sit) -> None:
    desk = await sit()
    desk.opened(desk.snapshot("shop/money.py", "def costsNow(): ...\n"))
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await desk.knowledge.definitions("costsNow"):
            await asyncio.sleep(0.02)
    assert not await desk.knowledge.definitions("priceOf")
    desk.closed((desk.root / "shop" / "money.py").as_uri())
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await desk.knowledge.definitions("priceOf"):
            await asyncio.sleep(0.02)


async def test_folders_can_be_added_and_removed(sit: Sit, tmp_path: Path) -> None:
    desk = await sit()
    second = tmp_path / "second"
    second.mkdir()
    (second / "x.py").write_text("def onlyThere(): ...\n")
    desk.knowledge.folders([str(desk.root), str(second)])
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await desk.knowledge.definitions("onlyThere"):
            await asyncio.sleep(0.02)
    assert await desk.knowledge.definitions("priceOf")
    desk.knowledge.folders([str(second)])
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await desk.knowledge.definitions("priceOf"):
            await asyncio.sleep(0.02)
    assert desk.knowledge.state.files == 1


async def test_without_an_index_every_answer_is_empty(sit: Sit) -> None:
    desk = await sit(enabled=False)
    await asyncio.sleep(0.05)
    assert desk.knowledge.state.state == "off"
    assert await desk.around("shop/till.py", "from shop.stock import Shelf\nShelf(|") == {}
    assert await desk.knowledge.definitions("Shelf") == ()
    assert await desk.knowledge.references("Shelf") == ()
    assert await desk.knowledge.search("shelf") == ()
    desk.knowledge.configure(FolderConfigs(Config(index=IndexSettings(vectors=False))))
    await desk.ready()
    assert await desk.knowledge.definitions("Shelf")


async def test_two_sessions_on_one_folder_both_answer(sit: Sit) -> None:
    desk = await sit()
    second = ProviderPool(desk.root)
    try:
        await until(lambda: second.knowledge.state.state == "reading")
        assert await second.knowledge.definitions("priceOf")
    finally:
        await second.close()


async def test_no_process_is_left_behind(sit: Sit) -> None:
    desk = await sit()
    children = psutil.Process().children(recursive=True)
    assert running("nearfield.index.worker")
    await desk.close()
    _, alive = psutil.wait_procs(children, timeout=PATIENCE_SECONDS)
    assert alive == []


async def test_a_home_folder_is_not_indexed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    desk = ProviderPool(tmp_path)
    await until(lambda: desk.knowledge.state.detail)
    assert desk.knowledge.state.state == "off"
    await desk.close()


async def test_recent_edits_of_other_files_are_shown_but_never_keys(sit: Sit) -> None:
    desk = await sit(excluded=["secret/"])
    written = "def taxOf(sum: float) -> float: return sum * 0.19\n"
    for path in ("shop/tax.py", "shop/.env", "secret/tax.py"):
        desk.opened(desk.snapshot(path, ""))
        now = desk.snapshot(path, written, 2)
        desk.changed(now, [Edit(Span(0, 0), written)])
    outside = Snapshot("file:///x.py", "python", 1, written, "/x.py", None)
    desk.opened(outside)
    desk.changed(outside, [Edit(Span(0, 0), written)])
    here = desk.snapshot("shop/till.py", "def total():\n    ")
    found = await desk.knowledge.around(here, len(here.text), budget=4_000, meaning=False)
    recent = [snippet.path for snippet in found if snippet.kind is SnippetKind.RECENT]
    assert recent == ["shop/tax.py"]


async def test_what_the_whole_folder_knows_of_names(sit: Sit) -> None:
    desk = await sit({**FILES, "shop/web.ts": "export const shown = () => 1;\n"})
    here = desk.snapshot("shop/till.py", "")
    names = ["Shelf", "priceOf", "price_of", "shown", "invented"]
    assert await desk.knowledge.unknown(names, here) == {"invented"}
    places = [(str(desk.root / "shop/stock.py"), row) for row in (3, 4, 7, 400)]
    found = await desk.knowledge.defined_around([*places, ("/elsewhere/a.py", 1)], here)
    assert found == {"__init__", "put"}


async def test_an_index_that_is_not_there_knows_nothing_of_names(sit: Sit) -> None:
    desk = await sit(enabled=False)
    here = desk.snapshot("shop/till.py", "")
    assert await desk.knowledge.unknown(["invented"], here) == frozenset()
    assert await desk.knowledge.defined_around([(str(desk.root / "a.py"), 1)], here) == frozenset()
