"""Tests that need what no checkout has run only when `-m` names their mark."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILE = "tests/unit/catalog/test_against_hub.py"
"""All of it is marked `hub`."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("expression", "runs"),
    [("", False), ("not slow", False), ("hub or slow", True)],
)
def test_a_test_on_request_runs_only_when_its_mark_is_named(expression: str, runs: bool) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-m", expression, FILE]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert ("test_an_entry_is_what_the_hub_has" in done.stdout) is runs, done.stdout
    assert runs or "deselected" in done.stdout
