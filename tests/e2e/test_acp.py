"""`nearfield acp`, asked by the library's own client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from acp.connection import Connection
from acp.exceptions import RequestError
from acp.meta import AGENT_METHODS
from tests.e2e.prepared import forked
from tests.e2e.process import PATIENCE_SECONDS

CODE = "# 🙂\ndef price(name):\n    return '🙂', price\n\n\nprice('🙂')\n"
TILL = "from goods import price\n\nprice('é')\n"
KINDS: dict[str, Any] = {"jump": {}, "rename": {}, "searchAndReplace": {}}


class Client:
    """A client that is connected to the process."""

    def __init__(self, connection: Connection, root: Path) -> None:
        self.connection, self.root = connection, root
        self.session = ""
        self.version = 0

    async def ask(self, name: str, **params: Any) -> Any:
        sent = self.connection.send_request(AGENT_METHODS[name], params)
        return await asyncio.wait_for(sent, PATIENCE_SECONDS)

    async def tell(self, name: str, **params: Any) -> None:
        params["sessionId"] = self.session
        await self.connection.send_notification(AGENT_METHODS[name], params)

    async def begin(self, kinds: dict[str, Any] | None = None) -> None:
        capabilities = {"nes": KINDS if kinds is None else kinds, "positionEncodings": ["utf-16"]}
        said = await self.ask("initialize", protocolVersion=1, clientCapabilities=capabilities)
        assert said["protocolVersion"] == 1
        assert said["agentCapabilities"]["positionEncoding"] == "utf-16"
        events = said["agentCapabilities"]["nes"]["events"]["document"]
        assert events["didChange"] == {"syncKind": "incremental"}
        started = await self.ask("nes_start", workspaceUri=self.root.as_uri())
        self.session = started["sessionId"]

    async def open(self, name: str, text: str) -> str:
        uri = (self.root / name).as_uri()
        self.version += 1
        await self.tell(
            "document_did_open", uri=uri, languageId="python", version=self.version, text=text
        )
        return uri

    async def change(self, uri: str, line: int, start: int, end: int, text: str) -> None:
        self.version += 1
        where = {
            "start": {"line": line, "character": start},
            "end": {"line": line, "character": end},
        }
        changes = [{"range": where, "text": text}]
        await self.tell(
            "document_did_change", uri=uri, version=self.version, contentChanges=changes
        )

    async def suggestions(
        self, uri: str, version: int | None = None, line: int = 0
    ) -> list[dict[str, Any]]:
        answer = await self.ask(
            "nes_suggest",
            sessionId=self.session,
            uri=uri,
            version=self.version if version is None else version,
            position={"line": line, "character": 0},
            triggerKind="automatic",
        )
        return answer["suggestions"]


@asynccontextmanager
async def connected(
    environ: dict[str, str], root: Path, *, is_on: bool = True
) -> AsyncGenerator[Client]:
    """Start a process for a folder."""
    config = Path(environ["NEARFIELD_CONFIG_DIR"])
    config.mkdir(parents=True, exist_ok=True)
    (config / "config.toml").write_text(
        f"[completion]\nacp_next_edit = {json.dumps(is_on)}\n"
        "[engine]\nenabled = false\n[index]\nvectors = false\n"
    )
    process = await asyncio.create_subprocess_exec(
        *forked("acp"), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=environ
    )

    async def nothing(method: str, params: Any, is_notification: bool) -> Any:
        raise AssertionError(f"the agent asked for {method}")

    connection = Connection(nothing, process.stdin, process.stdout)  # pyright: ignore[reportArgumentType]
    try:
        yield Client(connection, root)
    finally:
        await connection.close()
        # It ends with its input.
        assert process.stdin is not None
        process.stdin.close()
        assert await asyncio.wait_for(process.wait(), PATIENCE_SECONDS) == 0


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    root = tmp_path / "shop"
    root.mkdir()
    (root / "goods.py").write_text(CODE)
    (root / "till.py").write_text(TILL)
    return root


async def test_a_renaming_is_an_edit_a_rename_and_a_replacement(
    environ: dict[str, str], shop: Path
) -> None:
    async with connected(environ, shop) as client:
        await client.begin()
        goods = await client.open("goods.py", CODE)
        await client.change(goods, 1, 4, 9, "cost")
        edit, rename, replace, *_ = await client.suggestions(goods, line=1)
        assert (edit["kind"], edit["uri"]) == ("edit", goods)
        assert edit["edits"] == [
            {
                "range": {
                    "start": {"line": 2, "character": 17},
                    "end": {"line": 2, "character": 22},
                },
                "newText": "cost",
            }
        ]
        assert (rename["kind"], rename["newName"]) == ("rename", "cost")
        assert rename["position"] == {"line": 2, "character": 17}
        assert (replace["kind"], replace["search"]) == ("searchAndReplace", r"\bprice\b")
        assert (replace["replace"], replace["isRegex"]) == ("cost", True)
        # Taken, the next one is offered; an answer is for the version that is asked about.
        await client.change(goods, 2, 17, 22, "cost")
        await client.tell("nes_accept", id=edit["id"])
        assert await client.suggestions(goods, client.version - 1) == []
        (second, *_) = await client.suggestions(goods)
        assert second["edits"][0]["range"]["start"] == {"line": 5, "character": 0}
        # What is only replaced by another suggestion is still on offer; what is rejected is not.
        await client.tell("nes_reject", id=second["id"], reason="replaced")
        assert (await client.suggestions(goods))[0]["id"] == second["id"]
        await client.tell("nes_reject", id=second["id"], reason="rejected")
        found = await client.suggestions(goods)
        assert [one["kind"] for one in found if one["kind"] != "jump"] == []


SHELF = """\
class Shelf:
    def put(self, name: str, count: int) -> None: ...


