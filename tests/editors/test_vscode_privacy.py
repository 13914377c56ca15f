"""Models, clouds and trust in a real VS Code: what is chosen, what is offered, and what a workspace
may decide. Pictures are in `editors/vscode/pictures`."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect
from pytest_httpserver import HTTPServer
from tests.e2e.process import environment, to_pick_from
from tests.editors.conftest import StartVSCode, script
from tests.editors.vscode import PATIENCE_SECONDS
from tests.unit.catalog import gguf_files
from werkzeug import Request, Response

from nearfield.routing.consent import Consent
from nearfield.routing.store import Store

pytestmark = pytest.mark.editor

EXAMPLE = "def add(a, b):\n    "


def test_a_model_is_picked(vscode: StartVSCode, home: Path, small_model: Path) -> None:
    config = {"models": {"complete": str(small_model)}, "completion": {"deadline_ms": 60_000}}
    models = home / "XDG_CACHE_HOME" / "nearfield" / "models"
    models.mkdir(parents=True)
    (models / small_model.name).symlink_to(small_model)
    window = vscode({"a.py": ""}, config=config)
    window.open("a.py")
    window.ready()
    window.command("Choose a Model…")
    window.choose("what is suggested as you type")
    row = window.row("qwen2.5-coder-0.5b-instruct")
    assert "memory" in row
    assert "tokens/s" in row
    assert "to download" in row
    window.picture("models")
    window.choose("Automatic")
    config_file = Path(environment(home)["NEARFIELD_CONFIG_DIR"]) / "config.toml"
    window.sees('complete = ""', config_file.read_text)


def test_a_download_is_cancelled_and_goes_on(
    vscode: StartVSCode, home: Path, httpserver: HTTPServer
) -> None:
    content = gguf_files.model() + bytes(range(256)) * 4000
    # The hub serves one after the other, so each transfer has to end before the next can begin.
    released = {"Cancel": threading.Event(), "": threading.Event()}
    ends = list(released.values())

    def slowly(request: Request) -> Response:
        headers = gguf_files.linked(content)

        def pieces() -> Iterator[bytes]:
            yield content[: len(content) // 2]
            ends.pop(0).wait(PATIENCE_SECONDS)
            yield content[len(content) // 2 :]

        headers["Content-Length"] = str(len(content))
        return Response(b"" if request.method == "HEAD" else pieces(), headers=headers)

    httpserver.expect_request("/maker/tiny/resolve/main/tiny.gguf").respond_with_handler(slowly)
    settings = Path(environment(home)["NEARFIELD_CONFIG_DIR"])
    settings.mkdir()
    (settings / "catalog.toml").write_text(gguf_files.hub_entry())
    hub = {"HF_ENDPOINT": httpserver.url_for("").rstrip("/"), "PIP_NO_INDEX": "1"}
    config = {**script(), "engine": {"enabled": True}}
    window = vscode({"a.py": ""}, environ=hub, config=config)
    window.ready()
    for end in ("Cancel", ""):
        window.command("Choose a Model…")
        window.choose("what is suggested as you type")
        window.choose("tiny")
        toast = window.notice("downloading tiny")
        window.sees("downloading 5", lambda: window.status)
        if end:
            window.picture("download")
            toast.get_by_role("button", name=end).click()
            # The notification goes at once, the download when its process has ended.
            window.sees("scripted", lambda: window.status)
            released[end].set()
            assert "tiny" not in (settings / "config.toml").read_text()
        else:
            released[end].set()
            window.sees('complete = "tiny"', (settings / "config.toml").read_text)
    window.ready()


def test_a_model_of_a_server_is_picked_and_one_outside_refused(
    vscode: StartVSCode, home: Path, httpserver: HTTPServer
) -> None:
    window = vscode({"a.py": ""}, config=to_pick_from(httpserver))
    window.ready()
    window.command("Choose a Model…")
    window.choose("chats, fixes, rewrites and tests alone")
    assert "consent allow claude" in window.row("claude-sonnet-5")
    assert "127.0.0.1:9" in window.row("gone")
    window.picture("picker")
    window.choose("claude-sonnet-5")
    assert "outside this machine" in window.notice("claude").inner_text()
    config_file = Path(environment(home)["NEARFIELD_CONFIG_DIR"]) / "config.toml"
    assert "[routing.roles]" not in config_file.read_text()
    window.command("Choose a Model…")
    window.choose("chats, fixes, rewrites and tests alone")
    window.choose("chat:1b")
    window.sees('"ollama/chat:1b"', config_file.read_text)


def beyond(httpserver: HTTPServer, *answers: Any, **routing: Any) -> dict[str, Any]:
    """Settings with a script here, and a server that counts as outside this machine. Nothing that
    the script says is sure enough for these."""
    roles = {role: ["talks"] for role in ("fast", "code", "large", "review")}
    roles["complete"] = ["here", "cloud"]
    scripted = {"kind": "scripted", "options": {"answers": list(answers)}}
    return {
        "engine": {"enabled": False},
        "completion": {"deadline_ms": 60_000},
        "cache": {"enabled": False},
        "providers": {
            "here": scripted,
            "talks": scripted,
            "cloud": {
                "kind": "openai_compatible",
                "model": "gpt-4o",
                "base_url": httpserver.url_for("/v1"),
                "options": {
                    "leaves_machine": True, "infill": "suffix", "api_key_env": "CLOUD_KEY",
                },
            },
        },
        "routing": {"strategy": "local_first", "min_logprob": -0.0001, "roles": roles, **routing},
    }  # fmt: skip


def test_a_cloud_is_offered_and_refused(vscode: StartVSCode, httpserver: HTTPServer) -> None:
    config = beyond(httpserver, {"text": "a-name-that-nothing-here-has\n"})
    window = vscode({"a.py": ""}, config=config, environ={"CLOUD_KEY": "not-a-key"})
    window.open("a.py")
    window.ready()
    window.type(f"{EXAMPLE}return ")
    words = window.notice("gpt-4o").inner_text()
    assert "cloud" in words
    window.picture("offer")
    window.answer("Never")
    window.command("What May Be Sent Where…")
    assert "never" in window.row("cloud")
    window.press("Escape")
    assert not httpserver.log


# --- what a workspace may do ----------------------------------------------------------------------


def test_a_workspace_cannot_add_a_provider(vscode: StartVSCode) -> None:
    evil = {"kind": "scripted", "options": {"answers": [{"text": "evil"}]}}
    settings = {
        "nearfield.providers": {"evil": evil},
        "nearfield.providers.evil": evil,
        "nearfield.routing.roles": {"complete": ["evil"]},
        "nearfield.routing.roles.complete": ["evil"],
        "nearfield.completion.multiline": "never",
    }
    window = vscode({"a.py": "", ".vscode/settings.json": json.dumps(settings)})
    window.open("a.py")
    window.ready()
    window.type(EXAMPLE)
    window.suggests(r"return a \+ b")
    assert "evil" not in window.notices


def test_an_untrusted_workspace_has_no_settings_no_cloud_and_no_tools(
    vscode: StartVSCode, httpserver: HTTPServer, home: Path, tmp_path: Path
) -> None:
    events = ({"text": "a + b"}, {"text": "\n", "finish_reason": "stop"})
    lines = [f"data: {json.dumps({'choices': [{'index': 0, **one}]})}\n\n" for one in events]
    httpserver.expect_request("/v1/completions").respond_with_data(
        "".join([*lines, "data: [DONE]\n\n"]), content_type="text/event-stream"
    )
    write = {"name": "writeFile", "arguments": {"path": "new.py", "content": "x = 1\n"}}
    config = beyond(
        httpserver,
        {"match": "return $", "error": "Unreachable"},
        {"match": r"b\):\s*$", "text": "pass\n"},
        {"match": "write", "tool_calls": [write]},
        {"match": "write", "result": "not allowed", "text": "I am not allowed to."},
        {"match": "write", "result": ".", "text": "Then I will not."},
        min_logprob=-9.0,
    )
    # What was allowed before does not hold while the folder is not trusted.
    store = Store(home / "data" / "nearfield.db")
    store.say(str(tmp_path / "project"), "cloud", httpserver.url_for("/v1"), Consent.WORKSPACE)
    store.close()
    around = {"CLOUD_KEY": "not-a-key", "NEARFIELD_DATA_DIR": str(home / "data")}
    settings = {"nearfield.completion.enabled": False, "nearfield.server.path": "/evil"}
    files = {"a.py": "", ".vscode/settings.json": json.dumps(settings)}
    window = vscode(files, config=config, environ=around, trusting=False)
    window.open("a.py")
    window.ready()
    window.sees("^Local · scripted", lambda: window.status)
    window.type(EXAMPLE)
    window.suggests("^pass")
    window.type("return ")
    window.command("Open the Chat")
    answer = window.asks("please write")
    expect(answer).to_contain_text("I am not allowed to.")
    assert answer.locator(".permission").count() == 0
    window.picture("untrusted")
    assert not httpserver.log
    assert not (window.folder / "new.py").exists()

    (window.folder / ".vscode" / "settings.json").write_text("{}")
    window.trust()
    window.ready()
    window.open("a.py")
    window.press("Backspace")
    window.type(" ")
    window.suggests(r"^a \+ b$")
    window.command("Open the Chat")
    answer = window.asks("please write")
    answer.get_by_role("button", name="Deny", exact=True).click()
    expect(answer).to_contain_text("Then I will not.")
