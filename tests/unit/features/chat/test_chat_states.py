"""What a model has evaluated of a chat outlives the process, as long as the chat does."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.unit.features.chat.conftest import Talk

from nearfield.config.folders import FolderConfigs
from nearfield.config.schema import Cache, Chat, Config, Engine, ProviderSettings, Routing
from nearfield.errors import EngineDied, NotReady
from nearfield.features.chat.audit_store import CallStore
from nearfield.features.chat.chat import ChatService
from nearfield.features.chat.chat_states import ChatStates
from nearfield.features.chat.kept_chats import KeptChats
from nearfield.features.state_folder import StateFolder
from nearfield.providers.scripted import Scripted
from nearfield.routing.pause import UserPause
from nearfield.routing.router import Router
from nearfield.routing.store import Store

KEY = "sk-ant-api03-" + "A1b2C3d4E5f6G7h8" * 5


class Keeper(Scripted):
    """A model that writes a chat's name, and reads only that."""

    identity = "model"
    dies = False
    is_ready = True
    is_loaded = False

    def __init__(self, name: str, settings: ProviderSettings) -> None:
        super().__init__(name, settings)
        self.recalled: list[str] = []

    def kept_as(self) -> str:
        return self.identity

    async def chats_kept_as(self) -> str:
        self.is_loaded = True
        if not self.is_ready:
            raise NotReady("The model is still loading.")
        return self.identity

    async def keep_chat(self, session: str, path: str) -> int:
        if self.dies:
            raise EngineDied("gone")
        Path(path).write_text(session * 100)
        return 10

    async def recall_chat(self, session: str, path: str) -> int:
        if self.dies:
            raise EngineDied("gone")
        assert Path(path).read_text() == session * 100
        self.recalled.append(session)
        return 10


StartKeeping = Callable[..., Talk]


@pytest_asyncio.fixture
async def start(tmp_path: Path, workspace: Path) -> AsyncGenerator[StartKeeping]:
    """Starts a process with a chat, which goes on from the one before."""
    routers: list[Router] = []

    def process(megabytes: int = 8, days: int = 30, *, is_paused: bool = False) -> Talk:
        options: dict[str, Any] = {"answers": [{"text": "A shop."}]}
        config = Config(
            engine=Engine(enabled=False, keep_prompts_mb=megabytes),
            cache=Cache(enabled=False),
            routing=Routing(roles={"code": ["fake"]}),
            providers={"fake": ProviderSettings(kind="scripted", options=options)},
            chat=Chat(keep_days=days),
        )
        model = Keeper("fake", config.providers["fake"])
        pause = UserPause(is_here=is_paused)
        router = Router(config, {"fake": model}, Store(tmp_path / "ledger.db"), pause)
        routers.append(router)
        store = CallStore(tmp_path / "calls.db")
        talk = Talk(FolderConfigs(config), router, model, workspace, store)
        talk.chat = ChatService(talk, talk.person, store=store, kept=chats(tmp_path))
        return talk

    yield process
    for router in routers:
        await router.aclose()


def chats(folder: Path) -> KeptChats:
    return KeptChats(folder / "chats", ChatStates(StateFolder(folder / "prompts")))


def recalled(talk: Talk) -> list[str]:
    assert isinstance(talk.model, Keeper)
    return talk.model.recalled


def states(folder: Path) -> list[Path]:
    return list((folder / "prompts").glob("chat-*"))


async def test_a_resumed_chat_is_not_read_again(start: StartKeeping, tmp_path: Path) -> None:
    first = start()
    await first.say("what is it?")
    await first.say("really?")
    assert recalled(first) == []
    assert states(tmp_path) == []  # the next message may come at once
    await first.chat.aclose()
    assert len(states(tmp_path)) == 2
    second = start()
    await second.say("say it again")
    await second.say("and again")
    assert recalled(second) == ["chat:s"]
    assert "A shop." in second.told()


