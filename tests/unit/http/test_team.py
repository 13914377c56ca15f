"""A team's people over HTTP: what each may do, and that none sees or times another's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from nearfield.config.schema import Config, ProviderSettings
from nearfield.features.service import Service
from nearfield.features.team.people import People
from nearfield.features.team.settings import TeamSettings
from nearfield.http.app import App
from nearfield.http.paths import model_paths
from nearfield.http.server import _of_a_team  # pyright: ignore[reportPrivateUsage]
from nearfield.http.team import TeamAccess
from nearfield.providers.scripted import Scripted
from nearfield.types import ChatRequest, InfillRequest

ANSWERS: list[dict[str, Any]] = [
    {"match": r"slow", "text": "a b c", "hang": True},
    {"match": r"hello", "text": "Good day to you"},
    {"match": r"harm", "text": "I'm sorry, I can't help with that."},
    {"match": r"total = $", "text": "1"},
]
TEAM: dict[str, Any] = {
    "server": {"hosts": ["team.test"], "at_once": 8, "waiting": 1, "wait_seconds": 1},
    "roles": {
        "developer": {"uses": ["complete", "chat", "chats"]},
        "typist": {"uses": ["complete"]},
        "small": {"models": ["fast"], "functions": ["read_*"]},
        "hasty": {"models": ["complete"]},
        "twice": {"requests_per_day": 2},
        "short": {"tokens_per_day": 5},
        "calm": {"requests_per_minute": 1},
    },
}


@dataclass
class Team:
    """A server in this process; `keys` are the people's."""

    people: People
    access: TeamAccess
    model: Scripted
    service: Service
    client: httpx.AsyncClient
    tokens: dict[str, str] = field(default_factory=dict[str, str])

    async def ask(self, name: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """Ask as a person, who is made with the role of that name at first."""
        if name not in self.tokens:
            role = name if name in TEAM["roles"] else "developer"
            self.tokens[name], _ = self.people.add(name, role)
        shown = {"authorization": f"Bearer {self.tokens[name]}"} | headers
        if body is None:
            return await self.client.get(path, headers=shown)
        return await self.client.post(path, json=body, headers=shown)

    def asked(self) -> InfillRequest | ChatRequest:
        """The last request that the model got."""
        request = self.model.calls[-1].request
        assert isinstance(request, InfillRequest | ChatRequest)
        return request


@pytest.fixture
async def team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Team]:
    for name in ("DATA", "CONFIG", "CACHE"):
        monkeypatch.setenv(f"NEARFIELD_{name}_DIR", str(tmp_path / name.lower()))
    options = {"answers": ANSWERS}
    model = Scripted("fake", ProviderSettings(kind="scripted", options=options))
    others = Scripted("other", ProviderSettings(kind="scripted", options=options))
    roles = {name: ["fake"] for name in ("complete", "fast", "code")} | {"large": ["other"]}
    config = msgspec.convert({"routing": {"roles": roles}}, Config)
    service = Service(config, {"fake": model, "other": others}, has_one_user=False)
    access = TeamAccess(msgspec.convert(TEAM, TeamSettings))
    await access.begin()
    await service.start()
    app = App(model_paths(service, access, ollama=True, is_open=False), access)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="https://team.test:8443") as client:
        yield Team(People(), access, model, service, client)
    await access.aclose()
    await service.aclose()


def chat(text: str, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **more}


HOLE = {"prompt": "def f():\n    total = ", "suffix": "\n"}
WINDOW = {"input_prefix": "def f():\n", "prompt": "    total = ", "input_suffix": "\n"}

QUESTIONS: dict[str, dict[str, Any]] = {
    "/v1/completions": HOLE,
    "/infill": WINDOW,
    "/v1/chat/completions": chat("hello"),
    "/v1/messages": chat("hello", model="nearfield", max_tokens=9),
    "/api/chat": chat("hello", model="nearfield"),
    "/api/generate": {"model": "nearfield", "prompt": "hello"},
    "/nearfield/chats/say": {"message": "hello"},
}


# --- who may ask ----------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*QUESTIONS, "/v1/models", "/api/tags", "/props"])
async def test_every_path_wants_a_persons_token(team: Team, path: str) -> None:
    for shown in ({}, {"authorization": "Bearer nft_wrong"}, {"x-api-key": "nft_wrong"}):
        answer = await team.client.post(path, json=QUESTIONS.get(path, {}), headers=shown)
        assert answer.status_code == 401
    assert not team.model.calls


async def test_health_is_open_and_another_host_is_refused(team: Team) -> None:
    assert (await team.client.get("/health")).json()["status"] in ("ok", "starting")
    assert (await team.ask("ada", "/v1/models", host="127.0.0.1:8443")).status_code == 403


