"""A PostgreSQL for this folder's tests, and a workspace whose index is in it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nearfield.config.schema import Config, Index
from nearfield.index.builder import BuildReport
from nearfield.index.postgres.search_store import PostgresReader
from nearfield.index.search import Searcher
from nearfield.index.shared import Shared
from nearfield.index.workspace import Keeper, Workspace

from ..conftest import Place
from .server import NoServer, Server


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs the database as slow."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Server]:
    """Started once. Where it cannot be, under CI that is a failure."""
    if os.name == "nt":
        pytest.skip("PostgreSQL is started on a Unix socket here")
    # A socket's path has at most 107 characters, and pytest's folders are open to us alone.
    with tempfile.TemporaryDirectory(prefix="nearfield-pg-", ignore_cleanup_errors=True) as folder:
        try:
            server = Server(Path(folder))
            server.start()
        except NoServer as error:
            if os.environ.get("CI"):
                pytest.fail(str(error))
            pytest.skip(f"no PostgreSQL with pgvector: {error}")
        yield server
        server.stop()


@pytest.fixture
def url(cluster: Server) -> str:
    """An empty database of the test's own."""
    return cluster.fresh()


class SharedPlace(Place):
    """A folder whose index is in a database."""

    def __init__(self, base: Path, url: str, name: str = "team/shop") -> None:
        super().__init__(base)
        self.cache = base / "cache"
        self.url = url
        self.name = name
        self.workspace = self.as_("build")

    def as_(self, role: str) -> Workspace:
        """The workspace for one who builds or reads."""
        assert role in ("build", "read")
        settings = Config(index=Index(store=self.url, role=role, name=self.name))
        return Workspace.of(self.root, settings, self.cache)

    def alone(self) -> Workspace:
        """The workspace for one who has no database."""
        return Workspace.of(self.root, Config(), self.cache)

    @property
    def shared(self) -> Shared:
        shared = self.as_("read").shared
        assert shared is not None
        return shared

    def build(self) -> BuildReport:
        with Keeper(self.as_("build")) as keeper:
            assert keeper.taken
            return keeper.build()

    def reader(self) -> PostgresReader:
        return PostgresReader(self.shared)

    def searcher(self, embedder: object = None) -> Searcher:
        return Searcher(self.tree.root, self.reader(), embedder)  # pyright: ignore[reportArgumentType]


@pytest.fixture
def shared(tmp_path: Path, url: str) -> SharedPlace:
    return SharedPlace(tmp_path, url)
