"""An editor's start imports what serving needs, not what the other commands need."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    "rich.console",
    "httpx",
    "huggingface_hub",
    "tree_sitter",
    "anthropic",
    "pygments",
    "uvicorn",
    "mcp",
    "acp",
    "pydantic",
    "cryptography",
    "keyring",
    "filelock",
)


@pytest.mark.parametrize("arguments", [["serve"], ["serve", "--stdio"]])
def test_the_start_of_the_server_is_lean(arguments: list[str]) -> None:
    code = (
        "import sys; from nearfield.cli.main import build;"
        f"build({arguments!r}); import nearfield.lsp.server;"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