async def test_a_role_says_what_may_be_used(team: Team) -> None:
    assert (await team.ask("typist", "/infill", WINDOW)).status_code == 200
    for path in ("/v1/chat/completions", "/api/generate", "/nearfield/chats/say"):
        answer = await team.ask("typist", path, QUESTIONS[path])
        assert answer.status_code == 403, path
        assert "role" in answer.text
    loading = await team.ask("ada", "/nearfield/models/unload", {})
    assert loading.status_code == 403


async def test_a_role_says_which_models_may_be_asked(team: Team) -> None:
    listed = (await team.ask("small", "/v1/models")).json()["data"]
    assert [one["id"] for one in listed] == ["nearfield", "nearfield/fast"]
    path = "/v1/chat/completions"
    for model in ("nearfield", "nearfield/fast"):
        assert (await team.ask("small", path, chat("hello", model=model))).status_code == 200
    refused = await team.ask("small", path, chat("hello", model="nearfield/large"))
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "forbidden")
    for path in ("/infill", "/v1/completions"):
        assert (await team.ask("small", path, QUESTIONS[path])).status_code == 403


async def test_a_role_says_which_models_a_kept_chat_may_ask(team: Team) -> None:
    async def provider(name: str) -> str:
        said = {"message": "hello, build a web server"}
        answer = await team.ask(name, "/nearfield/chats/say", said)
        return answer.json()["provider"] if answer.status_code == 200 else answer.text

    assert await provider("ada") == "other"
    assert await provider("small") == "fake"
    assert "no model for chats" in await provider("hasty")


async def test_a_role_says_which_functions_a_model_may_be_offered(team: Team) -> None:
    path = "/v1/chat/completions"
    for name, status in (("read_file", 200), ("write_file", 403)):
        tools = [{"type": "function", "function": {"name": name}}]
        assert (await team.ask("small", path, chat("hello", tools=tools))).status_code == status


async def test_a_person_whose_role_is_gone_may_use_nothing(team: Team) -> None:
    team.tokens["eve"], _ = team.people.add("eve", "director")
    assert (await team.ask("eve", "/infill", WINDOW)).status_code == 403


async def test_a_revoked_token_is_refused_at_once(team: Team) -> None:
    assert (await team.ask("ada", "/v1/models")).status_code == 200
    team.people.revoke("ada")
    assert (await team.ask("ada", "/v1/models")).status_code == 401


# --- limits ---------------------------------------------------------------------------------


async def test_a_quota_is_an_error_that_says_when_to_ask_again(team: Team) -> None:
    path = "/v1/chat/completions"
    answers = [await team.ask("twice", path, chat("hello")) for _ in range(3)]
    assert [one.status_code for one in answers] == [200, 200, 429]
    assert answers[-1].json()["error"]["code"] == "quota_exceeded"
    assert 0 < int(answers[-1].headers["retry-after"]) <= 86_400


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/models", None),
        ("/props", None),
        ("/api/tags", None),
        (
            "/v1/messages/count_tokens",
            {
                "model": "nearfield",
                "max_tokens": 1,
                "messages": [{"role": "user", "content": "hello"}],
            },
        ),
    ],
)
async def test_lists_and_counts_have_a_limit_of_their_own(team: Team, path: str, body: Any) -> None:
    found = [(await team.ask("calm", path, body)).status_code for _ in range(11)]
    assert found == [200] * 10 + [429]
    question = {"messages": [{"role": "user", "content": "hello"}]}
    assert (await team.ask("calm", "/v1/chat/completions", question)).status_code == 200
    assert (await team.ask("calm", "/v1/chat/completions", question)).status_code == 429


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/nearfield/chats", None, 200),
        ("/nearfield/chats/history", {"session": "none"}, 404),
        ("/nearfield/chats/delete", {"session": "none"}, 200),
    ],
)
async def test_kept_chats_are_read_and_deleted_within_the_limit_of_lists(
    team: Team, path: str, body: Any, status: int
) -> None:
    found = [(await team.ask("calm", path, body)).status_code for _ in range(11)]
    assert found == [status] * 10 + [429]


async def test_tokens_are_counted_for_every_api(team: Team) -> None:
    for path, body in QUESTIONS.items():
        await team.ask(f"ada{list(QUESTIONS).index(path)}", path, body)
    await team.access.limits.flush()
    rows = team.access.store.rows("2000-01-01")
    written = {row.person for row in rows if row.written and row.model == "scripted"}
    assert written == {f"ada{n}" for n in range(len(QUESTIONS))}
    assert (await team.ask("short", "/infill", WINDOW)).status_code == 200
    assert (await team.ask("short", "/infill", WINDOW)).status_code == 429


async def test_an_answer_that_nobody_waits_for_is_counted(team: Team) -> None:
    asking = asyncio.create_task(team.ask("short", "/v1/chat/completions", chat("slow " * 9)))
    while not team.model.streaming:
        await asyncio.sleep(0.01)
    asking.cancel()
    while team.model.streaming or team.access.queue.running:
        await asyncio.sleep(0.01)
    assert (await team.ask("short", "/v1/chat/completions", chat("hello"))).status_code == 429


