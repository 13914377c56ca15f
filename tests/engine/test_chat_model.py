"""Chats with the real small model: its calls can be read, and its answers meet schemas."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.features.chat.conftest import FakeUser, Screen

from nearfield.config.folders import FolderConfigs
from nearfield.config.schema import Cache, Config, Models
from nearfield.features import assemble
from nearfield.features.accepted import Accepted
from nearfield.features.chat.audit_store import CallStore
from nearfield.features.chat.chat import ChatService
from nearfield.features.chat.chat_states import ChatStates
from nearfield.features.chat.kept_chats import KeptChats
from nearfield.features.chat.protocol import Ask
from nearfield.features.chat.structured import structured
from nearfield.features.chat.tool_servers import ToolServers
from nearfield.features.offers import Offers
from nearfield.features.state_folder import StateFolder
from nearfield.features.trace import TraceLog
from nearfield.listeners import Listeners
from nearfield.providers.embedded import Embedded
from nearfield.routing.request_context import RequestContext
from nearfield.routing.router import Router
from nearfield.routing.store import Store
from nearfield.types import Message, Priority, Role

pytestmark = [pytest.mark.model, pytest.mark.asyncio]

SCHEMA = {
    "type": "object",
    "properties": {"language": {"enum": ["python", "rust"]}, "lines": {"type": "integer"}},
    "required": ["language", "lines"],
    "additionalProperties": False,
}


class Brains:
    """What a chat needs of a service."""

    def __init__(self, config: Config, router: Router | None) -> None:
        self.configs = FolderConfigs(config)
        self.router = router
        self.offers = Offers()
        self.traces = TraceLog()
        self.tool_servers = ToolServers()
        self.applied = Listeners[Accepted]()


async def test_a_resumed_chat_is_not_read_again(small_model: Path, tmp_path: Path) -> None:
    config = Config(models=Models(complete=str(small_model)), cache=Cache(enabled=False))
    states = ChatStates(StateFolder(tmp_path / "prompts"))
    evaluated, told = list[int](), "A price is in cents, and a shop has many. " * 20
    for message in (told + "How is a price counted?", "What has many prices?"):
        built = assemble.providers(config)
        router = Router(config, built, Store(tmp_path / "ledger.db"))
        chat = ChatService(
            Brains(config, router),
            FakeUser(),
            store=CallStore(tmp_path / "calls.db"),
            kept=KeptChats(tmp_path / "chats", states),
        )
        ask = Ask(message, session="kept", workspace=str(tmp_path), functions=(), max_tokens=20)
        try:
            assert (await chat.say(ask, Screen())).text.strip()
            await chat.aclose()
            model = next(one for one in built.values() if isinstance(one, Embedded))
            evaluated.append(model.spent[Priority.CHAT].evaluated)
        finally:
            await router.aclose()
            for provider in built.values():
                await provider.aclose()
    assert evaluated[0] > 200
    assert evaluated[1] < 60


async def test_calls_and_schemas(default_model: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    (work / "src").mkdir(parents=True)
    (work / "src/shop.py").write_text("def price(item):\n    return item.cents / 100\n")
    config = Config(models=Models(complete=str(default_model)), cache=Cache(enabled=False))
    built = assemble.providers(config)
    router = Router(config, built, Store(tmp_path / "ledger.db"))
    chat = ChatService(Brains(config, router), FakeUser(), store=CallStore(tmp_path / "calls.db"))
    ask = Ask(
        "Which files are in the folder src?",
        workspace=str(work),
        functions=("listDirectory", "readFile"),
        max_tokens=60,
    )
    try:
        reply = await chat.say(ask, Screen())
        found = await structured(
            router, (Message(Role.USER, "Describe: def f(): pass"),), SCHEMA, RequestContext()
        )
    finally:
        await router.aclose()
        for provider in built.values():
            await provider.aclose()
    first = reply.calls[0]
    assert (first.name, first.arguments, first.state) == ("listDirectory", {"path": "src"}, "done")
    assert "shop.py" in first.result
    assert reply.text.strip()
    assert found.value["language"] in ("python", "rust")
