"""The role of a task, and whether it is complex."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from nearfield.config.schema import Config
from nearfield.routing.request_context import RequestContext, Source, Task
from nearfield.routing.roles import choose
from nearfield.types import ChatRequest, Message, Role, Tool

PLAIN = ChatRequest((Message(Role.USER, "hello"),))


@pytest.mark.parametrize(
    ("settings", "request_", "context", "role", "is_complex"),
    [
        ({}, PLAIN, RequestContext(Task.EXPLAIN), "fast", False),
        ({}, PLAIN, RequestContext(Task.FIX), "code", False),
        ({}, PLAIN, RequestContext(Task.REVIEW), "review", False),
        ({"tasks": {"fix": "large"}}, PLAIN, RequestContext(Task.FIX), "large", False),
        ({"strategy": "hybrid"}, PLAIN, RequestContext(complex=True), "code", True),
        ({"roles": {"large": ["x"]}}, PLAIN, RequestContext(complex=True), "large", True),
        ({"roles": {"large": ["x"]}}, PLAIN, RequestContext(Task.REVIEW, complex=True), "review", True),
        ({"strategy": "hybrid"}, PLAIN, RequestContext(diagnostics=9), "code", True),
        (
            {"strategy": "hybrid"}, PLAIN,
            RequestContext(sources=tuple(Source(f"{n}.py") for n in range(5))), "code", True,
        ),
        (
            {"strategy": "hybrid"}, ChatRequest((Message(Role.USER, "x" * 30_000),)), RequestContext(),
            "code", True,
        ),
        (
            {"strategy": "hybrid"},
            ChatRequest((Message(Role.USER, "go on"),) * 9, tools=(Tool("f", "", {}),)), RequestContext(),
            "code", True,
        ),
        ({"strategy": "hybrid"}, PLAIN, RequestContext(Task.EXPLAIN), "fast", False),
        ({"strategy": "hybrid", "complex_chars": 6}, PLAIN, RequestContext(Task.CODE), "code", False),
        ({"strategy": "hybrid", "complex_chars": 5}, PLAIN, RequestContext(Task.CODE), "code", True),
        (
            {"strategy": "hybrid"}, ChatRequest(PLAIN.messages, tools=(Tool("f", "", {}),)),
            RequestContext(), "code", True,
        ),
        (
            {"roles": {"large": ["x"]}}, ChatRequest(PLAIN.messages, tools=(Tool("f", "", {}),)),
            RequestContext(), "code", False,
        ),
    ],
)  # fmt: skip
def test_a_task_has_a_role_and_is_complex_by_rules_or_length(
    settings: Any, request_: ChatRequest, context: RequestContext, role: str, is_complex: bool
) -> None:
    choice = choose(msgspec.convert({"routing": settings}, Config), request_, context)
    assert (choice.role, choice.complex) == (role, is_complex)
    assert choice.why


@pytest.mark.parametrize(
    ("question", "is_complex"),
    [
        ("Create a FastAPI server with authentication, rate limiting and PostgreSQL.", True),
        ("Implement a Redis-like key-value store with TTL and persistence", True),
        ("Refactor this code to use OAuth2", True),
        ("Write a FastAPI server with JWT authentication", True),
        ("Please make me a small REST API for notes", True),
        ("Write a function that adds two numbers.", False),
        ("Implement a binary search.", False),
        ("Why does the server not start?", False),
        ("Write a test for the client", False),
        ("Write a function that calls the API", False),
        ("Write a comment for the cache", False),
        ("Make the server faster? Write the docs of this service.", False),
        ("Build the list first. Then call the server.", False),
    ],
)
def test_a_question_for_a_whole_system_is_complex(question: str, is_complex: bool) -> None:
    config = msgspec.convert({"routing": {"strategy": "hybrid"}}, Config)
    request = ChatRequest((Message(Role.USER, question),))
    assert choose(config, request, RequestContext()).complex is is_complex
