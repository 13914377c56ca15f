"""Paths and tests that CONTRIBUTING.md and ARCHITECTURE.md name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "server" / "nearfield"
PAGES = ("CONTRIBUTING.md", "ARCHITECTURE.md")
SUFFIXES = (".py", ".md", ".lua", ".ts", ".toml", ".json", ".txt")
NOT_OURS = {"config.toml", ".nearfield.toml"}


@pytest.mark.parametrize("page", PAGES)
def test_every_named_path_exists(page: str) -> None:
    named = [
        name
        for name in re.findall(r"`([\w./-]+)`", (ROOT / page).read_text("utf-8"))
        if ("/" in name or name.endswith(SUFFIXES)) and not name.startswith(("nearfield/", "/"))
    ]
    assert len(named) > 20
    assert [name for name in dict.fromkeys(named) if not _exists(name)] == []


def _exists(name: str) -> bool:
    if name in NOT_OURS or any((top / name).exists() for top in (ROOT, PACKAGE)):
        return True
    module, _, attribute = name.rpartition(".")
    if attribute and f".{attribute}" not in SUFFIXES and _exists(f"{module}.py"):
        return True
    return "/" not in name and any(
        path.name == name
        for top in (PACKAGE, ROOT / "editors")
        for path in top.rglob(f"*{Path(name).suffix}")
        if "node_modules" not in path.parts
    )


def test_every_named_test_exists() -> None:
    tests = "\n".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    endings = re.findall(r"`…(\w+)`", (ROOT / "ARCHITECTURE.md").read_text("utf-8"))
    assert endings
    assert [one for one in endings if not re.search(rf"def test_\w*{one}", tests)] == []
