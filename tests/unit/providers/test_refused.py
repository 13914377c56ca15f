"""Parameters that servers refuse, in the words of each, and what is asked then."""

from __future__ import annotations

import json
from contextlib import aclosing
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from nearfield.config.schema import ProviderSettings
from nearfield.errors import ProviderError, Unsupported
from nearfield.providers import registry
from nearfield.providers.refused import MAX_REFUSED, Refusals, needed
from nearfield.types import ChatRequest, InfillRequest, Message, Role, Tool

from .conftest import sse

BODY: dict[str, Any] = {
    "model": "m",
    "messages": [],
    "max_tokens": 5,
    "temperature": 0.2,
    "stop": ["a", "b"],
    "stream": True,
    "stream_options": {"include_usage": True},
    "logprobs": True,
    "top_logprobs": 1,
    "cache_prompt": True,
    "tools": [],
    "response_format": {"type": "json_schema"},
    "options": {"num_ctx": 4096, "seed": 1},
}


def error(message: Any, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, **more}}


TABLE: list[tuple[str, int, Any, str]] = [
    ("openai", 400, error("Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.", param="max_tokens", code="unsupported_parameter"), "max_tokens"),
    ("openai, without param", 400, error("Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead.", param=None), "max_tokens"),
    ("openai, value", 400, error("Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is supported.", param="temperature"), "temperature"),
    ("openai, old", 400, error("Unrecognized request argument supplied: stream_options"), "stream_options"),
    ("openai, several", 400, error("Unrecognized request arguments supplied: logprobs, top_logprobs"), "logprobs"),
    ("openai, nested", 400, error("Unknown parameter", param="stream_options.include_usage"), "stream_options"),
    ("openai, stop", 400, error("Invalid 'stop': array too long. Expected an array with maximum length 1.", param="stop"), "stop"),
    ("vllm", 400, {"object": "error", "message": "[{'type': 'extra_forbidden', 'loc': ('body', 'stream_options'), 'msg': 'Extra inputs are not permitted', 'input': {'model': 1}}]", "param": None, "code": 400}, "stream_options"),
    ("fastapi", 422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "cache_prompt"], "msg": "Extra inputs are not permitted", "input": {"temperature": 1}}]}, "cache_prompt"),
    ("mistral", 422, {"object": "error", "message": {"detail": [{"type": "extra_forbidden", "loc": ["body", "logprobs"], "msg": "Extra inputs are not permitted"}]}}, "logprobs"),
    ("litellm", 400, error("litellm.UnsupportedParamsError: azure does not support parameters: {'logprobs': True}, for model=m"), "logprobs"),
    ("litellm, list", 400, error("litellm.UnsupportedParamsError: x does not support parameters: ['top_logprobs'], for model=m"), "top_logprobs"),
    ("groq", 400, error("property 'logprobs' is unsupported"), "logprobs"),
    ("gemini", 400, [error('Invalid JSON payload received. Unknown name "stream_options": Cannot find field.', status="INVALID_ARGUMENT")], "stream_options"),
    ("serde", 422, "Failed to deserialize the JSON body: unknown field `temperature`, expected one of `model`", "temperature"),
    ("tgi", 422, {"error": "Input validation error: `temperature` must be strictly positive", "error_type": "validation"}, "temperature"),
    ("python", 500, {"detail": "generate() got an unexpected keyword argument 'stop'"}, "stop"),
    ("ollama", 400, {"error": "invalid option: num_ctx"}, "num_ctx"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "said", "name"), [row[1:] for row in TABLE], ids=[r[0] for r in TABLE])  # fmt: skip
def test_a_refused_parameter_is_found(status: int, said: Any, name: str) -> None:
    content = said.encode() if isinstance(said, str) else json.dumps(said).encode()
    refusals = Refusals()
    assert refusals.learn("/x", BODY, status, content)
    fit: Any = refusals.fitted("/x", BODY)
    assert name not in fit and name not in fit["options"]
    assert refusals.fitted("/y", BODY) == BODY
    instead = {"max_tokens": {"max_completion_tokens"}}.get(name, set[str]())
    assert (set(fit) | set(fit["options"])) - set(BODY) - set(BODY["options"]) == instead
    assert not refusals.learn("/x", BODY, status, content)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, error("temperature")),
        (400, error("Bad request")),
        (401, error("unknown parameter: temperature", param="temperature")),
        (500, error("the temperature of the GPU is high")),
        (400, error("Invalid model or messages")),
        (400, b"\xff\xfe"),
    ],
)
def test_other_errors_refuse_no_parameter(status: int, said: Any) -> None:
    content = said if isinstance(said, bytes) else json.dumps(said).encode()
    assert not Refusals().learn("/x", BODY, status, content)
    assert needed(BODY, status, content) is None


