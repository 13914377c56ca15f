"""What editors get: initialize, ghost text, the completion list, traces, status, commands."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcException
from tests.e2e.editing import StartEditor, capabilities
from tests.e2e.process import open_gate, script

ADD = "def add(a, b):\n    "
TRACE_FIELDS = {
    "id", "method", "uri", "version", "provider", "model", "situation", "prompt_tokens",
    "evaluated_tokens", "reused_tokens", "reuses_prefix", "generated_tokens", "prefill_ms",
    "decode_ms", "decode_steps", "stages", "total_ms",
    "mean_logprob", "min_logprob", "shown", "reason", "detail", "included",
}  # fmt: skip


async def test_the_capabilities_are_advertised(editor: StartEditor) -> None:
    async with editor() as e:
        can = e.result.capabilities
        assert e.result.server_info and e.result.server_info.name == "nearfield"
        assert can.inline_completion_provider is not None
        assert isinstance(can.text_document_sync, types.TextDocumentSyncOptions)
        assert can.text_document_sync.change is types.TextDocumentSyncKind.Incremental
        assert can.execute_command_provider is not None
        assert set(can.execute_command_provider.commands) >= {
            "nearfield.accept",
            "nearfield.action",
            "nearfield.answer",
            "nearfield.clearReview",
            "nearfield.consent",
            "nearfield.dismissEdit",
            "nearfield.explain",
            "nearfield.loadModel",
            "nearfield.nextEdit",
            "nearfield.pause",
            "nearfield.resume",
            "nearfield.review",
            "nearfield.rewrite",
        }


@pytest.mark.parametrize(
    ("inline", "popup", "advertised"),
    [
        (True, "auto", False),
        (False, "auto", True),
        (True, "always", True),
        (False, "never", False),
    ],
)
async def test_the_completion_list_is_advertised_by_client_and_setting(
    editor: StartEditor, inline: bool, popup: str, advertised: bool
) -> None:
    options = script(completion={"popup": popup})
    async with editor(options, caps=capabilities(inline=inline)) as e:
        assert (e.result.capabilities.completion_provider is not None) is advertised


async def test_ghost_text(editor: StartEditor) -> None:
    async with editor() as e:
        uri = e.open(ADD)
        (item,) = await e.ghost(uri, 1, 4)
        assert item.insert_text == "return a + b"
        at = types.Position(1, 4)
        assert item.range == types.Range(at, at)
        assert item.filter_text is None
        assert item.command is not None and item.command.command == "nearfield.accept"
        assert item.command.arguments and isinstance(item.command.arguments[0], str)


@pytest.mark.parametrize(
    ("offered", "chosen", "before", "character"),
    [
        (["utf-8", "utf-16"], "utf-8", "é漢😀e\u0301\t", 2 + 3 + 4 + 3 + 1),
        (["utf-16"], "utf-16", "é漢😀e\u0301\t", 1 + 1 + 2 + 2 + 1),
        (["utf-32", "utf-8"], "utf-32", "é漢😀e\u0301\t", 6),
        (None, "utf-16", "é漢😀e\u0301\t", 7),
        (["utf-7"], "utf-16", "é漢😀e\u0301\t", 7),
    ],
)
async def test_columns_count_in_the_negotiated_encoding(
    editor: StartEditor, offered: list[str] | None, chosen: str, before: str, character: int
) -> None:
    text = f'def add(a, b):\n    "{before}"; '
    options = script([{"match": '\t"; $', "text": "return 1"}])
    async with editor(options, caps=capabilities(encodings=offered)) as e:
        assert e.result.capabilities.position_encoding == chosen
        uri = e.open(text)
        column = 4 + 1 + character + 1 + 2
        (item,) = await e.ghost(uri, 1, column)
        assert item.insert_text == "return 1"
        assert item.range and item.range.start == types.Position(1, column)


async def test_the_item_selected_in_the_popup_is_completed(editor: StartEditor) -> None:
    options = script([{"match": r"value\.append$", "text": "(item)"}])
    async with editor(options) as e:
        uri = e.open("value.ap")
        where = types.Range(types.Position(0, 6), types.Position(0, 8))
        selected = types.SelectedCompletionInfo(where, "append")
        (item,) = await e.ghost(uri, 0, 8, selected)
        assert item.insert_text == "append(item)"
        assert item.range == where


async def test_the_completion_list_is_never_held_up_and_filled_later(
    editor: StartEditor, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    slow = {"match": "ret$", "text": "urn a + b", "waits_for": str(gate)}
    async with editor(script([slow]), caps=capabilities(inline=False)) as e:
        uri = e.open("def add(a, b):\n    ret")
        first = await e.popup(uri, 1, 7)
        assert (first.is_incomplete, list(first.items)) == (True, [])
        open_gate(gate)
        while not any(trace["generated_tokens"] for trace in await e.traces()):
            await asyncio.sleep(0.05)
        assert [(t["shown"], t["reason"]) for t in await e.traces()] == [(False, "late")]

        # Also what is ready is left out where it has not come in an instant.
        while not (second := await e.popup(uri, 1, 7)).items:
            await asyncio.sleep(0.05)
        (item,) = second.items
        assert second.is_incomplete
        assert item.label == "return a + b"
        assert item.filter_text == "return a + b"
        assert item.detail and item.detail.startswith("Nearfield")
        assert not item.preselect
        assert item.insert_text_format is types.InsertTextFormat.PlainText
        assert item.text_edit == types.TextEdit(
            types.Range(types.Position(1, 4), types.Position(1, 7)), "return a + b"
        )
        assert isinstance(item.documentation, types.MarkupContent)
        assert item.documentation.value == "```python\nreturn a + b\n```"
        assert (await e.traces())[0]["shown"]


async def test_every_request_is_accounted_for(editor: StartEditor) -> None:
    async with editor() as e:
        uri = e.open(ADD)
        await e.ghost(uri, 1, 4)
        await e.ghost(uri, 0, 0)
        newest, oldest = await e.traces()
        assert set(oldest) == TRACE_FIELDS
        assert (oldest["method"], oldest["uri"], oldest["version"]) == (
            "textDocument/inlineCompletion",
            uri,
            1,
        )
        assert (oldest["shown"], oldest["reason"], oldest["provider"]) == (True, "", "fake")
        assert oldest["prompt_tokens"] == oldest["evaluated_tokens"] + oldest["reused_tokens"]
        assert not newest["shown"] and newest["reason"]
        assert len(await e.traces(1)) == 1
        assert await e.traces(0) == []
        assert "add" not in str(await e.traces())


@pytest.mark.parametrize("params", [{"last": {}}, {"last": "many"}, [], "x"])
async def test_wrong_params_of_our_own_methods(editor: StartEditor, params: Any) -> None:
    async with editor() as e:
        with pytest.raises(JsonRpcException) as error:
            await e.ask("nearfield/trace", params)
        assert error.value.code == -32602


async def test_the_status_is_sent_and_answered(editor: StartEditor) -> None:
    async with editor() as e:
        await e.until(lambda: any(s.get("state") == "ready" for s in e.statuses))
        status = await e.ask("nearfield/status")
        assert status["state"] == "ready"
        assert status["provider"] == "fake"
        assert {"busy": False, "kind": "Normal"}.items() <= next(
            s for s in reversed(e.statuses) if "busy" in s
        ).items()


async def test_pausing_stops_suggestions_until_resumed(editor: StartEditor) -> None:
    async with editor() as e:
        uri = e.open(ADD)
        assert await e.ghost(uri, 1, 4)
        await e.ask("workspace/executeCommand", types.ExecuteCommandParams("nearfield.pause"))
        assert await e.ghost(uri, 1, 4) == []
        assert (await e.ask("nearfield/status"))["state"] == "paused"
        await e.until(lambda: any(s.get("kind") == "Inactive" for s in e.statuses))
        await e.ask("workspace/executeCommand", types.ExecuteCommandParams("nearfield.resume"))
        assert await e.ghost(uri, 1, 4)


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("nearfield.accept", []),
        ("nearfield.accept", [1]),
        ("nearfield.accept", ["a", "b"]),
        ("nearfield.pause", [1]),
        ("nearfield.unknown", []),
    ],
)
async def test_wrong_commands(editor: StartEditor, command: str, arguments: list[Any]) -> None:
    async with editor() as e:
        with pytest.raises(JsonRpcException) as error:
            await e.ask("workspace/executeCommand", types.ExecuteCommandParams(command, arguments))
        assert error.value.code == -32602


async def test_notifications_of_copilot_clients_are_recorded(editor: StartEditor) -> None:
    async with editor() as e:
        uri = e.open(ADD)
        (item,) = await e.ghost(uri, 1, 4)
        assert item.command and item.command.arguments
        suggestion = item.command.arguments[0]
        told = {"item": {"insertText": "x", "command": {"arguments": [suggestion]}}}
        for method, params in (
            ("textDocument/didShowCompletion", told),
            ("textDocument/didPartiallyAcceptCompletion", {**told, "acceptedLength": 3}),
            ("textDocument/didFocus", {"textDocument": {"uri": uri}}),
            ("textDocument/didShowCompletion", {"item": {}}),
            ("textDocument/didShowCompletion", None),
        ):
            e.client.protocol.notify(method, params)
        accept = types.ExecuteCommandParams("nearfield.accept", [suggestion])
        assert await e.ask("workspace/executeCommand", accept) is None
        assert await e.ghost(uri, 1, 4)


async def test_settings_that_the_client_is_asked_for(editor: StartEditor) -> None:
    caps = capabilities(configuration=True)
    settings = {"nearfield": {"completion": {"disabledLanguages": ["python"]}}}
    async with editor(caps=caps, configuration=settings) as e:
        uri = e.open(ADD)
        while await e.ghost(uri, 1, 4):
            await asyncio.sleep(0.02)  # a busy machine has not said them in time
        assert (await e.traces())[0]["reason"] == "language"
        e.client.set_configuration({"nearfield": {"completion": {"disabledLanguages": []}}})
        e.client.workspace_did_change_configuration(
            types.DidChangeConfigurationParams(settings=None)
        )
        await _until_ghost(e, uri)


@pytest.mark.parametrize(
    "settings",
    [
        {"nearfield": {"completion": {"enabled": True}}},
        {"completion": {"enabled": True}, "python": {"path": "x"}},
        {"nearfield": {"completion.enabled": True}},
    ],
)
async def test_settings_that_the_client_pushes(
    editor: StartEditor, settings: dict[str, Any]
) -> None:
    async with editor(script(completion={"enabled": False})) as e:
        uri = e.open(ADD)
        assert await e.ghost(uri, 1, 4) == []
        e.client.workspace_did_change_configuration(types.DidChangeConfigurationParams(settings))
        await _until_ghost(e, uri)
        assert e.shown_messages == []


async def _until_ghost(e: Any, uri: str) -> None:
    for _ in range(200):
        if await e.ghost(uri, 1, 4):
            return
        await asyncio.sleep(0.02)
    pytest.fail("the settings never came into force")


async def test_capabilities_can_be_overridden(editor: StartEditor) -> None:
    override = {"general": {"positionEncodings": ["utf-32"]}}
    async with editor({**script(), "clientCapabilities": override}) as e:
        assert e.result.capabilities.position_encoding == "utf-32"
        assert e.shown_messages == []


async def test_excluded_files(editor: StartEditor, tmp_path: Path) -> None:
    async with editor(script(files={"exclude": ["secret/"]}), root=tmp_path) as e:
        secret = e.open(ADD, (tmp_path / "secret" / "a.py").as_uri())
        plain = e.open(ADD, (tmp_path / "a.py").as_uri())
        assert await e.ghost(secret, 1, 4) == []
        assert (await e.traces())[0]["reason"] == "excluded"
        assert await e.ghost(plain, 1, 4)


async def test_no_provider_is_said_once(editor: StartEditor) -> None:
    async with editor({"engine": {"enabled": False}}, ready=False) as e:
        uri = e.open(ADD)
        for _ in range(3):
            assert await e.ghost(uri, 1, 4) == []
        await e.until(lambda: e.shown_messages)
        assert len(e.shown_messages) == 1
