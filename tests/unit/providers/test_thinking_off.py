"""Reasoning models behind servers: told not to think, and read where they do."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.providers.conftest import Server

from nearfield.config.schema import ProviderSettings
from nearfield.providers.registry import build
from nearfield.types import ChatRequest, Message, Role

ASKED = (Message(Role.USER, "why?"),)
OPENAI = [
    {"choices": [{"delta": {"reasoning_content": "hm"}}]},
    {"choices": [{"delta": {"reasoning": "m"}}]},
    {"choices": [{"delta": {"content": "Yes."}}]},
    {"choices": [{"delta": {}, "finish_reason": "stop"}]},
]
OLLAMA = [
    {"done": False, "message": {"content": "", "thinking": "hmm"}},
    {"done": False, "message": {"content": "Yes."}},
    {"done": True, "message": {"content": ""}, "done_reason": "stop"},
]
OFF = {"chat_template_kwargs": {"enable_thinking": False, "reasoning_effort": "low"}}
SERVERS: dict[str, tuple[str, dict[str, Any], str, dict[str, Any]]] = {
    "llama_server": ("llama_server", {}, "m", OFF),
    "vllm": ("openai_compatible", {"preset": "vllm"}, "m", OFF),
    "openai": (
        "openai_compatible", {"preset": "openai"}, "gpt-5-mini", {"reasoning_effort": "low"},
    ),
    "openai, a model that does not think": (
        "openai_compatible", {"preset": "openai"}, "gpt-4o", {},
    ),
    "ollama": ("ollama", {}, "m", {"think": False}),
}  # fmt: skip
KEYS = ("chat_template_kwargs", "reasoning_effort", "think")


@pytest.mark.parametrize("case", SERVERS)
async def test_servers_are_told_not_to_think(case: str, server: Server) -> None:
    kind, options, model, expected = SERVERS[case]
    if kind == "ollama":
        lines = "".join(json.dumps(one) + "\n" for one in OLLAMA).encode()
        server.answer("/api/chat", lines, content_type="application/x-ndjson")
    else:
        events = "".join(f"data: {json.dumps(one)}\n\n" for one in OPENAI)
        for path in ("/v1/chat/completions", "/chat/completions"):
            server.answer(path, (events + "data: [DONE]\n\n").encode())
    settings = ProviderSettings(kind=kind, model=model, base_url=server.url, options=options)
    provider = build("p", settings, environ={"OPENAI_API_KEY": "k"})
    sent: list[dict[str, Any]] = []
    for thinking in (0, 10):
        deltas = [one async for one in provider.chat(ChatRequest(ASKED, thinking=thinking))]
        assert "".join(one.text for one in deltas) == "Yes."
        assert "".join(one.thinking for one in deltas) == "hmm"
        body: dict[str, Any] = json.loads(server.requests[-1].get_data())
        sent.append({key: body[key] for key in KEYS if key in body})
    await provider.aclose()
    assert sent == [expected, {}]
