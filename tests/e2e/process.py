"""How the server's process is started in these tests: with a script for a model."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-m", "nearfield", "serve"]
PATIENCE_SECONDS = 60.0
"""Long enough for a busy machine: a test that waits so long has failed."""

Answers = Sequence[Mapping[str, Any]]
HELLO: Answers = ({"match": r"def add\(a, b\):\s*$", "text": "return a + b\n"},)


def script(answers: Answers = HELLO, **settings: Any) -> dict[str, Any]:
    """`initializationOptions` that let a script answer, with further settings over it."""
    return {
        "providers": {"fake": {"kind": "scripted", "options": {"answers": list(answers)}}},
        "routing": {"roles": {"complete": ["fake"]}},
        "engine": {"enabled": False},
        **settings,
    }


def edited_by_a_model(*answers: dict[str, Any]) -> dict[str, Any]:
    """Settings by which a script answers edit prompts in Sweep's form."""
    options = {"answers": list(answers), "edit_form": "sweep"}
    return {
        "providers": {"fake": {"kind": "scripted", "options": options}},
        "engine": {"enabled": False},
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
