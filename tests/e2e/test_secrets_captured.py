"""What a server outside this machine really receives, with every key of the corpus planted in code,
snippets, tool results and file names."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
from pytest_httpserver import HTTPServer

from nearfield.config.schema import Config
from nearfield.providers.registry import build
from nearfield.routing.consent import Consent
from nearfield.routing.guard import remote
from nearfield.routing.request_context import RequestContext, Source
from nearfield.routing.route import Route
from nearfield.routing.router import Router
from nearfield.routing.store import Store
from nearfield.types import ChatRequest, InfillRequest, Message, Role, Snippet, ToolCall

SEED = 1
EVENT = (
    'data: {"choices": [{"index": 0, "text": "ok", "delta": {"content": "ok"},'
    ' "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
)
WORST_RECALL = 0.99
"""As tests/unit/routing/test_secrets.py asks of the redaction alone."""


@pytest.fixture
def corpus(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """tests/bench/secret_corpus.py."""
    path = Path(__file__).parents[1] / "bench" / "secret_corpus.py"
    spec = importlib.util.spec_from_file_location("secret_corpus", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
async def far(
    httpserver: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Router]:
    """A router whose one provider is a server that plays one outside, with consent."""
    for name in ("DATA", "CACHE"):
        monkeypatch.setenv(f"NEARFIELD_{name}_DIR", str(tmp_path / name.lower()))
    for path in ("/v1/chat/completions", "/v1/completions"):
        httpserver.expect_request(path).respond_with_data(EVENT, content_type="text/event-stream")
    one = {
        "kind": "openai_compatible",
        "model": "m",
        "base_url": httpserver.url_for("/v1"),
        "options": {"leaves_machine": True, "infill": "suffix"},
    }
    settings = {"routing": {"strategy": "cloud_only"}, "providers": {"far": one}}
    config = msgspec.convert(settings, Config)
    store = Store()
    to = remote("far", "m", config.providers)
    store.say(str(tmp_path), "far", to.destination, Consent.WORKSPACE)
    provider = build("far", config.providers["far"])
    router = Router(config, {"far": provider}, store)
    yield router
    await router.aclose()
    await provider.aclose()
    store.close()


async def test_no_captured_request_holds_a_key(
    far: Router, httpserver: HTTPServer, corpus: ModuleType, tmp_path: Path
) -> None:
    cases = list(corpus.keys(SEED))
    assert len(cases) >= 200 and len({case.kind for case in cases}) >= 20
    leaked: list[Any] = []
    for case in cases:
        code = f"a = 1\n{case.text}\nb()"
        # What may be in a file's name, and is a key by itself.
        name = f"src/{case.needle}.py" if case.needle.isalnum() else "src/a.py"
        context = RequestContext(workspace=str(tmp_path), sources=(Source(name, text=code),))
        call = ToolCall("1", "read_file", '{"path": "a.py"}')
        messages = (
            Message(Role.USER, f"{name}:\n{code}"),
            Message(Role.ASSISTANT, "", (call,)),
            Message(Role.TOOL, code, tool_call_id="1"),
        )
        infill = InfillRequest(
            name, name, "python", f"{code}\nx = ", f"\n{code}\n", snippets=(Snippet(name, code),)
        )
        httpserver.clear_log()
        await _heard(far.chat(ChatRequest(messages), context=context))
        await _heard(far.infill(infill, context))
        bodies = [request.get_data(as_text=True) for request, _ in httpserver.log]
        assert len(bodies) == 2, case
        if any(case.needle in body for body in bodies):
            leaked.append((case.kind, case.text))
    assert len(leaked) <= len(cases) * (1 - WORST_RECALL), leaked


async def _heard(route: Route) -> None:
    async with route:
        async for _ in route:
            pass
