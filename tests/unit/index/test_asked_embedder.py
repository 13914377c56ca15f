"""An embedder that somebody else is, instead of the shipped one or beside it."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from nearfield.config.schema import Config, ProviderSettings
from nearfield.config.schema import Index as IndexSettings
from nearfield.errors import ProviderError
from nearfield.index.asked_embedder import MOST_CHARS, AskedEmbedder, NotEmbedded
from nearfield.index.embedding import Embedding
from nearfield.index.search import Searcher
from nearfield.index.search_store import Reader
from nearfield.index.service import Index
from nearfield.index.store import Store
from nearfield.index.vector_store import Vectors
from nearfield.index.workspace import Workspace
from nearfield.providers import registry

from .conftest import Place, WordEmbedder

PATIENCE_S = 60.0


def rows(texts: Sequence[str]) -> list[list[float]]:
    """Of many numbers, none of length one."""
    return [[float(text.count(letter)) + 0.5 for letter in "abcdefgh"] for text in texts]


def test_what_comes_is_made_a_unit_vector() -> None:
    embedder = AskedEmbedder("one", rows)
    assert embedder.dimensions == 8
    made = embedder.embed(["abc", "", "\ud800"])
    assert made.shape == (3, 8) and np.allclose((made**2).sum(1), 1)


def test_long_texts_are_cut() -> None:
    seen: list[int] = []

    def ask(texts: Sequence[str]) -> list[list[float]]:
        seen.extend(map(len, texts))
        return rows(texts)

    AskedEmbedder("one", ask).embed(["x" * 10_000, "y"])
    assert seen == [MOST_CHARS, 1]


@pytest.mark.parametrize(
    "answer", [[], [[1.0]], [[1.0], [1.0, 2.0]], [[], []], [[math.nan], [1.0]]]
)
def test_what_is_no_answer_is_said_to_be_none(answer: list[list[float]]) -> None:
    with pytest.raises(NotEmbedded):
        AskedEmbedder("one", lambda texts: answer).embed(["a", "b"])


def test_the_ones_before_answer_until_the_new_ones_are_there(place: Place) -> None:
    place.write({f"m{number}.py": f"def alpha{number}(): pass\n" for number in range(10)})
    place.build()
    old = WordEmbedder()
    store, reader = Store(place.file), Reader(place.file)
    Embedding(place.tree, reader, Vectors(store.connection, old.name, old.dimensions), old).run()
    asked: list[str] = []
    broken = False

    def ask(texts: Sequence[str]) -> list[list[float]]:
        if broken:
            raise NotEmbedded("gone")
        asked.extend(texts)
        return rows(texts)

    new = AskedEmbedder("new", ask)
    vectors = Vectors(store.connection, new.name, new.dimensions)
    searcher = Searcher(place.root, Reader(place.file), old, new)

    def answers() -> str:
        asked.clear()
        old.seen.clear()
        assert searcher.search("what is alpha")
        return "new" if asked else "old" if old.seen else "none"

    vectors.prepare()
    for number, row in enumerate(store.connection.execute("SELECT digest FROM chunk").fetchall()):
        assert answers() == ("new" if number >= 9 else "old")
        digest = row[0]
        assert isinstance(digest, bytes)
        vectors.add([digest], new.embed([str(number)]))
    assert answers() == "new"
    broken = True
    assert answers() == "old"
    assert {one: reader.vectors_of(one) for one in ("words", "new")} == {"words": 10, "new": 10}
    store.close()


def settings(name: str) -> Config:
    return Config(
        index=IndexSettings(embedder=name),
        providers={name: ProviderSettings(kind="openai_compatible", model="small")},
    )


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not true():
            await asyncio.sleep(0.02)


async def indexed(
    place: Place,
    cache: Path,
    embed: Callable[[Sequence[str]], Awaitable[list[list[float]]]],
    settled: Callable[[Index], object],
) -> dict[str, int]:
    """Index the folder in a process of its own until `settled`; the vectors by embedder."""
    index = Index(settings("server"), cache, embed)
    await index.open(place.root)
    try:
        await until(lambda: settled(index))
        hits = await index.search("what is alpha")
        assert hits[0].path == "a.py"
    finally:
        await index.close()
    reader = Reader(Workspace.of(place.root, settings("server"), cache).place.file)
    made = {name: reader.vectors_of(name) for name in ("server/small", "all-MiniLM-L6-v2-int8")}
    reader.close()
    return made


def ready(index: Index) -> bool:
    return index.status.state == "ready" and index.status.vectors == 2


FILES = {"a.py": "def alpha(): pass\n", "b.py": "def beta(): pass\n"}


async def test_an_http_server_makes_the_vectors(
    place: Place, tmp_path: Path, httpserver: HTTPServer
) -> None:
    place.write(FILES)
    sent: list[str] = []

    def answer(request: Request) -> Response:
        texts: list[str] = json.loads(request.data)["input"]
        sent.extend(texts)
        data = [{"index": at, "embedding": row} for at, row in enumerate(rows(texts))]
        return Response(msgspec.json.encode({"data": data}), content_type="application/json")

    httpserver.expect_request("/v1/embeddings", method="POST").respond_with_handler(answer)
    settings = ProviderSettings(
        kind="openai_compatible",
        model="small",
        base_url=httpserver.url_for("/v1"),
        options={"embed": True},
    )
    provider = registry.build("server", settings, environ={})
    try:
        made = await indexed(place, tmp_path / "cache", provider.embed, ready)
    finally:
        await provider.aclose()
    assert made == {"server/small": 2, "all-MiniLM-L6-v2-int8": 0}
    assert any("def alpha" in text for text in sent) and "what is alpha" in sent


async def test_an_embedder_that_is_gone_is_said_and_the_rest_works(
    place: Place, tmp_path: Path
) -> None:
    place.write(FILES)

    async def embed(texts: Sequence[str]) -> list[list[float]]:
        raise ProviderError("server cannot be reached.", "Start it.")

    def told(index: Index) -> bool:
        return "server cannot be reached. Start it." in index.status.detail

    made = await indexed(place, tmp_path / "cache", embed, told)
    assert made == {"server/small": 0, "all-MiniLM-L6-v2-int8": 0}
