"""docs/environment.md names every variable that the source reads, and no other."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import nearfield

ROOT = Path(nearfield.__file__).parent
PAGE = Path(__file__).parents[3] / "docs" / "environment.md"
NAME = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|PATH|HOME|PG[A-Z]+")
PROXIES = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}
"""Read under names that are put together."""
PASSED_ON = {
    "GIT_ALLOW_PROTOCOL", "GIT_ATTR_NOSYSTEM", "GIT_NO_LAZY_FETCH", "GIT_OPTIONAL_LOCKS",
    "GIT_PAGER", "GIT_TERMINAL_PROMPT", "GOMP_SPINCOUNT", "LC_ALL", "LLAMA_API_KEY",
    "ORT_DISABLE_TELEMETRY", "PIP_CERT", "XDG_CACHE_HOME", "XDG_DATA_HOME",
}  # fmt: skip
"""Set for programs that we start, or moved by the editor for tests."""
NO_VARIABLES = {
    "AVX512_VNNI", "CA_FILE", "CREATE_NEW_PROCESS_GROUP", "MATMUL_INT8", "O_NOFOLLOW", "O_NONBLOCK",
    "Q4_1", "Q4_K_M", "Q8_0",
}  # fmt: skip


def test_the_page_names_the_variables_that_are_read() -> None:
    assert _documented() == _read() | PROXIES


def _read() -> set[str]:
    """Return every name of a variable's form in the modules that look at the environment."""
    found: set[str] = set()
    for file in ROOT.rglob("*.py"):
        source = file.read_text("utf-8")
        if any(word in source for word in ("environ", "key_env", "usual_env")):
            found |= {
                node.value
                for node in ast.walk(ast.parse(source))
                if isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and NAME.fullmatch(node.value)
            }
    assert found >= PASSED_ON | NO_VARIABLES
    return found - PASSED_ON - NO_VARIABLES


def _documented() -> set[str]:
    rows = re.findall(r"^\| (`[A-Z].*?) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([A-Z0-9_]+)`", row)}
