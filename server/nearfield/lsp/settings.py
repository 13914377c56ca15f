"""The editor's settings: `initializationOptions`, `workspace/configuration` and its changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import msgspec
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from nearfield.config.folders import FolderConfigs
from nearfield.config.load import Loaded
from nearfield.config.schema import Config
from nearfield.lsp.protocol import NearfieldProtocol
from nearfield.tasks import run_task, stop_task

log = logging.getLogger(__name__)

SECTION = "nearfield"
PULL_SECONDS = 1.0
"""Time for a client to send its settings; after that its earlier ones hold until they come."""


Load = Callable[[Sequence[str], object], tuple[Loaded, dict[str, Loaded]]]
"""`config.load.load_folders`, or what a test has instead."""


class Settings:
    """The client's settings, and the merged settings that follow from them."""

    def __init__(self, protocol: NearfieldProtocol, load: Load) -> None:
        self.configs = FolderConfigs(Config())
        self._protocol = protocol
        self._load = load
        self._initial: dict[str, Any] = {}
        self._later: dict[str, Any] = {}
        self._wrong: list[str] = []
        self._problems: list[str] = []
        self._told: set[str] = set()
        self._asking: asyncio.Task[None] | None = None

    def begin(self, options: Any) -> None:
        """`initializationOptions` came."""
        self._initial = self._table(options, "initializationOptions")

    async def pull(self, late: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Ask the client for its settings, if it can be asked. `late` is run once those are there
        that were not waited for."""
        if not can_do(self._protocol.client_capabilities, "configuration"):
            return
        await stop_task(self._asking)
        asking = self._asking = run_task(self._ask(), "ask for the settings")
        await asyncio.wait({asking}, timeout=PULL_SECONDS)
        if not asking.done():
            log.warning("the editor has not said its settings yet")
            asking.add_done_callback(
                lambda task: task.cancelled() or run_task(late(), "apply the settings that came")
            )

    async def _ask(self) -> None:
        asked = self._protocol.send_request_async(
            types.WORKSPACE_CONFIGURATION,
            types.ConfigurationParams([types.ConfigurationItem(section=SECTION)]),
        )
        try:
            answer: Any = await asked
        except JsonRpcException as error:
            log.warning("the editor did not say its settings: %s", type(error).__name__)
            return
        if isinstance(answer, list | tuple) and answer:
            self._later = self._table(answer[0], "workspace/configuration")

    def push(self, settings: Any) -> None:
        """`workspace/didChangeConfiguration` brought settings along."""
        if not isinstance(settings, Mapping) or not settings:
            return
        if SECTION in settings:
            self._later = self._table(settings[SECTION], "workspace/didChangeConfiguration")
            return
        # Some clients send all their settings, others ours without our name around them.
        ours = {name: value for name, value in settings.items() if _is_ours(str(name))}
        if ours:
            self._later = ours

    @property
    def config(self) -> Config:
        """The user's settings, which no folder has restricted."""
        return self.configs.user

    async def read(self, roots: Sequence[str]) -> FolderConfigs:
        """Read all sources again; `roots` are the workspace folders."""
        client = laid_over(self._initial, self._later)
        user, loaded = await asyncio.to_thread(self._load, roots, client)
        folders = {root: one.config for root, one in loaded.items()}
        self.configs = FolderConfigs(user.config, folders)
        self._problems = [str(one) for each in (user, *loaded.values()) for one in each.problems]
        return self.configs

    def new_problems(self) -> list[str]:
        """Return the problems that were not returned here before."""
        problems = dict.fromkeys([*self._wrong, *self._problems])
        new = [problem for problem in problems if problem not in self._told]
        self._told.update(new)
        return new

    def _table(self, value: Any, source: str) -> dict[str, Any]:
        """`value` as a table of settings; anything else is a problem."""
        if isinstance(value, Mapping):
            inner = value.get(SECTION)
            return dict(inner if isinstance(inner, Mapping) else value)
        if value is not None:
            self._wrong.append(f"{source}: expected an object; it is ignored.")
        return {}


def laid_over(base: Any, over: Any) -> Any:
    """`over` laid over `base`, table by table; null means "not set"."""
    if not isinstance(base, Mapping) or not isinstance(over, Mapping):
        return base if over is None else over
    return {**base, **{key: laid_over(base.get(key), value) for key, value in over.items()}}


def _is_ours(name: str) -> bool:
    sections = {field.name for field in msgspec.structs.fields(Config)}
    return name.split(".")[0] in sections


def can_do(capabilities: types.ClientCapabilities, what: str) -> bool:
    """Return whether the client has a capability of `workspace`."""
    return bool(getattr(capabilities.workspace, what, False))
