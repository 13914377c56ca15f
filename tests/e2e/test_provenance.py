"""A suggestion that was accepted in an editor, followed to the attestation in a terminal."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types
from tests.e2e.editing import Editor, StartEditor
from tests.e2e.file_keyring import VARIABLE, FileKeyring
from tests.e2e.prepared import forked
from tests.e2e.process import script
from tests.repository import git, make_repository

ROOT = Path(__file__).parents[2]

CODE = "def add(a, b):\n    \n\n\nprint(add(1, 2))\n"
BODY = "if b == 0:\n        return a\n    return a + b"
ANSWERS = ({"match": r"def add\(a, b\):\s*$", "text": BODY + "\n"},)


@pytest.fixture
def signs(environ: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """An environment with a keyring."""
    environ |= {
        "PYTHON_KEYRING_BACKEND": f"{FileKeyring.__module__}.{FileKeyring.__name__}",
        VARIABLE: str(tmp_path / "keyring.json"),
        "PYTHONPATH": os.pathsep.join([str(ROOT), environ.get("PYTHONPATH", "")]),
    }
    return environ


async def accept(e: Editor, file: Path) -> None:
    """Take the suggestion as VS Code does: insert it, then run its command."""
    uri = e.open(CODE, file.as_uri())
    (item,) = await e.ghost(uri, 1, 4)
    assert isinstance(item.insert_text, str)
    where = item.range
    assert where is not None
    e.change(uri, types.TextDocumentContentChangePartial(where, item.insert_text))
    assert item.command is not None
    await e.client.workspace_execute_command_async(
        types.ExecuteCommandParams(item.command.command, item.command.arguments)
    )


def run(environ: dict[str, str], folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        forked("provenance", *arguments),
        env=environ, cwd=folder, capture_output=True, text=True, timeout=120,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


def told(environ: dict[str, str], folder: Path, *arguments: str) -> Any:
    ran = run(environ, folder, *arguments, "--json")
    assert ran.stderr == ""
    return json.loads(ran.stdout)


async def test_an_accepted_suggestion_is_attested(
    editor: StartEditor, signs: dict[str, str], tmp_path: Path
) -> None:
    work = make_repository(tmp_path / "work", {"a.py": CODE})
    file = work / "a.py"
    async with editor(script(ANSWERS), root=work) as e:
        await accept(e, file)
    written = CODE.replace("    \n", f"    {BODY}\n", 1)
    file.write_text(written.replace("return a\n", "return b\n"))

    shown = run(signs, work, "a.py")
    assert "2 of 7 lines are as they were suggested" in shown.stdout
    (report,) = told(signs, work, "a.py")
    (one,) = report["suggested"]
    assert (one["lines"], one["suggested"], one["changed"], one["gone"]) == ([2, 4], 3, 1, 0)
    assert (one["provider"], one["kind"], len(one["prompt"])) == ("fake", "suggestion", 64)
    trailer = run(signs, work, "a.py", "--trailer")
    assert trailer.stdout == f"Assisted-by: fake/{one['model']}\n"
    # What is committed is no change of the next commit.
    git(work, "commit", "-qam", "Add")
    assert run(signs, work, "a.py", "--trailer").returncode == 1

    verified = run(signs, work, "verify")
    assert verified.returncode == 0
    assert "1 of 1 are signed by the key" in verified.stdout
    kept = next((tmp_path / "home").rglob("records.jsonl"))
    kept.write_bytes(kept.read_bytes().replace(b'"provider":"fake"', b'"provider":"good"'))
    verified = run(signs, work, "verify")
    assert verified.returncode == 1
    assert "altered" in verified.stdout
    assert "altered" in run(signs, work, "a.py").stderr


async def test_without_a_keyring_the_chain_is_there_and_said_to_be_unsigned(
    editor: StartEditor, environ: dict[str, str], tmp_path: Path
) -> None:
    environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.null.Keyring"
    async with editor(script(ANSWERS)) as e:
        await accept(e, tmp_path / "a.py")
    found = told(environ, tmp_path, "verify")
    assert (found["records"], found["problems"], found["unsigned"]) == (1, [], [1])
    assert "keyring" in found["without_key"]
    assert "No signature was checked." in run(environ, tmp_path, "verify").stdout


async def test_nothing_is_recorded_where_a_workspace_turns_it_off(
    editor: StartEditor, environ: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / ".nearfield.toml").write_text("[provenance]\nenabled = false\n")
    async with editor(script(ANSWERS), root=tmp_path) as e:
        await accept(e, tmp_path / "a.py")
    assert list((tmp_path / "home").rglob("records.jsonl")) == []
    assert run(environ, tmp_path, "verify").stderr == "Nothing is recorded.\n"
