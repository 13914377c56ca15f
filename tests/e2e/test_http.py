"""`nearfield serve --http`, a real process, asked as OpenAI's clients ask, and by Nearfield."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import tomli_w
from pytest_httpserver import HTTPServer
from tests.e2e.prepared import forked
from tests.e2e.process import PATIENCE_SECONDS, environment

from nearfield.config.schema import ProviderSettings
from nearfield.http.connection import MAX_CONNECTIONS
from nearfield.http.exchange import MAX_BYTES
from nearfield.providers.registry import build
from nearfield.routing.consent import Consent
from nearfield.routing.store import Store
from nearfield.types import (
    ChatRequest,
    Finish,
    HealthState,
    InfillRequest,
    Message,
    Role,
    Tool,
)

SECRET = "AGE-SECRET-KEY-1" + "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L" + "QPZRY9X8GF2TVDW0S3JN54KHCE"

ANSWERS: list[dict[str, Any]] = [
    {"match": r"def add\(a, b\):\s*$", "text": "return a + b\n\nprint(1)\n"},
    {"match": r"slow = $", "text": "1", "delay_ms": 100, "hang": True},
    {"match": r"broken = $", "text": "1 + ", "error": "BadAnswer"},
    {"match": "weather", "tool_calls": [{"name": "weather", "arguments": {"place": "Oslo"}}]},
    {"match": "year", "text": '{"year": 1991}'},
    {"match": "hello", "text": "Good day to you"},
]
SETTINGS: dict[str, Any] = {
    "engine": {"enabled": False},
    "providers": {"fake": {"kind": "scripted", "options": {"answers": ANSWERS}}},
    "routing": {"roles": {name: ["fake"] for name in ("complete", "fast", "code", "large")}},
}


@dataclass
class HttpServer:
    """A running server, and a client that shows its token."""

    process: subprocess.Popen[str]
    url: str
    token: str
    client: httpx.Client
    said: list[str]

    def post(self, path: str, body: object, **headers: str) -> httpx.Response:
        return self.client.post(path, json=body, headers=headers)

    def events(self, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
        """The events of a stream, which ends as it shall."""
        answer = self.post(path, {**body, "stream": True})
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert "no-transform" in answer.headers["cache-control"]  # no proxy collects it
        lines = [line for line in answer.text.split("\n\n") if line]
        assert lines[-1] == "data: [DONE]"
        return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


def start(
    home: Path, settings: dict[str, Any], *arguments: str, ready: bool = True, **more: str
) -> HttpServer:
    environ = {**environment(home), "NEARFIELD_DATA_DIR": str(home / "data"), **more}
    folder = Path(environ["NEARFIELD_CONFIG_DIR"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.toml").write_text(tomli_w.dumps(settings))
    process = subprocess.Popen(
        forked("serve", "--http", "127.0.0.1:0", *arguments),
        env=environ,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said: list[str] = []
    for line in process.stderr:
        said.append(line)
        if "the token is in" in line:
            break
    threading.Thread(target=said.extend, args=(process.stderr,), daemon=True).start()
    (url,) = re.findall(r"listening on (\S+)/v1", "".join(said))
    token = more.get("NEARFIELD_HTTP_TOKEN") or (home / "data" / "http-token").read_text().strip()
    client = httpx.Client(
        base_url=url, headers={"authorization": f"Bearer {token}"}, timeout=PATIENCE_SECONDS
    )
    server = HttpServer(process, url, token, client, said)
    wanted = ({"status": "ok"},) if ready else ({"status": "ok"}, {"status": "unavailable"})
    until(lambda: client.get("/health").json() in wanted)
    return server


def end(server: HttpServer) -> int:
    server.client.close()
    server.process.send_signal(signal.SIGTERM)
    code = server.process.wait(PATIENCE_SECONDS)
    assert server.process.stderr is not None
    server.process.stderr.close()
    return code


def until(condition: Callable[[], object]) -> None:
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < PATIENCE_SECONDS
        time.sleep(0.02)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    """One server for all tests, so that each also shows that it has survived the ones before."""
    one = start(tmp_path_factory.mktemp("http"), SETTINGS)
    yield one
    assert end(one) == 0
    # Neither errors nor anything that was asked or answered.
    assert not [line for line in one.said if re.search(r"Traceback|failed|add\(a, b\)|1991", line)]


HOLE = {"model": "nearfield", "prompt": "def add(a, b):\n    ", "suffix": "\n\nadd(1, 2)\n"}


def test_a_hole_is_filled(server: HttpServer) -> None:
    answer = server.post("/v1/completions", {**HOLE, "stop": ["\n\n"], "max_tokens": 50}).json()
    assert answer["object"] == "text_completion"
    (choice,) = answer["choices"]
    assert choice["text"] == "return a + b"
    assert choice["finish_reason"] == "stop"
    assert answer["model"] == "scripted"
    assert answer["usage"]["completion_tokens"] > 0


def test_a_prompt_alone_is_continued_and_cut_at_its_length(server: HttpServer) -> None:
    answer = server.post("/v1/completions", {"prompt": HOLE["prompt"], "max_tokens": 3}).json()
    (choice,) = answer["choices"]
    assert (choice["text"], choice["finish_reason"]) == ("return a", "length")


def test_a_request_of_zed_with_the_settings_of_the_readme_is_answered(server: HttpServer) -> None:
    readme = (Path(__file__).parents[2] / "docs" / "editors.md").read_text()
    (block,) = re.findall(r"```json\n([^`]*edit_predictions[^`]*)```", readme)
    settings = json.loads(block)["edit_predictions"]
    assert settings["provider"] == "open_ai_compatible_api"
    named = settings["open_ai_compatible_api"]
    assert named["prompt_format"] == "qwen"
    path = httpx.URL(named["api_url"]).path
    # Zed puts the model's control tokens around the texts itself, and knows no suffix.
    body = {
        "model": named["model"],
        "prompt": f"<|fim_prefix|>{HOLE['prompt']}<|fim_suffix|>{HOLE['suffix']}<|fim_middle|>",
        "max_tokens": named["max_output_tokens"],
        "temperature": 0.2,
        "stop": ["<|endoftext|>", "<|file_sep|>", "\n\n"],
        "environment": None,
    }
    (choice,) = server.post(path, body).json()["choices"]
    assert choice["text"] == "return a + b"


def test_a_completion_is_streamed(server: HttpServer) -> None:
    usage = {"stream_options": {"include_usage": True}, "stop": "\n\n"}
    events = server.events("/v1/completions", {**HOLE, **usage})
    texts = [choice["text"] for event in events for choice in event["choices"]]
    assert len(texts) > 3
    assert "".join(texts) == "return a + b"
    assert events[-2]["choices"][0]["finish_reason"] == "stop"
    assert events[-1]["choices"] == []
    assert events[-1]["usage"]["prompt_tokens"] > 0
    assert len({event["id"] for event in events}) == 1


def said(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "nearfield", "messages": [{"role": "user", "content": text}], **more}


def test_a_chat_is_answered_whole_and_streamed(server: HttpServer) -> None:
    answer = server.post("/v1/chat/completions", said("hello")).json()
    assert answer["object"] == "chat.completion"
    message = {"role": "assistant", "content": "Good day to you"}
    assert answer["choices"] == [{"index": 0, "message": message, "finish_reason": "stop"}]
    events = server.events("/v1/chat/completions", said("hello"))
    deltas = [event["choices"][0]["delta"] for event in events]
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert "".join(delta.get("content", "") for delta in deltas) == "Good day to you"
    assert events[-1]["choices"][0]["finish_reason"] == "stop"


WEATHER = {"name": "weather", "parameters": {"type": "object"}}


def test_a_function_is_called(server: HttpServer) -> None:
    body = said("the weather?", tools=[{"type": "function", "function": WEATHER}])
    (choice,) = server.post("/v1/chat/completions", body).json()["choices"]
    assert choice["finish_reason"] == "tool_calls"
    (call,) = choice["message"]["tool_calls"]
    assert call["function"] == {"name": "weather", "arguments": '{"place": "Oslo"}'}
    events = server.events("/v1/chat/completions", body)
    (calls,) = [d["tool_calls"] for e in events if "tool_calls" in (d := e["choices"][0]["delta"])]
    assert calls[0]["index"] == 0
    assert calls[0]["function"]["name"] == "weather"


def test_json_meets_its_schema_or_is_an_error(server: HttpServer) -> None:
    def asked(kind: str) -> httpx.Response:
        schema = {"type": "object", "properties": {"year": {"type": kind}}, "required": ["year"]}
        wanted = {"type": "json_schema", "json_schema": {"name": "year", "schema": schema}}
        return server.post("/v1/chat/completions", said("which year?", response_format=wanted))

    (choice,) = asked("integer").json()["choices"]
    assert json.loads(choice["message"]["content"]) == {"year": 1991}
    refused = asked("string")
    assert refused.status_code == 502
    assert "year" in refused.json()["error"]["message"]
    assert asked("no type").status_code == 400
    wanted = {"type": "json_object"}
    events = server.events("/v1/chat/completions", said("which year?", response_format=wanted))
    text = "".join(event["choices"][0]["delta"].get("content", "") for event in events)
    assert json.loads(text) == {"year": 1991}


def test_models_are_listed_and_may_name_a_role(server: HttpServer) -> None:
    names = [model["id"] for model in server.client.get("/v1/models").json()["data"]]
    assert names[0] == "nearfield"
    assert "nearfield/code" in names
    answered = server.post("/v1/chat/completions", {**said("hello"), "model": "nearfield/code"})
    assert answered.status_code == 200


LOADING: dict[str, Any] = {
    **SETTINGS,
    "providers": {
        **SETTINGS["providers"],
        # The name of the engine's second model, so that it is not loaded beforehand.
        "embedded_chat": {"kind": "scripted", "options": {"answers": ANSWERS, "load_ms": 100}},
    },
    "routing": {"roles": {**SETTINGS["routing"]["roles"], "code": ["embedded_chat"]}},
}


def test_a_model_is_loaded_by_a_command_that_finds_the_server(tmp_path: Path) -> None:
    server = start(tmp_path, LOADING)
    environ = {**environment(tmp_path), "NEARFIELD_DATA_DIR": str(tmp_path / "data")}
    servers = tmp_path / "data" / "servers"

    def models(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = forked("models", *arguments)
        return subprocess.run(
            command, env=environ, capture_output=True, text=True, timeout=PATIENCE_SECONDS
        )

    try:
        (registration,) = servers.glob("*.json")
        assert json.loads(registration.read_text())["address"] == server.url
        assert all(one.stat().st_mode & 0o077 == 0 for one in servers.iterdir())
        loaded = models("load", "chat", "--json")
        assert json.loads(loaded.stdout)["providers"] == ["embedded_chat"], loaded.stderr
        assert server.post("/nearfield/models/load", {"role": "none"}).status_code == 400
        assert models("load", "none").returncode == 2
        unloaded = models("unload", "--json", "--server", server.url.removeprefix("http://"))
        assert json.loads(unloaded.stdout) == {"providers": [], "models": []}
    finally:
        assert end(server) == 0
    assert list(servers.iterdir()) == []
    nobody = models("load")
    assert nobody.returncode == 2
    assert "nearfield serve --http" in nobody.stderr


@pytest.mark.parametrize(
    ("headers", "status", "kind"),
    [
        ({"authorization": ""}, 401, "authentication_error"),
        ({"authorization": "Bearer wrong"}, 401, "authentication_error"),
        ({"authorization": "Basic {token}"}, 401, "authentication_error"),
        ({"host": "evil.example"}, 403, "invalid_request_error"),
        ({"host": "127.0.0.1.evil.example:80"}, 403, "invalid_request_error"),
        ({"host": "localhost:80"}, 200, ""),
        ({"host": "[::1]"}, 200, ""),
        ({"origin": "https://evil.example"}, 200, ""),
    ],
)
def test_only_requests_with_the_token_and_a_local_host_are_admitted(
    server: HttpServer, headers: dict[str, str], status: int, kind: str
) -> None:
    shown = {name: value.format(token=server.token) for name, value in headers.items()}
    answer = server.client.get("/v1/models", headers=shown)
    assert answer.status_code == status
    assert answer.json().get("error", {}).get("type", "") == kind
    assert not [name for name in answer.headers if name.startswith("access-control")]
    if kind:
        assert server.token not in answer.text


def test_health_needs_no_token_and_a_name_of_this_machine(server: HttpServer) -> None:
    assert httpx.get(f"{server.url}/health").json() == {"status": "ok"}
    assert httpx.get(f"{server.url}/health", headers={"host": "evil.example"}).status_code == 403


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "code"),
    [
        ("GET", "/v1/nothing", b"", 404, None),
        ("GET", "/v1/completions", b"", 405, None),
        ("OPTIONS", "/v1/completions", b"", 405, None),
        ("POST", "/v1/completions", b"{", 400, None),
        ("POST", "/v1/completions", b'{"prompt": 1}', 400, None),
        ("POST", "/v1/completions", b'{"prompt": "a", "model": "gpt-9"}', 404, "model_not_found"),
        ("POST", "/v1/completions", b" " * (MAX_BYTES + 1), 413, None),
        ("POST", "/v1/completions", b'{"prompt": "\xff"}', 400, None),
        ("POST", "/v1/completions", b'{"prompt": "a", "temperature": NaN}', 400, None),
        ("POST", "/v1/completions", b'{"prompt": "a", "n": ' + b"9" * 5000 + b"}", 400, None),
        ("POST", "/v1/completions", b"[" * 100_000 + b"]" * 100_000, 400, None),
        (
            "POST",
            "/v1/chat/completions",
            b'{"messages": ' + b'{"a":' * 900 + b"1" + b"}" * 901,
            400,
            None,
        ),
    ],
)
def test_bad_requests_are_said_in_openais_shape(
    server: HttpServer, method: str, path: str, content: bytes, status: int, code: str | None
) -> None:
    answer = server.client.request(method, path, content=content)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert error["message"]
    assert error["type"] == "invalid_request_error"
    assert error["code"] == code


ODD: list[Any] = [None, True, -1, 10**400, "\ud800", [[]], {"a": None}]
FIELDS = {
    "/v1/completions": {"prompt": "a"},
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "hello"}]},
}


@pytest.mark.parametrize("path", FIELDS)
@pytest.mark.parametrize(
    "field",
    ["prompt", "messages", "model", "suffix", "max_tokens", "max_completion_tokens", "temperature",
     "stop", "stream", "stream_options", "n", "best_of", "echo", "tools", "tool_choice",
     "response_format", "user", "seed", "logit_bias"],
)  # fmt: skip
def test_no_field_of_any_type_is_a_failure_of_the_server(
    server: HttpServer, path: str, field: str
) -> None:
    for odd in ODD:
        for value in (odd, [odd]):
            content = json.dumps({**FIELDS[path], field: value})
            answer = server.client.post(path, content=content)
            assert answer.status_code in (200, 400, 404), (value, answer.text)


def test_silent_connections_do_not_block_others(server: HttpServer) -> None:
    url = httpx.URL(server.url)
    head = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
    begun = [b"", b"P", head, head + b"Content-Length: 9\r\n\r\n", b"GET /health HTTP/1.1\r\nHo"]
    with contextlib.ExitStack() as open_ones:
        for number in range(2 * MAX_CONNECTIONS):
            one = socket.create_connection((url.host, url.port or 0))
            open_ones.enter_context(one)
            one.sendall(begun[number % len(begun)])
        assert server.post("/v1/completions", HOLE).status_code == 200
        assert httpx.get(f"{server.url}/health").status_code == 200


def test_a_body_a_byte_at_a_time_is_one_body(server: HttpServer) -> None:
    url = httpx.URL(server.url)
    content = json.dumps({"prompt": HOLE["prompt"], "max_tokens": 3}).encode()
    with socket.create_connection((url.host, url.port or 0)) as slow:
        slow.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head = "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        head += f"Authorization: Bearer {server.token}\r\nContent-Length: {len(content)}\r\n\r\n"
        for byte in head.encode() + content:
            slow.sendall(bytes([byte]))
        assert b'"text":"return a"' in slow.makefile("rb").read()


def test_an_error_of_the_model_is_told_before_and_within_a_stream(server: HttpServer) -> None:
    body = {"prompt": "broken = "}
    whole = server.post("/v1/completions", body)
    assert whole.status_code == 503
    assert "fake" in whole.json()["error"]["message"]
    text = server.post("/v1/completions", {**body, "stream": True}).text
    *_, last = [json.loads(line[6:]) for line in text.split("\n\n") if line]
    assert last["error"]["type"] == "server_error"


def test_a_client_that_hangs_up_frees_the_model(server: HttpServer) -> None:
    # So many as may ask at once, and the next one is told to wait.
    body = {"prompt": "slow = ", "stream": True}
    streams = [server.client.stream("POST", "/v1/completions", json=body) for _ in range(8)]
    open_streams = [stream.__enter__() for stream in streams]
    lines = [one.iter_lines() for one in open_streams]
    assert all(next(one).startswith("data: ") for one in lines)
    refused = server.post("/v1/completions", HOLE)
    assert refused.status_code == 429
    assert refused.json()["error"]["type"] == "rate_limit_error"
    assert refused.headers["retry-after"]
    for stream in streams:
        stream.__exit__(None, None, None)
    until(lambda: server.post("/v1/completions", HOLE).status_code == 200)


def test_a_client_that_hangs_up_before_an_answer_frees_the_model_too(server: HttpServer) -> None:
    host, port = httpx.URL(server.url).host, httpx.URL(server.url).port or 0
    content = json.dumps({"prompt": "slow = "})
    head = f"POST /v1/completions HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(content)}\r\n"
    for _ in range(20):
        with socket.create_connection((host, port)) as hasty:
            hasty.sendall(f"{head}Authorization: Bearer {server.token}\r\n\r\n{content}".encode())
    until(lambda: server.post("/v1/completions", HOLE).status_code == 200)


async def test_nearfields_own_provider_speaks_to_it(server: HttpServer) -> None:
    settings = ProviderSettings(
        kind="openai_compatible",
        base_url=f"{server.url}/v1",
        model="nearfield",
        options={"infill": "suffix", "api_key_env": "THE_TOKEN"},
    )
    provider = build("near", settings, environ={"THE_TOKEN": server.token})
    try:
        assert (await provider.health()).state is HealthState.READY
        infill = InfillRequest("d", "a.py", "python", "def add(a, b):\n    ", "\n", stop=("\n\n",))
        deltas = [delta async for delta in provider.infill(infill)]
        assert "".join(delta.text for delta in deltas).rstrip() == "return a + b"
        asked = (Message(Role.USER, "the weather?"),)
        tool = Tool("weather", "", {"type": "object"})
        *_, last = [delta async for delta in provider.chat(ChatRequest(asked, (tool,)))]
        assert last.finish is Finish.TOOLS
        assert [call.name for call in last.tool_calls] == ["weather"]
        assert last.usage is not None
    finally:
        await provider.aclose()


def test_nothing_leaves_the_machine_without_consent(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        port = elsewhere.getsockname()[1]
        cloud = {
            "kind": "openai_compatible",
            "base_url": f"http://127.0.0.1:{port}/v1",
            "model": "big",
            "options": {"leaves_machine": True, "infill": "suffix"},
        }
        settings = {
            **SETTINGS,
            "providers": {**SETTINGS["providers"], "cloud": cloud},
            "routing": {
                "strategy": "local_first",
                "roles": {name: ["cloud", "fake"] for name in ("complete", "fast", "code")},
            },
        }
        server = start(tmp_path, settings, NEARFIELD_HTTP_TOKEN="a-token-of-my-own")
        answers = [
            server.post("/v1/completions", {"prompt": "broken = "}),
            server.post("/v1/chat/completions", {**said("hello"), "model": "nearfield/code"}),
        ]
        assert end(server) == 0
        assert [answer.status_code for answer in answers] == [503, 200]
        elsewhere.setblocking(False)
        with pytest.raises(BlockingIOError):
            elsewhere.accept()
    assert not (tmp_path / "data" / "http-token").exists()
    assert "a-token-of-my-own" not in "".join(server.said)


def test_a_request_allowed_for_the_workspace_is_redacted_and_recorded(
    tmp_path: Path, httpserver: HTTPServer
) -> None:
    events = (
        {"choices": [{"text": "8", "finish_reason": None}]},
        {"choices": [{"text": "", "finish_reason": "stop"}]},
    )
    stream = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
    httpserver.expect_request("/v1/completions").respond_with_data(
        stream, content_type="text/event-stream"
    )
    cloud = {
        "kind": "openai_compatible",
        "base_url": httpserver.url_for("/v1"),
        "model": "big",
        "options": {"leaves_machine": True, "infill": "suffix"},
    }
    settings: dict[str, Any] = {
        "engine": {"enabled": False},
        "providers": {"cloud": cloud},
        "routing": {"strategy": "cloud_only", "roles": {"complete": ["cloud"]}},
    }
    folder = tmp_path / "workspace"
    folder.mkdir()
    server = start(tmp_path, settings, "--workspace", str(folder), ready=False)
    body = {"prompt": f"key = '{SECRET}'\nport = 808", "max_tokens": 3}
    refused = server.post("/v1/completions", body)
    assert (refused.status_code, httpserver.log) == (503, [])
    Store(tmp_path / "data" / "nearfield.db").say(
        str(folder), "cloud", httpserver.url_for("/v1"), Consent.WORKSPACE
    )
    answer = server.post("/v1/completions", body)
    assert end(server) == 0
    assert answer.json()["choices"][0]["text"] == "8"
    ((request, _),) = httpserver.log
    assert "port = 808" in request.get_data(as_text=True)
    assert SECRET not in request.get_data(as_text=True)
    assert len(Store(tmp_path / "data" / "nearfield.db").entries()) == 1


def test_the_token_is_shown_once(tmp_path: Path) -> None:
    first = start(tmp_path, SETTINGS)
    end(first)
    second = start(tmp_path, SETTINGS)
    end(second)
    assert first.token == second.token
    assert first.token in "".join(first.said)
    assert second.token not in "".join(second.said)


@pytest.mark.parametrize(
    ("arguments", "said_of"),
    [
        (["--http", "0.0.0.0:8080"], "loopback only"),
        (["--http", "8080"], "Use 127.0.0.1:8080"),
        (["--http", "127.0.0.1:x"], "HOST:PORT"),
        (["--http", "127.0.0.1:1", "--stdio"], "exclude each other"),
        (["--workspace", "."], "goes with --http"),
    ],
)
def test_wrong_usage(environ: dict[str, str], arguments: list[str], said_of: str) -> None:
    ran = subprocess.run(forked("serve", *arguments), env=environ, capture_output=True, text=True)
    assert ran.returncode == 2
    assert said_of in ran.stderr


def test_a_port_that_is_taken(environ: dict[str, str], tmp_path: Path) -> None:
    environ = {**environ, "NEARFIELD_DATA_DIR": str(tmp_path)}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = forked("serve", "--http", f"127.0.0.1:{port}")
        ran = subprocess.run(command, env=environ, capture_output=True, text=True)
    assert ran.returncode == 2
    assert "Take another port" in ran.stderr
    assert "Traceback" not in ran.stderr