async def test_one_person_cannot_take_all_places(team: Team) -> None:
    path, body = "/v1/chat/completions", chat("slow")
    asking = [asyncio.create_task(team.ask("ada", path, body)) for _ in range(5)]
    while team.access.queue.running < 4 or not team.access.queue.length:
        await asyncio.sleep(0.01)
    assert (await team.ask("bob", path, chat("hello"))).status_code == 200
    crowded = await team.ask("ada", path, chat("hello"))
    assert (crowded.status_code, crowded.json()["error"]["code"]) == (429, "crowded")
    for one in asking:
        one.cancel()
    await asyncio.gather(*asking, return_exceptions=True)


# --- apart ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", QUESTIONS)
async def test_what_a_model_has_read_serves_its_owner_alone(team: Team, path: str) -> None:
    owners: list[str] = []
    for name in ("ada", "bob"):
        assert (await team.ask(name, path, QUESTIONS[path])).status_code == 200
        owners.append(team.asked().owner)
        assert owners[-1] == team.people.key(name)
    assert owners[0] != owners[1]


async def test_reused_tokens_tell_nothing_about_others(team: Team) -> None:
    async def reused(name: str) -> int:
        answer = await team.ask(name, "/v1/completions", HOLE)
        return answer.json()["usage"]["prompt_tokens_details"]["cached_tokens"]

    assert await reused("ada") == 0
    assert await reused("ada") > 0
    assert await reused("bob") == 0


async def test_a_kept_answer_serves_its_owner_alone(team: Team) -> None:
    async def is_asked(name: str) -> bool:
        before = len(team.model.calls)
        await team.ask(name, "/v1/chat/completions", chat("hello"))
        return len(team.model.calls) > before

    assert await is_asked("ada")
    while await is_asked("ada"):  # kept in the background
        await asyncio.sleep(0.01)
    assert await is_asked("bob")


async def test_a_window_is_laid_over_ones_own_text_alone(team: Team) -> None:
    lines = [f"line_{number} = 'text of line {number}'\n" for number in range(60)]

    async def document(name: str, first: int, cursor: int) -> str:
        before, after = "".join(lines[first:cursor]), "".join(lines[cursor:])
        body = {"input_prefix": before, "prompt": "total = ", "input_suffix": "\n" + after}
        assert (await team.ask(name, "/infill", body)).status_code == 200
        followed = team.service._documents.recent(9)  # pyright: ignore[reportPrivateUsage]
        (own,) = [one for one in followed if team.people.key(name) in one.snapshot.uri]
        return own.snapshot.text

    assert "line_1 " in await document("ada", 0, 30)
    assert "line_1 " in await document("ada", 20, 40)
    assert "line_1 " not in await document("bob", 20, 40)


async def test_a_path_of_a_person_is_none_of_the_servers(team: Team, tmp_path: Path) -> None:
    own = tmp_path / "home" / "ada" / "src" / "a.py"
    extra = [{"filename": str(own), "text": "def helper(value):\n    return value\n"}]
    answer = await team.ask("ada", "/infill", {**WINDOW, "input_extra": extra})
    assert answer.status_code == 200
    request = team.asked()
    assert isinstance(request, InfillRequest)
    assert all(str(tmp_path) not in snippet.path for snippet in request.snippets)


def test_no_prompt_is_kept_on_the_disk() -> None:
    config = Config()
    kept = _of_a_team(config)
    assert config.engine.keep_prompts_mb > 0
    assert (kept.engine.keep_prompts_mb, kept.cache.enabled, kept.completion.record) == (0, 0, 0)


@pytest.mark.parametrize(("message", "wrong"), [("hello", ""), ("do harm", "refused")])
async def test_what_speaks_against_an_answer_is_told(team: Team, message: str, wrong: str) -> None:
    said = await team.ask("ada", "/nearfield/chats/say", {"message": message})
    assert said.json()["wrong"] == wrong


async def test_a_chat_is_its_persons_alone(team: Team) -> None:
    said = await team.ask("ada", "/nearfield/chats/say", {"message": "hello, my name is Zebra"})
    session = said.json()["session"]
    listed = (await team.ask("ada", "/nearfield/chats")).json()["chats"]
    assert [one["id"] for one in listed] == [session]

    assert (await team.ask("bob", "/nearfield/chats")).json() == {"chats": []}
    body = {"session": session}
    nobodys = await team.ask("bob", "/nearfield/chats/history", {"session": "no-such-chat"})
    others = await team.ask("bob", "/nearfield/chats/history", body)
    assert (others.status_code, others.json()) == (nobodys.status_code, nobodys.json())
    await team.ask("bob", "/nearfield/chats/say", {"message": "hello", **body})
    request = team.asked()
    assert isinstance(request, ChatRequest)
    assert not any("Zebra" in one.content for one in request.messages)
    await team.ask("bob", "/nearfield/chats/delete", body)

    history = (await team.ask("ada", "/nearfield/chats/history", body)).json()
    assert "Zebra" in history["exchanges"][0]["question"]
