"""`nearfield models bench` as a user runs it, with scripted models and with a real one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from tests.e2e.test_cli import Shell
from tests.repository import make_repository

FILES = {
    name: f"import math\n\n\ndef {verb}(a, b):\n    return a + b\n"
    for name, verb in (("a.py", "add"), ("b.py", "join"))
}


def scripted(text: str) -> dict[str, Any]:
    return {"kind": "scripted", "model": text, "options": {"answers": [{"text": text}]}}


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    made = Shell(tmp_path)
    providers = {"one": scripted("return left + right"), "two": scripted("pass")}
    made.settings(tomli_w.dumps({"engine": {"enabled": False}, "providers": providers}))
    make_repository(tmp_path / "repository", FILES)
    return made


def test_two_models_in_a_table_and_as_json(shell: Shell, tmp_path: Path) -> None:
    where = ("--repository", str(tmp_path / "repository"), "--cases", "4")
    table = shell.run("models", "bench", "one", "two", *where)
    assert table.returncode == 0, table.stderr
    assert "1 of 10" in table.stdout
    assert "fixed: one alone fills 1 exactly, two alone 0; that may be chance" in table.stdout
    found = json.loads(shell.run("models", "bench", "one", "two", *where, "--json").stdout)
    assert [pair["holes"] for pair in found["sets"]] == ["fixed", "own"]
    assert found["sets"][1]["scores"][0]["holes"] == 4


def test_outside_a_repository_only_the_fixed_holes(shell: Shell) -> None:
    ran = shell.run("models", "bench", "one", "two")
    assert ran.returncode == 0
    assert "no holes are cut into the code here. Git failed in this folder. Is it in" in ran.stderr
    assert "own" not in ran.stdout


@pytest.mark.model
def test_a_model_against_itself_is_no_better(
    shell: Shell, tmp_path: Path, small_model: Path
) -> None:
    ran = shell.run(
        *("models", "bench", str(small_model), str(small_model), "--json", "--cases", "2"),
        *("--repository", str(tmp_path / "repository")),
    )
    assert ran.returncode == 0, ran.stderr
    for pair in json.loads(ran.stdout)["sets"]:
        first, second = pair["scores"]
        assert first == second
        assert (pair["only_first"], pair["only_second"], pair["p"]) == (0, 0, 1.0)
        assert first["memory"] > small_model.stat().st_size
        assert first["read"] > 0
