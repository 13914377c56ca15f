"""Conversations of clients of the Agent Client Protocol with `nearfield acp`, recorded from the
real ones and played again: CodeCompanion.nvim (f1afd025, in Neovim 0.12), acp.el (4d7d58dc, in
Emacs 28), and agent-shell 0.48.1, which is built on it (in Emacs 30.1)."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from tests.e2e.prepared import forked
from tests.e2e.process import PATIENCE_SECONDS, script

BEFORE, AFTER = "x = 1\ny = 2\n", "x = 1\ny = 3\n"
ANSWERS: list[dict[str, Any]] = [
    {"result": "was written", "text": "Done."},
    {
        "match": "set y",
        "tool_calls": [{"name": "writeFile", "arguments": {"path": "a.py", "content": AFTER}}],
    },
    {"match": "slowly", "text": "It adds", "hang": True},
    {"text": "Hello there."},
]

CODECOMPANION: list[dict[str, Any]] = [
    {
        "jsonrpc": "2.0",
        "params": {
            "protocolVersion": 1,
            "clientCapabilities": {"fs": {"writeTextFile": True, "readTextFile": True}},
            "clientInfo": {"name": "CodeCompanion.nvim", "version": "1.0.0"},
        },
        "id": 1,
        "method": "initialize",
    },
    {
        "jsonrpc": "2.0",
        "params": {"cwd": "CWD", "mcpServers": []},
        "id": 3,
        "method": "session/new",
    },
    {
        "jsonrpc": "2.0",
        "params": {"sessionId": "SESSION", "prompt": [{"text": "hello", "type": "text"}]},
        "id": 4,
        "method": "session/prompt",
    },
    {
        "jsonrpc": "2.0",
        "params": {"sessionId": "SESSION", "prompt": [{"text": "set y to 3", "type": "text"}]},
        "id": 5,
        "method": "session/prompt",
    },
]
EMACS: list[dict[str, Any]] = [
    {
        "jsonrpc": "2.0",
        "method": "initialize",
        "id": 1,
        "params": {
            "protocolVersion": 1,
            "clientCapabilities": {"fs": {"readTextFile": True, "writeTextFile": True}},
        },
    },
    {
        "jsonrpc": "2.0",
        "method": "session/new",
        "id": 2,
        "params": {"cwd": "CWD", "mcpServers": []},
    },
    {
        "jsonrpc": "2.0",
        "method": "session/prompt",
        "id": 3,
        "params": {"sessionId": "SESSION", "prompt": [{"type": "text", "text": "hello"}]},
    },
    {
        "jsonrpc": "2.0",
        "method": "session/prompt",
        "id": 4,
        "params": {"sessionId": "SESSION", "prompt": [{"type": "text", "text": "set y to 3"}]},
    },
]
AGENT_SHELL: list[dict[str, Any]] = [
    {
        **EMACS[0],
        "params": {
            **EMACS[0]["params"],
            "clientInfo": {
                "name": "agent-shell",
                "title": "Emacs Agent Shell",
                "version": "0.48.1",
            },
        },
    },
    *EMACS[1:],
]
CLIENTS = {"CodeCompanion.nvim": CODECOMPANION, "acp.el": EMACS, "agent-shell": AGENT_SHELL}


class Played:
    """A client that says what was recorded, and answers what it is asked as that client does."""

    def __init__(self, root: Path, environ: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            forked("acp"), cwd=root, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self.process.stdin is not None and self.process.stdout is not None
        self._sent, self._received = self.process.stdin, self.process.stdout
        self._root = root
        self._session = ""
        self.asked: list[str] = []
        self.states: list[str] = []
        self.allowed = "once"
        self.cancels_at = "\0"
        self.text = ""
        self.written: dict[str, str] = {}

    def say(self, message: dict[str, Any]) -> dict[str, Any]:
        """Send a recorded request and return its result, answering what is asked meanwhile."""
        filled = json.dumps(message).replace("SESSION", self._session)
        self._send(json.loads(filled.replace("CWD", str(self._root))))
        for told in self._messages():
            if "method" in told:
                self._answer(told)
            elif told.get("id") == message["id"]:
                result = told["result"]
                self._session = result.get("sessionId", self._session)
                return result
        raise AssertionError("the agent has ended")

    def end(self) -> int:
        """Hang up; return the exit code."""
        self._sent.close()
        try:
            return self.process.wait(PATIENCE_SECONDS)
        finally:
            self._received.close()

    def _messages(self) -> Iterator[dict[str, Any]]:
        for line in self._received:
            yield json.loads(line)

    def _answer(self, told: dict[str, Any]) -> None:
        method, params = told["method"], told["params"]
        if method == "session/update":
            update = params["update"]
            if update["sessionUpdate"] == "agent_message_chunk":
                self.text += update["content"]["text"]
                if self.text.endswith(self.cancels_at):
                    about = {"sessionId": self._session, "reason": "User cancelled"}
                    self._send({"jsonrpc": "2.0", "method": "session/cancel", "params": about})
            self.states.append(update.get("status", ""))
            return
        self.asked.append(method)
        result: Any = {}
        if method == "session/request_permission":
            result = {"outcome": {"outcome": "selected", "optionId": self.allowed}}
        elif method == "fs/read_text_file":
            result = {"content": BEFORE}
        elif method == "fs/write_text_file":
            self.written[params["path"]] = params["content"]
            result = None  # CodeCompanion answers null
        self._send({"jsonrpc": "2.0", "result": result, "id": told["id"]})

    def _send(self, message: dict[str, Any]) -> None:
        self._sent.write(json.dumps(message).encode() + b"\n")
        self._sent.flush()


def played(environ: dict[str, str], root: Path) -> Played:
    """Start the agent on a folder with one file, with a script for a model."""
    root.mkdir()
    (root / "a.py").write_text(BEFORE)
    options = script(ANSWERS, index={"vectors": False}, cache={"enabled": False})
    options["routing"] = {"roles": {"code": ["fake"]}}
    config = Path(environ["NEARFIELD_CONFIG_DIR"])
    config.mkdir(parents=True)
    (config / "config.toml").write_text(tomli_w.dumps(options))
    return Played(root, environ)


@pytest.mark.parametrize("name", CLIENTS)
def test_a_recorded_client_is_answered(name: str, environ: dict[str, str], tmp_path: Path) -> None:
    root = tmp_path / "work"
    client = played(environ, root)
    try:
        results = [client.say(message) for message in CLIENTS[name]]
    finally:
        code = client.end()
    assert code == 0
    assert results[0]["protocolVersion"] == 1
    assert [one["stopReason"] for one in results[2:]] == ["end_turn", "end_turn"]
    assert client.text == "Hello there.Done."
    assert client.written == {str(root / "a.py"): AFTER}
    assert client.asked.count("session/request_permission") == 1


def test_agent_shell_denies_a_change_and_cancels_an_answer(
    environ: dict[str, str], tmp_path: Path
) -> None:
    root = tmp_path / "work"
    client = played(environ, root)
    client.allowed, client.cancels_at = "no", "adds"
    try:
        for message in (*AGENT_SHELL[:2], AGENT_SHELL[3]):
            client.say(message)
        assert client.states[-1] != "completed"
        assert "failed" in client.states
        asked = {"sessionId": "SESSION", "prompt": [{"type": "text", "text": "say it slowly"}]}
        end = client.say({**AGENT_SHELL[2], "id": 6, "params": asked})
    finally:
        code = client.end()
    assert end == {"stopReason": "cancelled"}
    assert code == 0
    assert client.written == {}
    assert (root / "a.py").read_text() == BEFORE