async def test_a_state_is_kept_after_a_while(
    start: StartKeeping, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nearfield.features.chat.chat.KEEP_SECONDS", 0.0)
    first = start()
    await first.say("what is it?")
    keeping = first.chat._keeping  # pyright: ignore[reportPrivateUsage] - to wait for it
    assert keeping is not None
    await keeping
    assert len(states(tmp_path)) == 2
    await first.say("really?")
    await first.chat.aclose()


async def test_no_state_holds_a_secret(start: StartKeeping, tmp_path: Path) -> None:
    first = start()
    await first.say("what is it?")
    await first.chat.aclose()
    assert states(tmp_path)
    await first.say(f"is {KEY} right?")
    await first.chat.aclose()
    assert states(tmp_path) == []
    second = start()
    await second.say("say it again")
    assert recalled(second) == []


async def test_no_state_is_left_of_a_chat_that_another_process_deletes(
    start: StartKeeping, tmp_path: Path
) -> None:
    talk = start()
    await talk.say("what is it?")
    assert chats(tmp_path).delete("s")
    await talk.chat.aclose()
    assert states(tmp_path) == []


@pytest.mark.parametrize("way", ["one", "all", "open", "old"])
async def test_a_state_goes_with_its_chat(start: StartKeeping, tmp_path: Path, way: str) -> None:
    talk = start()
    await talk.say("what is it?")
    await talk.chat.aclose()
    assert states(tmp_path)
    kept = chats(tmp_path)
    if way == "one":
        assert kept.delete("s")
    elif way == "all":
        assert kept.delete_all() == 1
    elif way == "open":
        assert await talk.chat.delete("s")
        await talk.chat.aclose()
    else:
        kept.prune(Chat(keep_days=1), now=kept.heads()[0].changed + 2 * 86_400)
    assert states(tmp_path) == []


async def test_another_model_reads_the_chat_itself(start: StartKeeping, tmp_path: Path) -> None:
    first = start()
    await first.say("what is it?")
    await first.chat.aclose()
    second = start()
    assert isinstance(second.model, Keeper)
    second.model.identity = "another"
    assert (await second.say("say it again")).text == "A shop."
    assert recalled(second) == []
    assert states(tmp_path) == []


async def test_no_model_is_loaded_for_a_resumed_chat_while_paused(
    start: StartKeeping, tmp_path: Path
) -> None:
    first = start()
    await first.say("what is it?")
    await first.chat.aclose()
    second = start(is_paused=True)
    with pytest.raises(NotReady, match="paused"):
        await second.say("say it again")
    assert isinstance(second.model, Keeper)
    assert not second.model.is_loaded
    assert states(tmp_path)


async def test_a_model_that_is_not_ready_costs_no_state(
    start: StartKeeping, tmp_path: Path
) -> None:
    first = start()
    await first.say("what is it?")
    await first.chat.aclose()
    second = start()
    assert isinstance(second.model, Keeper)
    second.model.is_ready = False
    assert (await second.say("say it again")).text == "A shop."
    assert states(tmp_path)


async def test_a_damaged_state_never_reaches_the_engine(
    start: StartKeeping, tmp_path: Path
) -> None:
    first = start()
    await first.say("what is it?")
    await first.chat.aclose()
    for file in states(tmp_path):
        file.write_bytes(file.read_bytes()[:-1] + b"!")
    second = start()
    assert (await second.say("say it again")).text == "A shop."
    assert recalled(second) == []


@pytest.mark.parametrize("when", ["it is kept", "it is recalled"])
async def test_a_dying_engine_costs_no_answer(
    start: StartKeeping, tmp_path: Path, when: str
) -> None:
    first = start()
    assert isinstance(first.model, Keeper)
    first.model.dies = when == "it is kept"
    await first.say("what is it?")
    await first.chat.aclose()
    assert bool(states(tmp_path)) is (when == "it is recalled")
    second = start()
    assert isinstance(second.model, Keeper)
    second.model.dies = True
    assert (await second.say("say it again")).text == "A shop."


@pytest.mark.parametrize("settings", [{"megabytes": 0}, {"days": 0}])
async def test_nothing_is_kept_where_the_user_wants_none(
    start: StartKeeping, tmp_path: Path, settings: dict[str, int]
) -> None:
    talk = start(**settings)
    await talk.say("what is it?")
    await talk.chat.aclose()
    assert states(tmp_path) == []
