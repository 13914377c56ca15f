"""How the server's process is started in these tests: with a script for a model."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_httpserver import HTTPServer

PATIENCE_SECONDS = 60.0
"""Long enough for a busy machine: a test that waits so long has failed."""

INDEX_PATIENCE_SECONDS = 5 * PATIENCE_SECONDS
"""The same for the index: its process has what others leave of the processor."""

PATIENT = {"deadline_ms": 60_000, "invoked_deadline_ms": 60_000}
"""Settings of completions by which a busy machine changes no result."""

Answers = Sequence[Mapping[str, Any]]
HELLO: Answers = ({"match": r"def add\(a, b\):\s*$", "text": "return a + b\n"},)


def script(answers: Answers = HELLO, **settings: Any) -> dict[str, Any]:
    """`initializationOptions` that let a script answer in its time, with further settings over
    it."""
    completion = settings.get("completion", {})
    if isinstance(completion, Mapping):
        completion = {**PATIENT, **completion}
    return {
        "providers": {"fake": {"kind": "scripted", "options": {"answers": list(answers)}}},
        "routing": {"roles": {"complete": ["fake"]}},
        "engine": {"enabled": False},
        **settings,
        "completion": completion,
    }


def open_gate(gate: Path) -> None:
    """Let an answer go on that has `gate` as its `waits_for`."""
    gate.touch()


def edited_by_a_model(*answers: dict[str, Any]) -> dict[str, Any]:
    """Settings by which a script answers edit prompts in Sweep's form."""
    options = {"answers": list(answers), "edit_form": "sweep"}
    return {
        "providers": {"fake": {"kind": "scripted", "options": options}},
        "engine": {"enabled": False},
    }


def to_pick_from(httpserver: HTTPServer) -> dict[str, Any]:
    """Settings with an Ollama that has two models, one that is gone, and a provider outside."""
    tags = {"models": [{"name": "coder:7b"}, {"name": "chat:1b"}]}
    httpserver.expect_request("/api/tags").respond_with_json(tags)
    return {
        "engine": {"enabled": False},
        "routing": {"strategy": "local_first"},
        "providers": {
            "here": {"kind": "scripted"},
            "ollama": {"kind": "ollama", "model": "coder:7b", "base_url": httpserver.url_for("")},
            "gone": {"kind": "ollama", "base_url": "http://127.0.0.1:9"},
            "claude": {"kind": "anthropic", "model": "claude-sonnet-5"},
        },
    }


def environment(home: Path) -> dict[str, str]:
    """An environment in which none of the user's settings, models or keys are seen."""
    kept = {
        name: os.environ[name]
        for name in ("PATH", "PYTHONPATH", "SYSTEMROOT")
        if name in os.environ
    }
    folders = {
        name: str(home / name)
        for name in ("HOME", "NEARFIELD_CONFIG_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")
    }
    return {**kept, **folders}