class Deep(Shelf):
    def put(self, name: str, count: int) -> None: ...
"""


async def test_a_changed_type_is_an_edit_and_no_renaming(
    environ: dict[str, str], shop: Path
) -> None:
    async with connected(environ, shop) as client:
        await client.begin()
        shelf = await client.open("shelf.py", SHELF)
        column = SHELF.split("\n")[1].index("int")
        await client.change(shelf, 1, column, column + 3, "float")
        (edit,) = await client.suggestions(shelf, line=1)
        assert edit["kind"] == "edit"
        assert edit["edits"][0]["newText"] == "float"
        assert edit["edits"][0]["range"]["start"]["line"] == 5


async def test_another_file_is_a_jump(environ: dict[str, str], shop: Path) -> None:
    async with connected(environ, shop) as client:
        await client.begin({"jump": {}})
        goods = await client.open("goods.py", CODE)
        till = await client.open("till.py", TILL)
        await client.tell(
            "document_did_focus",
            uri=goods,
            version=1,
            position={"line": 0, "character": 0},
            visibleRange={
                "start": {"line": 0, "character": 0},
                "end": {"line": 5, "character": 0},
            },
        )
        await client.change(goods, 1, 4, 9, "cost")
        async with asyncio.timeout(PATIENCE_SECONDS):
            # What other files need may come later than the wait of a request.
            while len(found := await client.suggestions(goods, line=1)) < 2:
                await asyncio.sleep(0.05)
        edit, jump = found
        assert edit["kind"] == "edit"
        assert (jump["kind"], jump["uri"]) == ("jump", till)
        assert jump["position"] == {"line": 0, "character": 18}
        (there, *_) = await client.suggestions(till, 2)
        assert there["edits"][0]["newText"] == "cost"
        await client.tell("document_did_close", uri=goods)
        assert await client.suggestions(till, 2) == []
        closed = await client.ask("nes_close", sessionId=client.session)
        assert closed == {}
        with pytest.raises(RequestError, match="params"):
            await client.suggestions(till, 2)


async def test_what_two_sessions_have_open_is_known_until_both_have_closed(
    environ: dict[str, str], shop: Path
) -> None:
    async with connected(environ, shop) as client:
        await client.begin()
        goods = await client.open("goods.py", CODE)
        first = client.session
        started = await client.ask("nes_start", workspaceUri=shop.as_uri())
        client.session = second = started["sessionId"]
        assert first != second
        await client.open("goods.py", CODE)
        await client.change(goods, 1, 4, 9, "cost")
        assert await client.ask("nes_close", sessionId=first) == {}
        assert await client.suggestions(goods, line=1)
        assert await client.ask("nes_close", sessionId=second) == {}
        started = await client.ask("nes_start", workspaceUri=shop.as_uri())
        client.session = started["sessionId"]
        assert client.session not in (first, second)
        assert await client.suggestions(goods, line=1) == []


async def test_the_switch_is_followed_while_it_runs(environ: dict[str, str], shop: Path) -> None:
    async with connected(environ, shop) as client:
        await client.begin()
        goods = await client.open("goods.py", CODE)
        await client.change(goods, 1, 4, 9, "cost")
        settings = Path(environ["NEARFIELD_CONFIG_DIR"]) / "config.toml"
        is_on = settings.read_text()
        for text, is_offered in ((is_on.replace("true", "false", 1), False), (is_on, True)):
            async with asyncio.timeout(PATIENCE_SECONDS):
                while bool(await client.suggestions(goods, line=1)) is not is_offered:
                    # Again and again: the first may come before the agent has begun to look.
                    settings.write_text(text)
                    await asyncio.sleep(2)


async def test_it_is_off_unless_the_settings_turn_it_on(
    environ: dict[str, str], shop: Path
) -> None:
    async with connected(environ, shop, is_on=False) as client:
        said = await client.ask("initialize", protocolVersion=1, clientCapabilities={})
        assert said["agentInfo"]["name"] == "nearfield"
        assert "nes" not in said["agentCapabilities"]
        with pytest.raises(RequestError, match="not found"):
            await client.ask("nes_start", workspaceUri=shop.as_uri())


async def test_bad_params_and_what_is_not_there_are_told(
    environ: dict[str, str], shop: Path
) -> None:
    async with connected(environ, shop) as client:
        await client.begin()
        with pytest.raises(RequestError, match="not found"):
            await client.ask("session_fork", sessionId="s", cwd=str(shop), mcpServers=[])
        with pytest.raises(RequestError, match="params"):
            await client.ask("nes_suggest", sessionId=client.session)
        for session in ("", "nes-9"):
            with pytest.raises(RequestError, match="params"):
                await client.ask("nes_close", sessionId=session)
        assert await client.suggestions((shop / "none.py").as_uri(), 1) == []
