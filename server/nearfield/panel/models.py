"""The view "Models": which models there are, which are here, how they do, and how to get others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import msgspec

from nearfield.catalog import download, user
from nearfield.catalog.choice import named
from nearfield.catalog.hub import MAX_SEARCH_CHARS, Hub
from nearfield.catalog.listing import advice_row, file_row, model_rows, repository_row
from nearfield.catalog.models import Catalog
from nearfield.catalog.outdated import freshness
from nearfield.catalog.partial_file import PullStep
from nearfield.catalog.recommend import recommend, this_machine
from nearfield.catalog.registration import adapted, registration
from nearfield.config.load import load
from nearfield.errors import CatalogError, NearfieldError
from nearfield.features.benchmark import benchmark
from nearfield.features.measured import keep_measured, measured_models
from nearfield.features.metrics.store import RecordStore
from nearfield.features.metrics.summary import parts
from nearfield.features.model_picks import Picks, model_picks, pick
from nearfield.features.routed import routed
from nearfield.http.wire import BadRequest
from nearfield.network.setting import environ_of
from nearfield.panel.jobs import JobProgress, Jobs, PanelJob, in_thread
from nearfield.panel.settings import loaded_for
from nearfield.panel.view import NoBody, Query, Read, ViewAction

DAYS = 30
"""Days of suggestions that a model's quality is told from."""


class ModelBody(msgspec.Struct, frozen=True):
    """A model by its name; `mirror` permits third parties' packages."""

    name: str
    mirror: bool = False


class ModelsBody(msgspec.Struct, frozen=True):
    """Models by their names."""

    names: list[str]


class RoleOfModel(msgspec.Struct, frozen=True):
    """A role, and its model: a name of `models/picks`, a path, or "" for the best one here."""

    role: str
    name: str = ""
    workspace: str = ""


class SearchBody(msgspec.Struct, frozen=True):
    """A text that the hub is searched for."""

    text: str


class RepositoryBody(msgspec.Struct, frozen=True):
    """A repository of the hub."""

    repo: str


class RegisterBody(msgspec.Struct, frozen=True):
    """A model of the user's own, or one that a LoRA adapter changes; see `nearfield models add`."""

    name: str
    source: str = ""
    roles: list[str] | None = None
    lora: str = ""
    base: str = ""
    scale: float = 1.0


