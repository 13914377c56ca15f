"""Servers that run are found by what they answer, whoever they are."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.providers.conftest import Resetter, Server

from nearfield.providers.detect import KNOWN_SERVERS, running_servers

OLLAMA, LLAMA, STUDIO = KNOWN_SERVERS[:3]
OPENAI = {"data": [{"id": "chatty-7b"}, {"id": "qwen2.5-coder-7b"}]}


async def test_a_server_is_found_with_the_model_that_fills_in(server: Server) -> None:
    server.answer("/models", OPENAI)
    (found,) = await running_servers([STUDIO], server.url)
    assert (found.server, found.best, found.wants_key) == (STUDIO, "qwen2.5-coder-7b", False)
    assert all("Authorization" not in request.headers for request in server.requests)


async def test_a_model_of_a_cloud_is_not_the_first(server: Server) -> None:
    names = ("qwen3-coder:480b-cloud", "llama3:8b")
    server.answer("/api/tags", {"models": [{"name": name, "size": 5} for name in names]})
    (found,) = await running_servers([OLLAMA], server.url)
    assert found.best == "llama3:8b"


async def test_what_an_ollama_says_of_its_models_counts_more_than_their_names(
    server: Server,
) -> None:
    models: list[dict[str, Any]] = [
        {"name": "mine:latest", "capabilities": ["completion", "insert"]},
        {"name": "vectors:latest", "capabilities": ["embedding"]},
        {"name": "alias:latest", "remote_host": "https://ollama.com:443"},
        {"name": "old:7b"},
    ]
    server.answer("/api/tags", {"models": models})
    (found,) = await running_servers([OLLAMA], server.url)
    assert [one.name for one in found.fit_for("complete")] == ["mine:latest"]
    assert [one.name for one in found.fit_for("chat")] == ["mine:latest", "old:7b"]


@pytest.mark.parametrize(
    ("models", "best"),
    [(["nomic-embed-text", "chatty-7b"], "chatty-7b"), (["nomic-embed-text"], "")],
)
async def test_a_model_that_writes_no_text_is_never_the_first(
    server: Server, models: list[str], best: str
) -> None:
    server.answer("/models", {"data": [{"id": name} for name in models]})
    (found,) = await running_servers([STUDIO], server.url)
    assert found.best == best


async def test_a_server_that_wants_a_key_is_found_without_models(server: Server) -> None:
    server.answer("/models", {"error": "no key"}, 401)
    (found,) = await running_servers([STUDIO], server.url)
    assert (found.wants_key, found.models) == (True, ())


@pytest.mark.parametrize("body", [{"hello": "I am a web shop"}, b"<html></html>"])
async def test_another_program_at_that_port_is_none(server: Server, body: object) -> None:
    for path in ("/", "/models", "/api/tags", "/health", "/props"):
        server.answer(path, body)
    assert await running_servers([OLLAMA, STUDIO], server.url) == []


async def test_a_port_that_hangs_up_is_none(resetter: Resetter) -> None:
    assert await running_servers([OLLAMA, LLAMA, STUDIO], resetter.url) == []
