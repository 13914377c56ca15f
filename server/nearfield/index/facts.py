"""Facts about an index for the user: its size, its languages, and what is left out of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from nearfield.index.builder import explain
from nearfield.index.files import Tree
from nearfield.index.interface import IndexUnusable
from nearfield.index.parser_process import ParserProcess
from nearfield.index.schema_store import trouble
from nearfield.index.search import Hit, QueryKind
from nearfield.index.search_store import SqliteReader
from nearfield.index.workspace import Keeper, Workspace
from nearfield.syntax.languages import language_for, missing_note


def facts(workspace: Workspace) -> dict[str, Any]:
    """Return the facts about a workspace's index. Raises `IndexUnusable` when there is none."""
    with closing(workspace.reader()) as reader:
        counts = reader.counts()
        languages = reader.languages() if isinstance(reader, SqliteReader) else {}
        return {
            "root": str(workspace.root),
            "index": workspace.where,
            "files": counts.files,
            "chunks": counts.chunks,
            "definitions": counts.definitions,
            "vectors": counts.vectors,
            "languages": languages,
            "skipped": reader.skipped(),
            "source_bytes": counts.bytes,
            "index_bytes": counts.disk_bytes,
        }


def indexed_folders(cache: Path) -> Iterator[Path]:
    """Yield the folders that have an index in the user's cache and are still there."""
    with suppress(OSError):
        for file in sorted((cache / "index").glob("*.db")):
            with suppress(IndexUnusable, OSError), trouble(), closing(SqliteReader(file)) as reader:
                root = Path(reader.fact("root") or "?")
                if root.is_dir():
                    yield root


def explained(tree: Tree, file: Path) -> tuple[str, str, str]:
    """Return the path of a file in a workspace, why it is not indexed ("" when it is), and what is
    known of it only in part ("" for nothing)."""
    inside = os.path.relpath(os.path.realpath(file.parent), tree.root)
    path = (Path(inside) / file.name).as_posix()
    if path.startswith("../"):
        return path, "outside the workspace", ""
    with ParserProcess() as apart:
        why = explain(tree, path, apart.understand)
    return path, why, "" if why else missing_note(language_for("", path))


def up_to_date(
    workspace: Workspace, query: str, kind: QueryKind | None, count: int, *, explain: bool = False
) -> list[Hit]:
    """Bring names and text up to date, unless a server does, and search; see `Searcher.search`."""
    workspace = workspace.as_reader().settled()
    try:
        # Of a team's workspace only what is different here is brought up to date.
        with Keeper(workspace if workspace.shared is None else workspace.part()) as keeper:
            if keeper.taken:
                keeper.build()
        with closing(workspace.searcher()) as searcher:
            return searcher.search(query, kind, count, explain=explain)
    finally:
        workspace.place.discard()
