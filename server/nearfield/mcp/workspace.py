"""The workspace as an agent may see it.

An agent may send what it reads to any model. So a file that may not leave this machine is not
shown, and secrets are replaced as they are before a cloud is asked. Each call is checked and
recorded as the call of a model in a chat.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nearfield.config.folders import FolderConfigs
from nearfield.config.load import load_folders
from nearfield.errors import ConfigError, NearfieldError
from nearfield.features.chat.audit_store import CallStore
from nearfield.features.chat.folder import Folder
from nearfield.features.chat.protocol import CallState, Unattended
from nearfield.features.chat.tool_calls import ToolCaller
from nearfield.features.chat.tool_context import ToolContext
from nearfield.features.service import Service
from nearfield.listeners import until
from nearfield.mcp.tools import OF_THE_INDEX, OFFERED, RESOURCE, allowed
from nearfield.routing.guard import REDACTION_SECONDS, OutgoingRules
from nearfield.routing.pause import ADVICE
from nearfield.routing.redact import redact_texts
from nearfield.routing.secrets import ScanDeadline
from nearfield.tasks import run_task, stop_task
from nearfield.types import ToolCall

log = logging.getLogger(__name__)

INDEX_SECONDS = 30.0
"""The longest that a call waits for the index; then it is answered from what is there."""
LISTED_FILES = 200
"""Files in one answer to `resources/list`."""
ARGUMENT_CHARS = 20_000
"""Characters of a call's arguments; a name, a path or a question is shorter."""
CALLS_AT_ONCE = 4
UNATTENDED = Unattended("agents may only read here")


@dataclass(frozen=True, slots=True)
class CallAnswer:
    """Result of a call, without secrets."""

    text: str
    is_error: bool


@dataclass(slots=True)
class ExposedWorkspace:
    """See the module. One event loop; `start` before all else, `aclose` at the end."""

    root: Path
    configs: FolderConfigs
    rules: OutgoingRules
    service: Service
    store: CallStore = field(default_factory=CallStore)
    session: str = field(default_factory=lambda: f"mcp-{uuid.uuid4().hex[:12]}")
    _indexing: asyncio.Task[None] | None = None
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CALLS_AT_ONCE))

    @classmethod
    def of(cls, root: Path) -> ExposedWorkspace:
        """Read the settings for a folder. Raises `ConfigError` when it is not known what they keep
        from leaving. Blocks."""
        folder = str(root)
        user, found = load_folders((folder,), None)
        configs = FolderConfigs(user.config, {folder: found[folder].config})
        rules = OutgoingRules.of(configs.of(folder))
        if rules.problem:
            raise ConfigError(f"Nothing is shown to agents: {rules.problem}.")
        # Without providers: no model is loaded or asked.
        service = Service(configs, {})
        service.knowledge.wait_seconds = 0.0
        service.knowledge.folders((folder,))
        return cls(root, configs, rules, service)

    def start(self) -> None:
        """Open the index in the background."""
        # The service itself is not started: it would watch models, and here are none.
        self._indexing = run_task(self.service.knowledge.run(), "keep the index")

    async def aclose(self) -> None:
        """Close the index and the record of calls."""
        if self._indexing is not None:
            await stop_task(self._indexing)
        await self.service.aclose()
        await asyncio.to_thread(self.store.close)

    async def call(self, name: str, arguments: Mapping[str, Any], client: str) -> CallAnswer:
        """Carry out a call of the agent `client`; none while the user has paused."""
        if self.service.is_paused:
            return CallAnswer(f"Not done: Nearfield is paused. {ADVICE}", True)
        written = json.dumps(dict(arguments))
        if len(written) > ARGUMENT_CHARS:
            return CallAnswer(f"The arguments have more than {ARGUMENT_CHARS} characters.", True)
        async with self._turns:
            note = await self._index_note() if name in OF_THE_INDEX else ""
            config = self.configs.of(str(self.root))
            functions = allowed(config.chat.functions)
            caller = ToolCaller(
                functions={
                    one: function
                    for one, function in functions.items()
                    if (one == RESOURCE) is (name == RESOURCE)
                },
                all_names=frozenset(one for one, _, _ in OFFERED),
                context=ToolContext(
                    limits=config.chat,
                    host=UNATTENDED,
                    knowledge=self.service.knowledge if config.index.enabled else None,
                    inside=await asyncio.to_thread(self._folder),
                ),
                store=self.store,
                session=self.session,
                workspace=str(self.root),
                granted=set(),
                report=lambda report: None,
                provider="mcp",
                model=client[:100],
            )
            try:
                outcome, report = await caller.call(ToolCall(self.session, name, written))
                text = await asyncio.to_thread(self._without_secrets, outcome.text + note)
            except NearfieldError as error:
                return CallAnswer(f"Not done: {error}", True)
            return CallAnswer(text, report.state is not CallState.DONE)

    def files(self, first: int) -> tuple[list[str], bool]:
        """Return the paths of the files from number `first` on, and whether there are more.
        Blocks."""
        if (
            self.service.is_paused
            or "readFile" not in self.configs.of(str(self.root)).chat.functions
        ):
            return [], False
        folder = self._folder()
        found = list(itertools.islice(folder.files(), first, first + LISTED_FILES + 1))
        return found[:LISTED_FILES], len(found) > LISTED_FILES

    def _folder(self) -> Folder:
        config = self.configs.of(str(self.root))
        withheld = [one for one in config.privacy.withhold if not one.startswith("!")]
        return Folder(str(self.root), (*config.files.exclude, *withheld))

    def _without_secrets(self, text: str) -> str:
        # A file's name may hold bytes that are no text.
        plain = text.encode("utf-8", "replace").decode()
        [clean], _ = redact_texts([plain], self.rules.own, ScanDeadline(REDACTION_SECONDS))
        return clean

    async def _index_note(self) -> str:
        """Wait for the index; return what to say where it is not complete yet."""
        knowledge = self.service.knowledge
        if not self.configs.of(str(self.root)).index.enabled:
            return ""
        try:
            await until(knowledge.subscribe, lambda: not knowledge.state.is_coming, INDEX_SECONDS)
        except TimeoutError:
            state = knowledge.state
            return f"\n(The index is being built: {state.done} of {state.total} files. Ask again.)"
        detail = knowledge.state.detail
        return f"\n({detail})" if detail else ""
