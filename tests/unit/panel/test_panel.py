"""The panel's paths, asked in this process: who is admitted, what is answered, what is refused."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest

from nearfield.catalog.models import Catalog
from nearfield.config.schema import Chat
from nearfield.errors import ConfigError
from nearfield.features import local_only
from nearfield.features.chat.kept_chats import KeptChats
from nearfield.features.chat.session import ChatSession, Exchange
from nearfield.features.token import Token
from nearfield.http.access import OneUser
from nearfield.http.app import App
from nearfield.http.wire import BadRequest
from nearfield.panel.health import remedy_of
from nearfield.panel.jobs import JobProgress, Jobs, PanelJob, in_thread
from nearfield.panel.panel import Panel
from nearfield.routing.consent import Consent
from nearfield.routing.ledger import Sending
from nearfield.routing.store import Store

TOKEN = "the-token-of-these-tests"
KNOWN = {"authorization": f"Bearer {TOKEN}"}
PATIENCE_SECONDS = 60.0


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("DATA", "CONFIG", "CACHE"):
        monkeypatch.setenv(f"NEARFIELD_{name}_DIR", str(tmp_path / name.lower()))
    return tmp_path


@pytest.fixture
async def panel(home: Path) -> AsyncGenerator[Panel]:
    one = Panel(Token(TOKEN, "the test"))
    yield one
    await one.aclose()


@pytest.fixture
async def client(panel: Panel) -> AsyncGenerator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=App(panel.paths(), OneUser(Token(TOKEN, "the test"))))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8770") as one:
        yield one


async def post(client: httpx.AsyncClient, path: str, **body: Any) -> httpx.Response:
    return await client.post(f"/panel/api/{path}", json=body, headers=KNOWN)


async def get(client: httpx.AsyncClient, path: str) -> Any:
    answer = await client.get(f"/panel/api/{path}", headers=KNOWN)
    assert answer.status_code == 200, answer.text
    return answer.json()


# --- admission -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (KNOWN, 200),
        ({}, 401),
        ({"authorization": "Bearer wrong"}, 401),
        ({"cookie": f"token={TOKEN}"}, 401),
        ({**KNOWN, "origin": "http://127.0.0.1:8770"}, 200),
        ({**KNOWN, "origin": "http://evil.test"}, 403),
        ({**KNOWN, "origin": "null"}, 403),
        ({**KNOWN, "sec-fetch-site": "cross-site"}, 403),
        ({**KNOWN, "sec-fetch-site": "same-origin"}, 200),
        ({**KNOWN, "host": "evil.test"}, 403),
        ({**KNOWN, "host": "evil.test:8770"}, 403),
    ],
)
async def test_only_the_user_on_this_machine_is_answered(
    client: httpx.AsyncClient, headers: dict[str, str], status: int
) -> None:
    answer = await client.get("/panel/api/jobs", headers=headers)
    assert answer.status_code == status
    assert "access-control-allow-origin" not in answer.headers
    if status != 200:
        assert TOKEN not in answer.text


async def test_a_token_in_the_address_is_no_token(client: httpx.AsyncClient) -> None:
    answer = await client.get(f"/panel/api/jobs?token={TOKEN}")
    assert answer.status_code == 401


async def test_every_path_of_the_api_wants_the_token(
    panel: Panel, client: httpx.AsyncClient
) -> None:
    for path, handler in panel.paths().items():
        if path.startswith("/panel/api/") and path != "/panel/api/session":
            answer = await client.request(handler.method, path)
            assert answer.status_code == 401, path


async def test_the_page_comes_without_a_token_and_loads_nothing_from_elsewhere(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/panel/", headers={"sec-fetch-site": "none"})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-cache"
    assert (await client.get("/panel")).headers["location"] == "/panel/"
    for path in ("/panel/../token", "/panel/..%2f..%2fpanel.py", "/panel/__init__.py"):
        assert (await client.get(path)).status_code in (401, 404)


async def test_a_code_is_good_for_the_token_once(panel: Panel, client: httpx.AsyncClient) -> None:
    code = panel.code()
    first = await client.post("/panel/api/session", json={"code": code})
    assert first.json() == {"token": TOKEN}
    for body in ({"code": code}, {"code": ""}, {"code": "guessed"}):
        assert (await client.post("/panel/api/session", json=body)).status_code == 401


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("jobs/stop", {}, "id"),
        ("models/search", {"text": "  "}, "text"),
        ("index/search", {"root": "/", "query": " "}, "query"),
        ("routing/explain", {"task": "nothing"}, "task"),
    ],
)
async def test_a_body_that_cannot_be_used_is_refused_by_its_field(
    client: httpx.AsyncClient, path: str, body: dict[str, Any], field: str
) -> None:
    answer = await post(client, path, **body)
    assert answer.status_code == 400
    assert answer.json()["error"]["field"] == field
    assert answer.json()["error"]["message"]


# --- settings ------------------------------------------------------------------------------------


async def test_a_setting_is_shown_set_and_taken_out(client: httpx.AsyncClient) -> None:
    async def row() -> dict[str, Any]:
        found = (await get(client, "settings"))["settings"]
        return next(one for one in found if one["key"] == "completion.min_confidence")

    before = await row()
    assert (before["value"], before["set"], before["source"]) == (-0.6, False, "default")
    assert before["doc"]
    assert before["form"] == {"kind": "float", "max": 0}
    assert (
        await post(client, "settings/set", key="completion.min_confidence", value=-1.5)
    ).status_code == 200
    after = await row()
    assert (after["value"], after["set"], after["default"]) == (-1.5, True, -0.6)
    gone = await post(client, "settings/unset", key="completion.min_confidence")
    assert gone.json()["removed"]
    assert (await row())["value"] == -0.6


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("completion.min_confidence", "low"),
        ("completion.min_confidence", 3),
        ("completion.nothing", 1),
        ("routing.strategy", "everything"),
        ("routing.roles.nobody", ["x"]),
        ("providers.team.options.api_key", "sk-secret"),
    ],
)
async def test_a_value_that_cannot_be_is_refused_and_not_written(
    client: httpx.AsyncClient, home: Path, key: str, value: Any
) -> None:
    answer = await post(client, "settings/set", key=key, value=value)
    assert answer.status_code == 400
    assert "sk-secret" not in answer.text
    assert not (home / "config" / "config.toml").exists()


async def test_an_endpoint_is_written_without_a_key_and_taken_out(
    client: httpx.AsyncClient, home: Path
) -> None:
    evil = "<img src=x onerror=alert(1)>\x1b[31m"
    said = {"name": "team", "kind": "openai_compatible", "base_url": "http://127.0.0.1:9/v1"}
    assert (await post(client, "routing/endpoint", model=evil, **said)).status_code == 200
    found = await get(client, "routing")
    row = next(one for one in found["endpoints"] if one["name"] == "team")
    assert (row["model"], row["local"], row["in_settings"]) == (evil, True, True)
    refused = await post(client, "routing/endpoint", options={"api_key": "sk-secret"}, **said)
    assert refused.status_code == 400
    assert "sk-secret" not in (home / "config" / "config.toml").read_text()
    assert (await post(client, "routing/endpoint/remove", name="team")).json() == {"removed": True}


# --- what left the machine -----------------------------------------------------------------------


async def test_what_left_is_listed_page_by_page_and_consents_are_revoked(
    client: httpx.AsyncClient,
) -> None:
    store = Store()
    evil = "<b>\x00\u202e"
    for number in range(5):
        entry = store.begin(
            Sending("/w", "team", evil, "far.test", "chat", ((evil, 1, 2),), 9, (("key", 1),), "h")
        )
        store.finish(entry, "answered", 10 + number, 5, None)
    store.say("/w", "team", "far.test", Consent.WORKSPACE)
    found = await get(client, "privacy?limit=3")
    assert [one["id"] for one in found["entries"]] == [5, 4, 3]
    assert (found["more"], found["count"]) == (True, 5)
    assert found["entries"][0]["files"] == [{"path": evil, "start": 1, "end": 2}]
    rest = await get(client, "privacy?limit=3&before=3")
    assert ([one["id"] for one in rest["entries"]], rest["more"]) == ([2, 1], False)
    assert found["spend"]["models"][0]["unknown"] == 5
    assert (await get(client, "privacy/entry?id=1"))["sha256"] == "h"
    assert found["consent"][0]["provider"] == "team"
    assert (await post(client, "privacy/revoke", provider="team")).json() == {"revoked": 1}
    assert (await get(client, "privacy"))["consent"] == []
    store.close()


@pytest.mark.parametrize("kept", [True, False])
async def test_one_switch_keeps_everything_here_and_restores_what_was(
    client: httpx.AsyncClient, home: Path, kept: bool
) -> None:
    await post(client, "settings/set", key="routing.strategy", value="hybrid")
    assert not (await get(client, "privacy"))["local_only"]
    for _ in range(2):
        on = await post(client, "privacy/local_only", on=True)
        assert on.json()["strategy"] == "local_only"
    assert (await get(client, "privacy"))["local_only"]
    if not kept:
        (home / "config" / local_only.FILE).write_text("local_only")  # says nothing
    again = Panel(Token(TOKEN, "the test"))
    transport = httpx.ASGITransport(app=App(again.paths(), OneUser(Token(TOKEN, "the test"))))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8770") as other:
        off = await post(other, "privacy/local_only", on=False)
    await again.aclose()
    assert off.json()["strategy"] == ("hybrid" if kept else "local_first")


# --- chats ---------------------------------------------------------------------------------------


async def test_a_kept_chat_is_read_continued_exported_and_deleted(
    client: httpx.AsyncClient, home: Path
) -> None:
    folder = home / "config"
    folder.mkdir()
    (folder / "config.toml").write_text(
        "[engine]\nenabled = false\n[providers.fake]\nkind = 'scripted'\n"
        "[[providers.fake.options.answers]]\nmatch = ''\ntext = 'Good day to you'\n"
    )
    chat = ChatSession("one", exchanges=[Exchange("Hello <b>", "Hi", "m", [])])
    KeptChats().save(chat, Chat(), Chat())
    (head,) = (await get(client, "chats"))["chats"]
    assert (head["id"], head["title"], head["count"]) == ("one", "Hello <b>", 1)
    answer = await post(client, "chats/say", id="one", message="Go on")
    assert answer.headers["content-type"].startswith("text/event-stream")
    lines = [line.partition("data: ")[2] for line in answer.text.split("\n") if "data: " in line]
    said = "".join(json.loads(line).get("text", "") for line in lines)
    assert said == "Good day to you"
    assert "event: done" in answer.text
    found = await get(client, "chats/chat?id=one")
    assert [one["question"] for one in found["exchanges"]] == ["Hello <b>", "Go on"]
    assert "Good day to you" in (await get(client, "chats/markdown?id=one"))["text"]
    assert (await post(client, "chats/delete", id="one")).json() == {"deleted": True}
    assert (await post(client, "chats/say", id="one", message="x")).status_code == 404


# --- views without data --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "empty"),
    [
        ("now", "servers"),
        ("jobs", "jobs"),
        ("index", "folders"),
        ("chats", "chats"),
        ("health", "checks"),
        ("health/log", "servers"),
        ("suggestions", "by_day"),
        ("privacy", "entries"),
    ],
)
async def test_a_view_works_when_nothing_runs_and_nothing_was_done(
    client: httpx.AsyncClient, path: str, empty: str
) -> None:
    assert (await get(client, path))[empty] == []


async def test_a_search_says_what_each_hit_is_scored_by(
    client: httpx.AsyncClient, home: Path
) -> None:
    folder = home / "shop"
    folder.mkdir()
    (folder / "billing.py").write_text("def total_price(items):\n    return sum(items)\n")
    (folder / "other.py").write_text("def nothing():\n    return None\n")
    answer = await post(client, "index/search", root=str(folder), query="total_price")
    (first, *_) = answer.json()["hits"]
    assert first["path"] == "billing.py"
    parts = {one["part"]: one["score"] for one in first["why"]}
    assert parts["name"] > 0
    assert sum(parts.values()) == pytest.approx(first["score"], abs=0.01)
    (row,) = (await get(client, "index"))["folders"]
    assert (row["root"], row["files"]) == (str(folder), 2)
    assert row["languages"] == [{"language": "python", "files": 2}]
    why = await post(client, "index/explain", root=str(folder), file="none.py")
    assert why.json()["reason"] == "not there"


# --- jobs ----------------------------------------------------------------------------------------


DEFAULT = Catalog.load({}).default


@pytest.mark.parametrize(
    ("todo", "does"),
    [
        ("", None),
        ("Choose a smaller model: see `nearfield models recommend`.", None),
        (
            "Run `nearfield models pull`, or `nearfield providers add`.",
            ("Fetch the default model", "models/pull", {"name": DEFAULT}),
        ),
        (
            "Run `nearfield models pull own-1b`.",
            ("Fetch own-1b", "models/pull", {"name": "own-1b"}),
        ),
        (
            "Run `nearfield models remove own-1b`, then `nearfield models pull own-1b`.",
            ("Remove own-1b", "models/remove", {"name": "own-1b"}),
        ),
        (
            "Run `nearfield models use chat auto`, or name a model that is here.",
            ("Use the best model here for chat", "models/use", {"role": "chat"}),
        ),
    ],
)
def test_the_words_of_a_check_say_what_the_panel_can_do(
    todo: str, does: tuple[str, str, dict[str, str]] | None
) -> None:
    found = remedy_of(todo)
    assert (None if found is None else (found["title"], found["post"], found["body"])) == does


async def ended(jobs: Jobs, job: PanelJob) -> PanelJob:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while job.ended is None:
            await asyncio.sleep(0.002)
    return job


async def test_a_job_ends_as_done_failed_or_stopped() -> None:
    jobs, told = Jobs(), list[str]()
    jobs.changes.add(lambda job: told.append(job.state))

    async def done(progress: JobProgress) -> Any:
        progress.at("half", 1, 2)
        return {"x": 1}

    async def failed(progress: JobProgress) -> Any:
        raise ConfigError("It is wrong.", "Mend it.")

    waiting = threading.Event()

    async def stopped(progress: JobProgress) -> Any:
        def work() -> None:
            while True:
                progress.at("waiting")
                waiting.wait(0.01)

        return await in_thread(work, progress)

    one = await ended(jobs, jobs.start("a", "A", done))
    assert (one.state, one.result, one.done, one.total) == ("done", {"x": 1}, 1, 2)
    two = await ended(jobs, jobs.start("b", "B", failed))
    assert (two.state, two.error) == ("failed", {"message": "It is wrong.", "hint": "Mend it."})
    three = jobs.start("c", "C", stopped, about="m")
    with pytest.raises(BadRequest, match="under way"):
        jobs.start("c", "C", stopped, about="m")
    jobs.stop(three.id)
    assert (await ended(jobs, three)).state == "stopped"
    assert {"done", "failed", "stopped"} <= set(told)
    assert [job.kind for job in jobs.all()] == ["c", "b", "a"]


# --- events --------------------------------------------------------------------------------------


async def test_streams_begin_with_the_state_and_are_bounded(panel: Panel, home: Path) -> None:
    app = App(panel.paths(), OneUser(Token(TOKEN, "the test")))
    streams = [_Stream(app) for _ in range(9)]
    async with contextlib.AsyncExitStack() as stack:
        for stream in streams[:8]:
            await stack.enter_async_context(stream)
            await stream.until("event: hello")
            await stream.until("event: now")
        last = await stack.enter_async_context(streams[8])
        await last.until('"error"')
        assert last.status == 429
        (home / "config").mkdir(exist_ok=True)
        (home / "config" / "config.toml").write_text("[log]\nlevel = 'error'\n")
        await streams[0].until("event: changed")
        views = json.loads(streams[0].text.partition("event: changed\ndata: ")[2].split("\n")[0])
        assert "routing" in views["views"]


class _Stream:
    """A request whose answer does not end, over ASGI; left, its client has hung up."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._gone = asyncio.Event()
        self.text, self.status = "", 0

    async def __aenter__(self) -> _Stream:
        headers = [(b"host", b"127.0.0.1:1"), (b"authorization", f"Bearer {TOKEN}".encode())]
        scope = {"method": "GET", "path": "/panel/api/events", "headers": headers}
        self._task = asyncio.create_task(self._app(scope, self._receive, self._send))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._gone.set()
        await asyncio.wait_for(self._task, PATIENCE_SECONDS)

    async def until(self, words: str) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while words not in self.text:
                await asyncio.sleep(0.002)

    async def _receive(self) -> Any:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, event: Any) -> None:
        self.status = event.get("status", self.status)
        self.text += event.get("body", b"").decode()


@pytest.mark.parametrize("said", ["9" * 30, "0" * 20 + "9" * 30, "9" * 5000, "-1", "1e3", ""])
async def test_a_number_of_many_digits_is_refused(client: httpx.AsyncClient, said: str) -> None:
    answer = await client.get(f"/panel/api/privacy/entry?id={said}", headers=KNOWN)
    assert answer.status_code == (400 if said else 404)


async def test_what_is_no_path_of_a_folder_has_no_decisions(client: httpx.AsyncClient) -> None:
    answer = await post(client, "privacy/revoke", workspace="a\0b")
    assert answer.json() == {"revoked": 0}


async def test_a_page_without_a_token_sends_little(client: httpx.AsyncClient) -> None:
    large = b'{"code": "' + b"x" * 5_000 + b'"}'
    answer = await client.post("/panel/api/session", content=large)
    assert answer.status_code == 413
    assert "4096" in answer.json()["error"]["message"]
    assert (await client.post("/panel/api/session", content=b'{"code": "x"}')).status_code == 401
    answer = await client.post("/panel/api/session", content=large, headers=KNOWN)
    assert answer.status_code == 401  # whoever has the token may send as much as anywhere
