"""After a change of a name or a parameter list: what is offered in other files."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tests.unit.features.next_edit.editing import cursor_of

from nearfield.config.folders import FolderConfigs
from nearfield.config.schema import Config, Files, Privacy
from nearfield.features.diagnostics import Diagnostic, LanguageServers
from nearfield.features.documents import DocumentChange, Documents
from nearfield.features.idle import IdleScheduler
from nearfield.features.next_edit import other_files
from nearfield.features.next_edit.edits import NextEdits
from nearfield.features.next_edit.other_files import Jump
from nearfield.syntax.languages import language_for
from nearfield.types import Edit, Snapshot, Span

GOODS = (
    "def price(name, count=1):\n    return count\n\n\n"
    "class Cart:\n    def total(self):\n        return 1\n"
)


class Project:
    """A folder, an index of it that knows every word, and a user with documents."""

    def __init__(self, root: Path, files: dict[str, str], config: Config | None = None) -> None:
        self.root, self.files = root, files
        for place, text in files.items():
            (root / place).parent.mkdir(parents=True, exist_ok=True)
            (root / place).write_text(text, newline="")
        self.documents = Documents()
        self.servers = LanguageServers()
        self.now = 100.0
        self.edits = NextEdits(
            self.documents,
            cursor_of,
            IdleScheduler(),
            lambda: self.now,
            names=self,
            servers=self.servers,
        )
        if config is not None:
            self.edits.configure(FolderConfigs(config))
        self.asked: list[str] = []
        self.indexed: set[str] | None = None
        """The files that the index has, None for all."""

    def has_all(self, snapshot: Snapshot) -> bool:
        return self.indexed is None

    async def naming(
        self, name: str, stems: Sequence[str], snapshot: Snapshot
    ) -> tuple[list[str], list[str], list[str]]:
        self.asked.append(name)
        words = re.compile(rf"\b{name}\b")
        files = {
            place: text
            for place, text in self.files.items()
            if self.indexed is None or place in self.indexed
        }
        paths = [place for place, text in files.items() if words.search(text)]
        alike = [
            place
            for place in files
            if any(re.search(rf"(^|/){stem}(\.|/(__init__|index)\.)", place) for stem in stems)
        ]
        importing = [
            place
            for place, text in files.items()
            if any(re.search(rf"(from|import)\b.*\b{stem}\b", text) for stem in stems)
        ]
        return paths, alike, importing

    def open(self, place: str, text: str | None = None) -> Snapshot:
        path = str(self.root / place)
        row = language_for("", path)
        language = row.name if row is not None else ""
        held = self.files[place] if text is None else text
        snapshot = Snapshot(f"file://{path}", language, 1, held, path, str(self.root))
        self.documents.opened(snapshot)
        self.edits.opened(snapshot)
        return snapshot

    def edit(self, snapshot: Snapshot, old: str, new: str, nth: int = 0) -> Snapshot:
        """Replace the `nth` place of `old`."""
        start = [one.start() for one in re.finditer(re.escape(old), snapshot.text)][nth]
        return self.replace(snapshot, Span(start, start + len(old)), new)

    def replace(self, before: Snapshot, span: Span, new: str) -> Snapshot:
        text = before.text[: span.start] + new + before.text[span.end :]
        after = Snapshot(
            before.uri, before.language, (before.version or 0) + 1, text, before.path, before.root
        )
        self.now += 1
        edit = Edit(span, new)
        self.documents.changed(after, [edit])
        self.edits.changed(DocumentChange(before, after, [edit], self.now))
        return after

    def close(self, snapshot: Snapshot) -> None:
        self.edits.closed(snapshot.uri)
        self.documents.closed(snapshot.uri)

    async def jumps(self, snapshot: Snapshot) -> list[tuple[str, str]]:
        """Write what each jump offers into its file until there is none: (place, text)."""
        done: list[tuple[str, str]] = []
        while (jump := await self.edits.jump(snapshot)) is not None:
            place = str(Path(jump.path).relative_to(self.root))
            assert place not in dict(done)
            text = applied(jump)
            (self.root / place).write_text(text, newline="")
            self.edits.dismiss(jump.id)
            done.append((place, text))
        return done


def applied(jump: Jump) -> str:
    text = jump.text
    for edit in reversed(jump.edits):
        text = text[: edit.span.start] + edit.text + text[edit.span.end :]
    return text


Start = Callable[..., Project]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    def started(files: dict[str, str], config: Config | None = None) -> Project:
        return Project(tmp_path, files, config)

    return started


PYTHON = {
    "shop/goods.py": GOODS,
    "shop/__init__.py": "from .goods import price\n",
    "shop/till.py": (
        "from shop.goods import price, Cart\n\n\ndef pay(cart: Cart, 価格):\n"
        "    print('🙂', price)\n    price = 1\n    return price\n\n\n"
        "def due(cart: Cart):\n    # price\n    return price('é') + cart.total()\n"
    ),
    "bills/bill.py": (
        "import shop.goods as g\nfrom shop import goods\n\n"
        "x = g.price('a')\ny = goods.price(name='b')\n"
    ),
    "bills/other.py": "from shop import price as cost\n\nz = cost('c')\n",
    "bills/last.py": "from shop import price\r\n\r\nz = price('c')\r\nq.price = price\r\n",
    "none/local.py": "def price(name):\n    return 2\n\n\nprice('d')\n",
    "none/star.py": "from shop.goods import *\n\nprice('d')\n",
    "none/twice.py": (
        "try:\n    from shop.goods import price\n"
        "except ImportError:\n    from old import price\n\nprice('d')\n"
    ),
    "none/else.py": "from market.goods import price\n\nprice('d')\n",
}


async def test_a_renamed_function_is_offered_in_the_files_that_import_it(start: Start) -> None:
    project = start(PYTHON)
    goods = project.edit(project.open("shop/goods.py"), "price", "cost_of")
    done = dict(await project.jumps(goods))
    assert list(done) == [
        "shop/__init__.py",
        "shop/till.py",
        "bills/bill.py",
        "bills/last.py",
        "bills/other.py",
    ]
    assert done["shop/__init__.py"] == "from .goods import cost_of\n"
    assert "from shop.goods import cost_of, Cart" in done["shop/till.py"]
    assert "cost_of('é') + cart.total()" in done["shop/till.py"]
    # A local variable of the same name, a comment and an attribute of something else stay.
    assert "    print('🙂', price)\n    price = 1" in done["shop/till.py"]
    assert "# price" in done["shop/till.py"]
    assert "g.cost_of('a')\ny = goods.cost_of(name='b')" in done["bills/bill.py"]
    assert done["bills/other.py"] == "from shop import cost_of as cost\n\nz = cost('c')\n"
    assert done["bills/last.py"].endswith("z = cost_of('c')\r\nq.price = cost_of\r\n")


@pytest.mark.parametrize(
    ("old", "new", "place", "wanted"),
    [
        ("count=1", "count=1, *, tax", "shop/till.py", None),
        ("name, count=1", "count=1", "bills/bill.py", "x = g.price()\ny = goods.price()\n"),
        ("name", "title", "bills/bill.py", "goods.price(title='b')"),
        ("Cart", "Basket", "shop/till.py", "def due(cart: Basket)"),
        ("total", "sum_of", "shop/till.py", "cart.sum_of()"),
    ],
)
async def test_what_else_follows_in_other_files(
    start: Start, old: str, new: str, place: str, wanted: str | None
) -> None:
    project = start(PYTHON)
    goods = project.edit(project.open("shop/goods.py"), old, new)
    done = dict(await project.jumps(goods))
    if wanted is None:
        assert place not in done
    else:
        assert wanted in done[place]


async def test_a_class_s_constructor_and_an_order_of_parameters(start: Start) -> None:
    project = start(
        {
            "a.py": "class Box:\n    def __init__(self, wide, high):\n        pass\n",
            "b.py": "from a import Box\n\nbox = Box(1, 2)\n",
        }
    )
    a = project.edit(project.open("a.py"), "wide, high", "high, wide")
    b = project.open("b.py")
    (offer,) = await project.edits.offered(b, 0)
    b = project.replace(b, offer.span, offer.new)
    assert b.text.endswith("Box(2, 1)\n")
    # Corrected, it is not offered to be turned around once more; nor when it was read anew.
    assert await project.edits.offered(b, 0) == ()
    project.close(b)
    (project.root / "b.py").write_text(b.text)
    assert await project.edits.jump(a) is None


TYPESCRIPT = {
    "src/goods.ts": "export function price(name: string): number {\n  return 1;\n}\n",
    "src/index.ts": "export * from './goods';\n",
    "src/till.ts": (
        'import { price } from "./goods";\nconst a = price("x");\nconst b = { price: 1 };\n'
    ),
    "src/named.ts": 'import { price as p } from "./goods.js";\np("x");\n',
    "app/main.ts": (
        'import * as g from "../src/goods";\nimport { price } from "../src";\n'
        'g.price("y"); price("z");\n'
    ),
    "app/else.ts": 'import { price } from "./goods";\nprice("y");\n',
    "app/goods.ts": "export const price = (x: string) => 2;\n",
    "app/package.ts": 'import { price } from "goods";\nprice("y");\n',
}


async def test_typescript(start: Start) -> None:
    project = start(TYPESCRIPT)
    goods = project.edit(project.open("src/goods.ts"), "price", "cost")
    done = dict(await project.jumps(goods))
    assert list(done) == ["src/named.ts", "src/till.ts", "app/main.ts"]
    assert 'const a = cost("x");\nconst b = { price: 1 };' in done["src/till.ts"]
    assert 'import { cost as p } from "./goods.js"' in done["src/named.ts"]
    assert done["app/main.ts"].count("cost") == 3


GO = {
    "go.mod": "module example.com/shop\n\ngo 1.22\n",
    "goods/goods.go": "package goods\n\nfunc Price(name string) int {\n\treturn 1\n}\n",
    "goods/till.go": 'package goods\n\nfunc pay() int {\n\treturn Price("x")\n}\n',
    "goods/till_test.go": (
        'package goods_test\n\nimport "example.com/shop/goods"\n\nvar a = goods.Price("x")\n'
    ),
    "main.go": (
        'package main\n\nimport g "example.com/shop/goods"\n\nfunc main() {\n\tg.Price("y")\n}\n'
    ),
    "other.go": (
        'package main\n\nimport "example.com/other/goods"\n\nfunc run() {\n\tgoods.Price("y")\n}\n'
    ),
    "goods/own.go": "package goods\n\nfunc own(Price int) int {\n\treturn Price\n}\n",
}


async def test_go(start: Start) -> None:
    project = start(GO)
    goods = project.edit(project.open("goods/goods.go"), "Price", "Cost")
    done = dict(await project.jumps(goods))
    assert list(done) == ["goods/till.go", "goods/till_test.go", "main.go"]
    assert 'g.Cost("y")' in done["main.go"]


async def test_an_open_file_s_unsaved_text_counts_and_is_edited_place_by_place(
    start: Start,
) -> None:
    project = start({"a.py": GOODS, "b.py": "x = 1\n"})
    goods = project.open("a.py")
    b = project.open("b.py", "from a import price\n\nprice(1)\nprice(2)\n")
    goods = project.edit(goods, "price", "cost")
    jump = await project.edits.jump(goods)
    assert jump is not None
    assert (jump.uri, jump.title) == (b.uri, "3 more in b.py")
    for left in (3, 2, 1):
        found = await project.edits.offered(b, 0)
        assert len(found) == left
        assert b.text[found[0].span.start : found[0].span.end] == found[0].old
        b = project.replace(b, found[0].span, found[0].new)
    assert b.text == "from a import cost\n\ncost(1)\ncost(2)\n"
    assert await project.edits.offered(b, 0) == ()
    assert await project.edits.jump(goods) is None


async def test_no_file_is_read_that_may_not_be(start: Start, tmp_path: Path) -> None:
    use = "from a import price\n\nprice(1)\n"
    hidden = ("ignored.py", "withheld.py", "excluded.py", "large.py", "deep/.env.py", "link.py")
    files = {"a.py": GOODS, "b.py": use, **dict.fromkeys(hidden[:5], use)}
    files[".gitignore"] = "ignored.py\ndeep\n"
    files["large.py"] = use + "#" * 5000
    config = Config(
        files=Files(exclude=["excluded.py"], max_bytes=4000),
        privacy=Privacy(withhold=["withheld.py"]),
    )
    (tmp_path / ".git").mkdir()
    project = start(files, config)
    outside = tmp_path.parent / f"{tmp_path.name}-outside.py"
    outside.write_text(use)
    (tmp_path / "link.py").symlink_to(outside)
    project.files["link.py"] = use
    for place in ("ignored.py", "withheld.py"):
        project.open(place)
    goods = project.edit(project.open("a.py"), "price", "cost")
    assert [place for place, _ in await project.jumps(goods)] == ["b.py"]


async def test_a_request_waits_once_for_a_slow_index(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = start({"a.py": GOODS, "b.py": "from a import price\n"})
    answered = asyncio.Event()
    naming = project.naming

    async def slow(name: str, stems: Sequence[str], snapshot: Snapshot) -> object:
        await answered.wait()
        return await naming(name, stems, snapshot)

    monkeypatch.setattr(project, "naming", slow)
    monkeypatch.setattr(other_files, "LOOK_UP_SECONDS", 0.2)
    goods = project.edit(project.open("a.py"), "price", "cost")
    waits: list[float | None] = []
    wait = asyncio.wait

    async def waited(tasks: set[asyncio.Task[None]], timeout: float | None = None) -> object:
        waits.append(timeout)
        return await wait(tasks, timeout=timeout)

    monkeypatch.setattr(other_files.asyncio, "wait", waited)
    assert await project.edits.offers(goods, 0) == ((), None)
    (seconds,) = waits
    assert seconds
    # The search goes on, and a later request has what it found.
    answered.set()
    while (jump := await project.edits.jump(goods)) is None:
        await asyncio.sleep(0.01)
    assert applied(jump) == "from a import cost\n"


async def test_undoing_ends_it_and_typing_on_changes_it(start: Start) -> None:
    project = start({"a.py": GOODS, "b.py": "from a import price\n"})
    goods = project.edit(project.open("a.py"), "price", "cost")
    goods = project.edit(goods, "cost", "costs")
    jump = await project.edits.jump(goods)
    assert jump is not None
    assert applied(jump) == "from a import costs\n"
    goods = project.edit(goods, "costs", "price")
    assert await project.edits.jump(goods) is None


async def test_nothing_is_looked_up_for_what_other_files_cannot_use(start: Start) -> None:
    project = start({"a.py": "def f():\n    wide = 1\n    return wide\n", "b.py": "wide = 2\n"})
    a = project.edit(project.open("a.py"), "wide", "width")
    assert await project.edits.jump(a) is None
    assert project.asked == []


@pytest.mark.parametrize("way", ["jump", "place"])
async def test_what_is_dismissed_stays_away(start: Start, way: str) -> None:
    use = "from a import price\n"
    project = start({"a.py": GOODS, "b.py": use, "c.py": use})
    goods = project.edit(project.open("a.py"), "price", "cost")
    jump = await project.edits.jump(goods)
    assert jump is not None
    if way == "jump":
        assert project.edits.dismiss(jump.id)
        assert not project.edits.dismiss(jump.id)
        other = await project.edits.jump(goods)
        assert other is not None
        assert (other.path, other.files) == (str(project.root / "c.py"), 0)
    else:
        b = project.open("b.py")
        (offer,) = await project.edits.offered(b, 0)
        assert project.edits.dismiss(offer.id)
        assert await project.edits.offered(b, 0) == ()
        assert await project.edits.jump(goods) is None


async def test_where_another_server_renames_the_user_is_told_instead(start: Start) -> None:
    project = start({"a.py": GOODS, "b.py": "from a import price\n\nprice('x')\n"})
    project.servers.note("python", [Diagnostic(Span(0, 1), "?", "Pyright")])
    goods = project.edit(project.open("a.py"), "price", "cost")
    jump = await project.edits.jump(goods)
    assert jump is not None
    assert "rename" in jump.advice
    assert await project.edits.offered(project.open("b.py"), 0) == ()
    # No server corrects the calls of a function.
    goods = project.edit(goods, "cost", "price")
    goods = project.edit(goods, "name, count=1", "count=1")
    jump = await project.edits.jump(goods)
    assert jump is not None
    assert (jump.advice, applied(jump)) == ("", "from a import price\n\nprice()\n")


async def test_a_file_that_changed_on_disk_is_read_again(start: Start) -> None:
    project = start({"a.py": GOODS, "b.py": "from a import price\n"})
    goods = project.edit(project.open("a.py"), "price", "cost")
    assert await project.edits.jump(goods) is not None
    (project.root / "b.py").write_text("# more\nfrom a import price\n")
    jump = await project.edits.jump(goods)
    assert jump is not None
    assert applied(jump) == "# more\nfrom a import cost\n"
    (project.root / "b.py").unlink()
    assert await project.edits.jump(goods) is None


async def test_closing_the_changed_document_ends_its_offers(start: Start) -> None:
    project = start({"a.py": GOODS, "b.py": "from a import price\n"})
    goods = project.edit(project.open("a.py"), "price", "cost")
    b = project.open("b.py")
    assert await project.edits.offered(b, 0)
    project.close(goods)
    assert await project.edits.offered(b, 0) == ()
    assert await project.edits.jump(b) is None
    await asyncio.wait_for(project.edits.aclose(), 60)


async def test_files_are_found_once_the_index_has_them(start: Start) -> None:
    use = "from a import price\n\nprice('x')\n"
    project = start({"a.py": GOODS, "b.py": use, "c.py": use})
    project.indexed = set()
    goods = project.edit(project.open("a.py"), "price", "cost")
    assert await project.edits.jump(goods) is None
    project.indexed = {"a.py", "b.py"}
    jump = await project.edits.jump(goods)
    assert jump is not None
    assert (jump.path, jump.files) == (str(project.root / "b.py"), 0)
    assert project.edits.dismiss(jump.id)
    project.indexed = None
    jump = await project.edits.jump(goods)
    # What was dismissed meanwhile stays away.
    assert jump is not None
    assert (jump.path, jump.files) == (str(project.root / "c.py"), 0)
    asked = len(project.asked)
    assert await project.edits.jump(goods) is not None
    assert len(project.asked) == asked


@pytest.mark.parametrize(
    ("files", "old", "new", "wanted"),
    [
        pytest.param(
            {
                "go.mod": "module shop\n",
                "goods.go": "package shop\n\nfunc Price(n int) int {\n\treturn n\n}\n",
                "till.go": "package shop\n\nfunc Pay() int {\n\treturn Price(1) + Price(2)\n}\n",
            },
            "Price", "Cost", "\treturn Cost(1) + Cost(2)\n",
            id="of its package",
        ),
        pytest.param(
            {
                "goods.py": "def price(n):\n    return n\n",
                "till.py": "import goods\n\nx = goods.price(1) + goods.price(2)\n",
            },
            "price", "cost", "x = goods.cost(1) + goods.cost(2)\n",
            id="through the module",
        ),
    ],
)  # fmt: skip
async def test_a_name_that_was_put_in_does_not_end_the_offers(
    start: Start, files: dict[str, str], old: str, new: str, wanted: str
) -> None:
    project = start(files)
    goods, till = (one for one in files if one != "go.mod")
    project.edit(project.open(goods), old, new)
    document = project.open(till)
    for _ in range(2):
        project.now += 5
        one = (await project.edits.offered(document, 0))[0]
        document = project.replace(document, one.span, one.new)
    assert wanted in document.text
    assert await project.edits.offered(document, 0) == ()
