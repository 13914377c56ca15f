"""The view "Index": what is known of each folder, what is left out, and why a search finds what."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from nearfield.catalog.disk import cache_dir
from nearfield.config import edit
from nearfield.config.load import load
from nearfield.engine.client import physical_cores
from nearfield.errors import ConfigError, NearfieldError
from nearfield.features.settings import put
from nearfield.http.wire import BadRequest
from nearfield.index.facts import explained, facts, indexed_folders, up_to_date
from nearfield.index.interface import IndexUnusable
from nearfield.index.search import QueryKind, kind_of
from nearfield.index.workspace import Keeper, Workspace
from nearfield.panel.jobs import JobProgress, Jobs, PanelJob, in_thread
from nearfield.panel.servers import Servers, folders
from nearfield.panel.settings import loaded_for
from nearfield.panel.view import Query, Read, ViewAction

MAX_FOLDERS = 50


class FolderBody(msgspec.Struct, frozen=True):
    """A folder; `fresh` builds its index from nothing."""

    root: str
    fresh: bool = False


class PauseBody(msgspec.Struct, frozen=True):
    """A folder whose index does nothing in the background while `on`."""

    root: str
    on: bool = True


class QueryBody(msgspec.Struct, frozen=True):
    """A search in a folder."""

    root: str
    query: str
    kind: str = ""
    count: Annotated[int, Meta(ge=1, le=100)] = 10


class FileBody(msgspec.Struct, frozen=True):
    """A file of a folder."""

    root: str
    file: str


class PatternBody(msgspec.Struct, frozen=True):
    """A pattern as in `.gitignore`."""

    pattern: str


class IndexView:
    """See the module."""

    def __init__(self, servers: Servers, jobs: Jobs) -> None:
        self._servers = servers
        self._jobs = jobs

    def reads(self) -> Mapping[str, Read]:
        """See `View`."""
        return {"index": self._folders}

    def actions(self) -> Mapping[str, ViewAction]:
        """See `View`."""
        return {
            "index/search": ViewAction(QueryBody, self._search),
            "index/explain": ViewAction(FileBody, self._explain),
            "index/rebuild": ViewAction(FolderBody, self._rebuild),
            "index/pause": ViewAction(PauseBody, self._pause),
            "index/exclude": ViewAction(PatternBody, self._exclude),
            "index/include": ViewAction(PatternBody, self._include),
        }

    async def _folders(self, query: Query) -> dict[str, Any]:
        answers = await self._servers.ask_all("now")
        open_in = folders(answers)
        states = {
            state["root"]: state
            for _, answer in answers
            if isinstance(answer, dict)
            for state in answer.get("indexes", ())
        }
        named = [query["workspace"]] if query.get("workspace") else []
        rows, exclude = await asyncio.to_thread(_rows, [*open_in, *named])
        for row in rows:
            state = states.get(row["root"], {})
            row |= {
                "servers": open_in.get(row["root"], []),
                "state": state.get("state", "none"),
                "detail": state.get("detail", ""),
                "done": state.get("done", 0),
                "total": state.get("total", 0),
                "paused": state.get("paused", False),
            }
        return {"folders": rows, "exclude": exclude}

    async def _search(self, body: QueryBody) -> dict[str, Any]:
        if not body.query.strip():
            raise BadRequest("Write a name, a question or a piece of code.", "query")
        if body.kind not in ("", *(kind.value for kind in QueryKind)):
            raise BadRequest("The kind is symbol, words or code.", "kind")

        def search() -> dict[str, Any]:
            workspace = _workspace(body.root)
            kind = QueryKind(body.kind) if body.kind else kind_of(body.query)
            hits = up_to_date(workspace, body.query, kind, body.count, explain=True)
            return {"kind": kind.value, "hits": [{**hit.row(), "why": hit.why} for hit in hits]}

        return await asyncio.to_thread(search)

    async def _explain(self, body: FileBody) -> dict[str, Any]:
        def explain() -> dict[str, Any]:
            workspace = _workspace(body.root)
            path, why, note = explained(workspace.tree, Path(workspace.root, body.file))
            return {"path": path, "indexed": not why, "reason": why, "note": note}

        return await asyncio.to_thread(explain)

    async def _rebuild(self, body: FolderBody) -> dict[str, PanelJob]:
        workspace = await asyncio.to_thread(_workspace, body.root)
        asked = {"root": body.root, "fresh": body.fresh}

        async def work(progress: JobProgress) -> Any:
            # The server that has the folder open builds its index; it is told, and goes on by
            # itself.
            told = [
                one.id
                for one, answer in await self._servers.ask_all("index/rebuild", asked)
                if isinstance(answer, dict) and answer.get("known")
            ]
            if told:
                return {"servers": told}
            return await in_thread(lambda: _build(workspace, body.fresh, progress), progress)

        title = f"Index {workspace.root.name}"
        return {"job": self._jobs.start("index", title, work, about=body.root, unit="files")}

    async def _pause(self, body: PauseBody) -> dict[str, Any]:
        answers = await self._servers.ask_all("index/pause", {"root": body.root, "on": body.on})
        known = [one.id for one, said in answers if isinstance(said, dict) and said.get("known")]
        return {"servers": known}

    async def _exclude(self, body: PatternBody) -> dict[str, Any]:
        pattern = body.pattern.strip()
        if not pattern or "\n" in pattern:
            raise BadRequest("A pattern is one line, as in .gitignore.", "pattern")
        return await asyncio.to_thread(_change, add=pattern)

    async def _include(self, body: PatternBody) -> dict[str, Any]:
        return await asyncio.to_thread(_change, remove=body.pattern)


def _workspace(root: str) -> Workspace:
    """Return a workspace. Raises `ConfigError` for what is no folder."""
    if not root:
        raise ConfigError("No folder was named.", "Give an absolute path.")
    return Workspace.of(Path(root), loaded_for(root).config, cache_dir())


def _rows(roots: list[str]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return what is known of the indexes of `roots` and of all others, and what is excluded."""
    found = dict.fromkeys([*roots, *map(str, indexed_folders(cache_dir()))])
    return [_row(root) for root in list(found)[:MAX_FOLDERS]], load().config.index.exclude


