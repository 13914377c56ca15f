"""Conversations over scripted providers, in a small workspace."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from nearfield.config.folders import FolderConfigs
from nearfield.config.schema import Cache, Config, Engine, ProviderSettings, Routing
from nearfield.config.schema import Chat as Settings
from nearfield.features.accepted import Accepted
from nearfield.features.chat.audit_store import CallStore
from nearfield.features.chat.chat import ChatService
from nearfield.features.chat.protocol import (
    Allow,
    Ask,
    CallReport,
    ProposedFile,
    Question,
    Reply,
)
from nearfield.features.chat.session import ChatTurn
from nearfield.features.chat.tool_servers import ToolServers
from nearfield.features.diagnostics import Diagnostic
from nearfield.features.offers import Offers
from nearfield.features.trace import TraceLog
from nearfield.listeners import Listeners
from nearfield.providers.scripted import Scripted
from nearfield.routing.router import Router
from nearfield.routing.store import Store

FILES = {
    "readme.md": "# Shop\n",
    "src/a.ipynb": '{"cells": [{"cell_type": "code", "source": "x = 1", "outputs": [{"a": 7}]}]}',
    "src/shop.py": "def price(item):\n    return item.cents / 100\n",
    "src/empty.py": "",
    ".env": "TOKEN=hunter2\n",
    ".gitignore": "build/\n*.log\n",
    "build/out.py": "x = 1\n",
    "debug.log": "secret log\n",
    ".git/config": "[core]\n",
}


class FakeUser:
    """A host: says what it was told to say, and remembers what it was asked."""

    def __init__(self) -> None:
        self.says = Allow.NO
        self.applies = False
        self.open: dict[str, str] = {}
        self.known: list[tuple[int, Diagnostic]] = []
        self.asked: list[Question] = []
        self.changes: list[ProposedFile] = []
        self.waits = asyncio.Event()
        self.waits.set()

    async def allow(self, question: Question) -> Allow:
        self.asked.append(question)
        await self.waits.wait()
        return self.says

    async def apply(self, change: ProposedFile) -> bool:
        self.changes.append(change)
        await self.waits.wait()
        return self.applies

    async def open_text(self, path: str) -> str | None:
        return self.open.get(path)

    def diagnostics(self, path: str) -> Sequence[tuple[int, Diagnostic]]:
        return self.known


class Screen:
    """A listener that keeps everything."""

    def __init__(self) -> None:
        self.shown = self.thoughts = ""
        self.restarts = 0
        self.reports: list[CallReport] = []

    def text(self, text: str) -> None:
        self.shown += text

    def thinking(self, text: str) -> None:
        self.thoughts += text

    def restart(self) -> None:
        self.shown = ""
        self.restarts += 1

    def call(self, report: CallReport) -> None:
        self.reports.append(report)

    def states(self) -> list[str]:
        return [f"{one.name} {one.state}" for one in self.reports]


@dataclass
class Talk:
    """One person's conversation."""

    configs: FolderConfigs
    router: Router | None
    model: Scripted
    root: Path
    store: CallStore
    offers: Offers = field(default_factory=Offers)
    traces: TraceLog = field(default_factory=TraceLog)
    tool_servers: ToolServers = field(default_factory=ToolServers)
    applied: Listeners[Accepted] = field(default_factory=Listeners[Accepted])
    person: FakeUser = field(default_factory=FakeUser)
    screen: Screen = field(default_factory=Screen)
    session: str = "s"
    chat: ChatService = field(init=False)

    def __post_init__(self) -> None:
        self.chat = ChatService(self, self.person, store=self.store)

    async def say(self, message: str, **how: Any) -> Reply:
        given: dict[str, Any] = {"session": self.session, "workspace": str(self.root), **how}
        return await self.chat.say(Ask(message, **given), self.screen)

    def told(self) -> str:
        """All that the model was told last."""
        request: Any = self.model.calls[-1].request
        return "\n".join(f"{m.role}: {m.content}" for m in request.messages)

    def session_turns(self) -> list[ChatTurn]:
        """What the conversation holds."""
        return self.chat._sessions[self.session].turns  # pyright: ignore[reportPrivateUsage] - to look at

    def told_all(self) -> list[str]:
        """Each message of the last request with functions."""
        requests: list[Any] = [one.request for one in self.model.calls]
        last = next(one for one in reversed(requests) if one.tools)
        return [f"{m.role}: {m.content}" for m in last.messages]


StartTalk = Callable[..., Talk]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    root = tmp_path / "work"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest_asyncio.fixture
async def talk(tmp_path: Path, workspace: Path) -> AsyncGenerator[StartTalk]:
    """Starts a conversation: `talk({answer}, …, functions=[…])`."""
    routers: list[Router] = []
    stores: list[CallStore] = []

    def start(*answers: dict[str, Any], context: int | None = None, **settings: Any) -> Talk:
        options: dict[str, Any] = {"answers": list(answers)}
        if context is not None:
            options["context_tokens"] = context
        config = Config(
            engine=Engine(enabled=False),
            # Answers of an earlier run would be given again.
            cache=Cache(enabled=False),
            routing=Routing(roles={"code": ["fake"]}),
            providers={"fake": ProviderSettings(kind="scripted", options=options)},
            chat=Settings(**settings),
        )
        model = Scripted("fake", config.providers["fake"])
        router = Router(config, {"fake": model}, Store(tmp_path / "ledger.db"))
        routers.append(router)
        stores.append(CallStore(tmp_path / "calls.db"))
        return Talk(FolderConfigs(config), router, model, workspace, stores[-1])

    yield start
    for router in routers:
        await router.aclose()
    for store in stores:
        store.close()


def call(name: str, **arguments: Any) -> dict[str, Any]:
    """A scripted answer's call."""
    return {"name": name, "arguments": arguments}