class ModelsView:
    """See the module."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    def reads(self) -> Mapping[str, Read]:
        """See `View`."""
        return {"models": self._models, "models/picks": self._picks}

    def actions(self) -> Mapping[str, ViewAction]:
        """See `View`."""
        return {
            "models/search": ViewAction(SearchBody, self._search),
            "models/files": ViewAction(RepositoryBody, self._files),
            "models/add": ViewAction(RegisterBody, self._add),
            "models/pull": ViewAction(ModelBody, self._pull),
            "models/verify": ViewAction(ModelBody, self._verify),
            "models/remove": ViewAction(ModelBody, self._remove),
            "models/use": ViewAction(RoleOfModel, self._use),
            "models/benchmark": ViewAction(ModelsBody, self._benchmark),
            "models/outdated": ViewAction(NoBody, self._outdated),
        }

    async def _models(self, query: Query) -> dict[str, Any]:
        found = await asyncio.to_thread(_list)
        for row in found["models"]:
            job = self._jobs.running("pull", row["name"]) or self._jobs.running(
                "verify", row["name"]
            )
            row["job"] = job.id if job is not None else None
        return found

    async def _picks(self, query: Query) -> Picks:
        workspace = query.get("workspace", "")
        config = (await asyncio.to_thread(loaded_for, workspace)).config
        async with routed(config, lambda _: None) as (router, _):
            return await model_picks(router, config, query.get("role", ""), workspace)

    async def _search(self, body: SearchBody) -> dict[str, Any]:
        if not body.text.strip() or len(body.text) > MAX_SEARCH_CHARS:
            raise BadRequest(f"Write up to {MAX_SEARCH_CHARS} characters to search for.", "text")

        def search() -> list[dict[str, Any]]:
            with Hub(_environ()) as hub:
                return [repository_row(one) for one in hub.search(body.text.strip())]

        return {"repositories": await asyncio.to_thread(search)}

    async def _files(self, body: RepositoryBody) -> dict[str, Any]:
        def files() -> list[dict[str, Any]]:
            machine = this_machine(Catalog.load())
            with Hub(_environ()) as hub:
                return [file_row(one, machine) for one in hub.files(body.repo)]

        return {"repo": body.repo, "files": await asyncio.to_thread(files)}

    async def _add(self, body: RegisterBody) -> dict[str, Any]:
        def add() -> None:
            stated = {"roles": body.roles} if body.roles is not None else {}
            catalog = Catalog.load()
            if body.lora:
                entry = adapted(body.name, body.lora, body.base, body.scale, catalog, stated)
            else:
                known = catalog.entries.get(body.name)
                entry = registration(body.name, body.source, known, stated)
            user.register(entry)

        await asyncio.to_thread(add)
        return {"name": body.name}

    async def _pull(self, body: ModelBody) -> dict[str, PanelJob]:
        catalog = await asyncio.to_thread(Catalog.load)
        entry = catalog.get(body.name)

        async def work(progress: JobProgress) -> Any:
            def told(step: PullStep) -> None:
                progress.at(step.phase, step.done, step.total or None)

            def pull() -> dict[str, Any]:
                environ = _environ()
                path = download.pull(catalog, entry.name, told, mirror=body.mirror, environ=environ)
                return {"name": entry.name, "path": str(path)}

            return await in_thread(pull, progress)

        title = f"Fetch {entry.name}"
        return {"job": self._jobs.start("pull", title, work, about=entry.name, unit="bytes")}

    async def _verify(self, body: ModelBody) -> dict[str, PanelJob]:
        catalog = await asyncio.to_thread(Catalog.load)
        entry = catalog.get(body.name)

        async def work(progress: JobProgress) -> Any:
            path = await asyncio.to_thread(download.verify, catalog, entry.name)
            return {"name": entry.name, "path": str(path)}

        return {"job": self._jobs.start("verify", f"Verify {entry.name}", work, about=entry.name)}

    async def _remove(self, body: ModelBody) -> dict[str, Any]:
        def remove() -> dict[str, Any]:
            freed = download.remove(Catalog.load(), body.name)
            return {
                "name": body.name,
                "freed_bytes": freed,
                "unregistered": user.unregister(body.name),
            }

        return await asyncio.to_thread(remove)

    async def _use(self, body: RoleOfModel) -> dict[str, Any]:
        config = (await asyncio.to_thread(loaded_for, body.workspace)).config
        async with routed(config, lambda _: None) as (router, _):
            now = await pick(router, body.role, body.name, body.workspace)
        return {
            "role": now.role,
            "model": now.model,
            "installed": not now.missing,
            "config": now.config,
        }

    async def _benchmark(self, body: ModelsBody) -> dict[str, PanelJob]:
        if not body.names:
            raise BadRequest("Name the models to measure.", "names")
        catalog = await asyncio.to_thread(Catalog.load)
        for name in body.names:
            catalog.get(name)

        async def work(progress: JobProgress) -> Any:
            settings = (await asyncio.to_thread(load)).config.engine
            rows: list[dict[str, Any]] = []
            for number, name in enumerate(body.names):
                progress.at(f"measuring {name}", number, len(body.names), result=list(rows))
                rows.append(
                    {"name": name, **await self._measured(settings, catalog, name, progress)}
                )
            return rows

        title = f"Measure {', '.join(body.names)}"
        return {"job": self._jobs.start("benchmark", title, work, unit="models")}

    async def _measured(
        self, settings: Any, catalog: Catalog, name: str, progress: JobProgress
    ) -> dict[str, Any]:
        nothing = dict.fromkeys(("read", "write", "load_ms", "exact", "cases"))
        try:
            choice = await asyncio.to_thread(named, name, catalog)
            found = await benchmark(
                settings, choice, lambda hole: progress.at(f"{name}: hole {hole + 1}")
            )
            await asyncio.to_thread(keep_measured, name, found)
        except NearfieldError as error:
            return {**nothing, "error": str(error)}
        return {**msgspec.structs.asdict(found), "error": None}

    async def _outdated(self, body: NoBody) -> dict[str, Any]:
        found = await asyncio.to_thread(lambda: freshness(Catalog.load(), _environ()))
        return {
            "models": [
                {
                    "name": one.name,
                    "outdated": one.is_outdated,
                    "pinned": one.pinned,
                    "problem": one.problem,
                }
                for one in found
            ]
        }


def _list() -> dict[str, Any]:
    catalog = Catalog.load()
    machine = this_machine(catalog)
    measured, fared = measured_models(), _fared()
    rows = model_rows(catalog, machine, load(None).config.models)
    for row in rows:
        entry = catalog.entries[row["name"]]
        left = None if row["installed"] else download.partial(catalog, entry.name)
        row |= {
            "hub_only": entry.hub_only,
            "mirrored": entry.is_mirrored,
            "partial": {"done": left[0], "total": left[1]} if left is not None else None,
            "measured": measured.get(entry.name),
            "suggestions": fared.get(entry.name),
        }
    return {
        "machine": {**asdict(machine), "budget": machine.budget, "words": machine.words()},
        "folder": str(catalog.folder),
        "default": catalog.default,
        "problems": list(catalog.problems),
        "hub": _hub_address(),
        "models": rows,
        "advice": [advice_row(item) for item in recommend(catalog, machine)],
    }


def _fared() -> dict[str, dict[str, int]]:
    """Return how the suggestions of each model fared lately."""
    store = RecordStore()
    try:
        sums = store.sums(time.time() - DAYS * 86_400)
    except NearfieldError:
        return {}
    finally:
        store.close()
    return {
        one.key: {
            "offered": one.offered,
            "taken": one.accepted + one.partly,
            "saved": one.saved,
        }
        for one in parts(sums, "model")
    }


def _environ() -> Mapping[str, str]:
    return environ_of(load().config)


def _hub_address() -> str:
    try:
        with Hub(_environ()) as hub:
            return hub.endpoint
    except CatalogError:
        return ""