def _row(root: str) -> dict[str, Any]:
    row: dict[str, Any] = {
        "root": root,
        "where": "",
        "exists": False,
        "files": 0,
        "chunks": 0,
        "definitions": 0,
        "vectors": 0,
        "source_bytes": 0,
        "index_bytes": 0,
        "changed": None,
        "languages": [],
        "skipped": [],
        "enabled": True,
        "shared": None,
        "problem": "",
    }
    try:
        config = loaded_for(root).config
        workspace = Workspace.of(Path(root), config, cache_dir())
        row |= {"where": workspace.where, "enabled": config.index.enabled}
        if workspace.shared is not None:
            row["shared"] = f"{workspace.shared.name} in {workspace.shared.where}"
        found = facts(workspace)
    except IndexUnusable:
        return row
    except NearfieldError as error:
        return row | {"problem": str(error)}
    languages, skipped = found.pop("languages"), found.pop("skipped")
    where = found.pop("index")
    file = workspace.place.file
    return row | {
        **found,
        "where": where,
        "exists": True,
        "changed": file.stat().st_mtime if file.exists() else None,
        "languages": [{"language": name, "files": count} for name, count in languages.items()],
        "skipped": [
            {"reason": reason, "count": count}
            for reason, count in sorted(skipped.items(), key=lambda one: -one[1])
        ],
    }


def _build(workspace: Workspace, fresh: bool, progress: JobProgress) -> dict[str, Any]:
    """Build an index that no server keeps."""
    workspace = workspace.settled()
    if fresh:
        workspace.forget()
    keeper = Keeper(workspace, threads=physical_cores(), stop=lambda: progress.is_stopped)
    with keeper:
        if not keeper.taken:
            raise ConfigError("Another program builds this index.", "Wait until it is done.")
        keeper.build(lambda step: progress.at("reading", step.done, step.total))
        keeper.embed(listener=lambda made, total: progress.at("meaning", made, total))
    return facts(workspace)


def _change(add: str = "", remove: str = "") -> dict[str, Any]:
    with edit.changing():
        held = [one for one in load().config.index.exclude if one not in (add, remove)]
        if add:
            held.append(add)
        put("index.exclude", held)
    return {"exclude": held}
