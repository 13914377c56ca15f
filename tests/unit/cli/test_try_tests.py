"""`nearfield test --run`: what is run, and what is said of it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from nearfield.cli.try_tests import run_tests

pytestmark = pytest.mark.asyncio

BIN = Path(sys.executable).parent


@pytest.mark.parametrize(("right", "code", "words"), [("2", 0, "pass"), ("3", 1, "do not all")])
async def test_tests_are_run_on_the_code_of_the_workspace(
    right: str, code: int, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(BIN))
    root = tmp_path / "a project"
    root.mkdir()
    (root / "m.py").write_text("def total(x):\n    return x + 1\n")
    text = f"from m import total\n\n\ndef test_total():\n    assert total(1) == {right}\n"
    ran = await run_tests("test_m.py", text, root)
    assert ran.exit_code == code, ran.output
    assert words in ran.words
    assert not (root / "test_m.py").exists()


async def test_what_cannot_be_run_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "no program 'pytest'" in (await run_tests("test_m.py", "", tmp_path)).words
    assert "only tests in Python" in (await run_tests("m.test.ts", "", tmp_path)).words