@pytest.mark.parametrize(
    ("name", "hint"), [("tools", "tools = false"), ("response_format", "schema = false")]
)
def test_a_needed_parameter_is_named_in_the_error(name: str, hint: str) -> None:
    content = json.dumps(error(f"'{name}' is not supported")).encode()
    assert not Refusals().learn("/x", BODY, 400, content)
    found = needed(BODY, 400, content)
    assert found is not None and found[0] == name and hint in found[1]


def server_without(httpserver: HTTPServer, *names: str) -> list[dict[str, Any]]:
    """An OpenAI server that refuses these, one at a time; the bodies that it was sent."""
    sent: list[dict[str, Any]] = []

    def answer(request: Request) -> Response:
        body = json.loads(request.data)
        sent.append(body)
        for name in names:
            if name in body:
                said = error(f"Unrecognized request argument supplied: {name}", param=name)
                return Response(json.dumps(said), 400, content_type="application/json")
        choice = {
            "index": 0,
            "delta": {"content": "hello"},
            "text": "hello",
            "finish_reason": "stop",
        }
        return Response(sse({"choices": [choice]}, done="[DONE]"), content_type="text/event-stream")

    for path in ("/v1/chat/completions", "/v1/completions"):
        httpserver.expect_request(path).respond_with_handler(answer)
    return sent


@pytest.mark.parametrize(
    "names",
    [
        ("stream_options",),
        ("max_tokens",),
        ("max_tokens", "max_completion_tokens"),
        ("logprobs", "temperature", "stream_options", "stop"),
    ],
)
async def test_a_request_without_the_parameter_is_answered_and_remembered(
    httpserver: HTTPServer, names: tuple[str, ...]
) -> None:
    sent = server_without(httpserver, *names)
    url = httpserver.url_for("/v1")
    options = {"infill": "suffix", "logprobs": True}
    settings = ProviderSettings(kind="openai_compatible", model="m", base_url=url, options=options)
    provider = registry.build("o", settings, environ={})
    chat = ChatRequest((Message(Role.USER, "hi"),), stop=("a",))
    infill = InfillRequest("d", "a.py", "python", "x = ", "\n", stop=("a",))
    for ask in (lambda: provider.chat(chat), lambda: provider.infill(infill)):
        for most in (len(names) + 1, 1):
            before = len(sent)
            async with aclosing(ask()) as stream:
                text = "".join([delta.text async for delta in stream])
            assert text == "hello"
            assert len(sent) - before <= most
    await provider.aclose()


async def test_tools_that_are_refused_are_named(httpserver: HTTPServer) -> None:
    sent = server_without(httpserver, "tools")
    settings = ProviderSettings(
        kind="openai_compatible", model="m", base_url=httpserver.url_for("/v1"), options={}
    )
    provider = registry.build("o", settings, environ={})
    chat = ChatRequest((Message(Role.USER, "hi"),), tools=(Tool("f", "", {}),))
    with pytest.raises(Unsupported, match="'tools'") as raised:
        async with aclosing(provider.chat(chat)) as stream:
            async for _ in stream:
                pass
    assert "tools = false" in raised.value.hint
    assert len(sent) == 1
    await provider.aclose()


async def test_a_server_that_refuses_everything_is_not_asked_for_ever(
    httpserver: HTTPServer,
) -> None:
    sent: list[bytes] = []

    def answer(request: Request) -> Response:
        sent.append(request.data)
        first = next((k for k in json.loads(request.data) if k not in ("model", "messages")), "")
        said = json.dumps(error("unknown parameter", param=first))
        return Response(said, 400, content_type="application/json")

    httpserver.expect_request("/v1/chat/completions").respond_with_handler(answer)
    settings = ProviderSettings(
        kind="openai_compatible", model="m", base_url=httpserver.url_for("/v1"), options={}
    )
    provider = registry.build("o", settings, environ={})
    with pytest.raises(ProviderError):
        async with aclosing(provider.chat(ChatRequest((Message(Role.USER, "hi"),)))) as stream:
            async for _ in stream:
                pass
    assert len(sent) <= MAX_REFUSED
    await provider.aclose()
