"""Two models: one completes, another does the rest and is loaded when it is first asked.

That is what `nearfield models recommend` advises. The second one has the name of the engine's own,
so that nobody starts it beforehand.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
import tomli_w
from tests.conftest import needs
from tests.e2e import test_http
from tests.e2e.prepared import STARTED
from tests.e2e.test_cli import Shell
from tests.e2e.wiring import StartWire

CODE = "def add(a, b):\n    return a - b\n\n\nprint(add(1, 2))\n"
FIXED = "```python\ndef add(a, b):\n    return a + b\n```"
DOCUMENTED = '```python\ndef add(a, b):\n    """Add both."""\n    return a - b\n```'
FINDINGS = '{"findings": []}'
SETTINGS: dict[str, Any] = {
    "engine": {"enabled": False},
    "index": {"enabled": False},
    "providers": {
        "one": {
            "kind": "scripted",
            "model": "base",
            "options": {"answers": [{"text": "a + b"}], "load_ms": 200},
        },
        "embedded_chat": {
            "kind": "scripted",
            "model": "instruct",
            "options": {
                "load_ms": 400,
                "answers": [
                    {"match": "docstring", "text": DOCUMENTED},
                    {"match": "(?i)fix|wrong|correct", "text": FIXED},
                    {"match": "(?i)findings|review", "text": FINDINGS},
                    {"match": "number", "text": '{"n": 1}'},
                    {"text": "It adds two numbers."},
                ],
            },
        },
    },
    "routing": {
        "roles": {
            "complete": ["one"],
            **{role: ["embedded_chat"] for role in ("fast", "code", "large", "review")},
        }
    },
}
SCHEMA = '{"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}'


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    made = Shell(tmp_path)
    made.settings(tomli_w.dumps(SETTINGS))
    (tmp_path / ".git").mkdir()
    (tmp_path / "schema.json").write_text(SCHEMA)
    made.source.write_text(CODE)
    return made


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["complete", "app.py:2:12"], "a + b"),
        (["ask", "What is it?"], "It adds two numbers."),
        (["ask", "A number?", "--schema", "schema.json"], '{"n": 1}'),
        (["ask", "What is it?", "--tools"], "It adds two numbers."),
        (["explain", "app.py:1:5"], "It adds two numbers."),
        (["fix", "app.py:2"], "+    return a + b"),
        (["document", "app.py:1"], '+    """Add both."""'),
        (["review", "app.py"], ""),
        (["providers", "probe"], "embedded_chat idle"),
        (["doctor", "--quick"], "embedded_chat is not loaded"),
    ],
    ids=lambda value: " ".join(value[:3]) if isinstance(value, list) else "",
)
def test_every_command_is_answered(shell: Shell, command: list[str], said: str) -> None:
    ran = shell.run(*command)
    assert ran.returncode in (0, 1), ran.stderr
    assert said in ran.stdout
    assert "Traceback" not in ran.stderr


def test_every_feature_of_the_editor_is_answered(wire: StartWire) -> None:
    w = wire("--stdio")
    w.initialize(SETTINGS)
    uri = w.open(CODE)
    assert w.ghost(uri, 1, 11)
    roles = {row["role"]: row["model"] for row in w.ask("nearfield/status")["roles"]}
    assert (roles["complete"], roles["fast"]) == ("base", "instruct")
    place = {"textDocument": {"uri": uri}, "position": {"line": 0, "character": 5}}
    # Nobody has chatted yet: it is the hover that has the second model loaded.
    assert any("adds two numbers" in str(w.ask("textDocument/hover", place)) for _ in range(100))
    chat = w.ask("nearfield/chat", {"message": "What is it?"})
    assert (chat["text"], chat["model"]) == ("It adds two numbers.", "instruct")
    params = {"prompt": "A number?", "schema": {"type": "object"}}
    assert w.ask("nearfield/generate", params)["value"] == {"n": 1}
    span = {"start": place["position"], "end": {"line": 1, "character": 16}}
    action = {"action": "document", "uri": uri, "range": span, "preview": True}
    done = w.ask("workspace/executeCommand", {"command": "nearfield.action", "arguments": [action]})
    assert "Add both" in done["diff"]


def test_the_http_face_asks_each_for_its_own(tmp_path: Path) -> None:
    face = test_http.start(tmp_path, SETTINGS)
    try:
        completion = face.post("/v1/completions", {"model": "nearfield", "prompt": "return "})
        assert completion.json()["choices"][0]["text"].startswith("a + b")
        messages = [{"role": "user", "content": "What is it?"}]
        body = {"model": "nearfield", "messages": messages}
        assert text_of(face.post("/v1/chat/completions", body)) == "It adds two numbers."
    finally:
        test_http.end(face)


def text_of(answer: httpx.Response) -> str:
    return answer.json()["choices"][0]["message"]["content"]


@pytest.mark.model
@pytest.mark.parametrize("engine", ["compiled", "prebuilt"])
def test_both_roles_are_served_by_real_models(
    engine: str, shell: Shell, small_model: Path, default_model: Path, tmp_path: Path
) -> None:
    """The answer is the chat model's, and no wait is for a model that nobody loads."""
    if engine == "prebuilt":
        needs("xllamacpp")
        # As where llama-cpp-python is not installed: llama.cpp's server is started instead.
        blocked = tmp_path / "blocked"
        blocked.mkdir()
        (blocked / "sitecustomize.py").write_text(WITHOUT_ENGINE)
        inherited = shell.environ.get("PYTHONPATH", "")
        shell.environ["PYTHONPATH"] = f"{blocked}:{inherited}"
        shell.program = STARTED
    models = {"complete": str(small_model), "chat": str(default_model)}
    shell.settings(tomli_w.dumps({"models": models, "index": {"enabled": False}}))
    ran = shell.run("ask", "What is 1 + 1?", "--max-tokens", "8", "--json")
    assert ran.returncode == 0, ran.stderr
    assert default_model.name.removesuffix(".gguf") in ran.stdout
    ran = shell.run("complete", "app.py:2:12", "--json")
    assert ran.returncode in (0, 1), ran.stderr
    assert small_model.name.removesuffix(".gguf") in ran.stdout


WITHOUT_ENGINE = 'import sys\n\nsys.modules["llama_cpp"] = None\n'
