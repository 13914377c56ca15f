"""How each kind of provider is asked to rewrite a window by an edit prompt."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nearfield.config.schema import ProviderSettings
from nearfield.errors import ConfigError, Unsupported
from nearfield.providers import registry
from nearfield.providers.base import Provider
from nearfield.types import EditForm, EditRequest, Finish, Segment

from .conftest import Server, json_lines, sse

REQUEST = EditRequest(
    form=EditForm.SWEEP,
    document="d",
    path="a.py",
    segments=(Segment("<|file_sep|>", special=True), Segment("a.py\nx<|file_sep|>")),
    stop=("<|file_sep|>", "<|endoftext|>"),
    max_tokens=32,
)
COMPLETED = sse(
    {"choices": [{"text": "x = 2\n", "index": 0, "finish_reason": None}]},
    {"choices": [{"text": "<|file_sep|>y", "index": 0, "finish_reason": "stop"}]},
    done="[DONE]",
)
CHATTED = sse(
    {"choices": [{"index": 0, "delta": {"content": "x = 2\n"}}]},
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    done="[DONE]",
)


def provider(kind: str, server: Server, model: str, **options: Any) -> Provider:
    """A provider that talks to `server`."""
    suffix = "/v1" if kind == "openai_compatible" else ""
    settings = ProviderSettings(
        kind=kind, model=model, base_url=server.url + suffix, options=options
    )
    return registry.build("one", settings, environ={})


async def answer(one: Provider, request: EditRequest = REQUEST) -> str:
    """The whole answer; it ends with exactly one reason."""
    deltas = [delta async for delta in one.edit(request)]
    assert [delta.finish for delta in deltas if delta.finish] == [Finish.STOP]
    await one.aclose()
    return "".join(delta.text for delta in deltas)


async def test_ollama_gets_a_raw_prompt(server: Server) -> None:
    said = json_lines(
        {"response": "x = 2\n", "done": False},
        {"response": "", "done": True, "done_reason": "stop"},
    )
    server.answer("/api/generate", said, content_type="application/x-ndjson")
    one = provider("ollama", server, "hf.co/sweepai/sweep-next-edit-1.5B")
    assert one.capabilities.edit is EditForm.SWEEP
    assert await answer(one) == "x = 2\n"
    (body,) = server.bodies("/api/generate")
    assert (body["raw"], body["prompt"]) == (True, REQUEST.text)
    assert body["options"]["temperature"] == 0.0


async def test_a_document_forges_no_control_token_on_llama_cpps_server(server: Server) -> None:
    server.answer("/tokenize", {"tokens": [1, 2]})
    said = sse(
        {"content": "x = 2\n", "stop": False},
        {"content": "", "stop": True, "stop_type": "word"},
    )
    server.answer("/completion", said)
    one = provider("llama_server", server, "m", edit_form="sweep")
    assert await answer(one) == "x = 2\n"
    asked = server.bodies("/tokenize")
    assert sorted((body["content"], body["parse_special"]) for body in asked) == sorted(
        (segment.text, segment.special) for segment in REQUEST.segments
    )
    (body,) = server.bodies("/completion")
    assert body["prompt"] == [1, 2, 1, 2]
    assert body["stop"] == ["<|file_sep|>", "<|endoftext|>"]
    assert body["cache_prompt"]


@pytest.mark.parametrize(
    ("model", "form", "path", "is_chat"),
    [
        ("sweep-next-edit-v2-7B", EditForm.SWEEP, "/v1/completions", False),
        ("zed-industries/zeta-2", EditForm.ZETA2, "/v1/completions", False),
        ("zeta-2.1-q4", EditForm.ZETA2_1, "/v1/completions", False),
        ("mercury-edit", EditForm.MERCURY, "/v1/edit/completions", True),
    ],
)
async def test_openai_compatible_servers(
    server: Server, model: str, form: EditForm, path: str, is_chat: bool
) -> None:
    server.answer(path, CHATTED if is_chat else COMPLETED)
    one = provider("openai_compatible", server, model)
    assert one.capabilities.edit is form
    assert await answer(one, replace(REQUEST, form=form, is_chat=is_chat)) == "x = 2\n"
    (body,) = server.bodies(path)
    assert body["model"] == model
    said = body["messages"][0]["content"] if is_chat else body["prompt"]
    assert said == REQUEST.text
    assert body["max_tokens"] == 32


async def test_a_model_that_follows_instructions_is_asked_in_a_chat(server: Server) -> None:
    server.answer("/v1/chat/completions", CHATTED)
    one = provider("openai_compatible", server, "m", edit_form="instruct")
    request = replace(REQUEST, form=EditForm.INSTRUCT, is_chat=True, stop=())
    assert await answer(one, request) == "x = 2\n"


def test_a_form_is_chosen_or_turned_off(server: Server) -> None:
    assert provider("ollama", server, "qwen").capabilities.edit is EditForm.NONE
    off = provider("ollama", server, "zeta-2", edit_form="none")
    assert off.capabilities.edit is EditForm.NONE
    with pytest.raises(ConfigError, match="edit_form"):
        provider("ollama", server, "m", edit_form="cook")


async def test_a_provider_without_edit_prompts_says_so() -> None:
    settings = ProviderSettings(kind="anthropic", model="m")
    one = registry.build("one", settings, environ={"ANTHROPIC_API_KEY": "k"})
    assert one.capabilities.edit is EditForm.NONE
    with pytest.raises(Unsupported):
        [delta async for delta in one.edit(REQUEST)]
    await one.aclose()
