"""`nearfield fix|refactor|document|test` as a user runs them: diffs, files and exit codes."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from tests.e2e.prepared import forked
from tests.e2e.process import open_gate
from tests.e2e.test_cli import Shell

CODE = "def add(a, b):\n    # both\n    return a - b\n\n\ndef sub(a, b):\n    return a + b\n"
ADD = "```python\\ndef add(a, b):\\n    return a + b\\n```"
SUB = "```python\\ndef sub(a, b):\\n    return a - b\\n```"
DOC = '```python\\ndef add(a, b):\\n    \\"\\"\\"Add both.\\"\\"\\"\\n    return a\\n```'
TESTS = "```python\\ndef test_add():\\n    assert add(1, 2) == 3\\n```"


def settings(*answers: tuple[str, str], waits_for: str = "") -> str:
    """A config.toml in which a script answers by what a prompt matches."""
    rows = "".join(
        f"[[providers.fake.options.answers]]\nmatch = '{match}'\ntext = \"{text}\"\n"
        f"waits_for = '{waits_for}'\n"
        for match, text in answers
    )
    return f'[engine]\nenabled = false\n[providers.fake]\nkind = "scripted"\n{rows}'


SCRIPT = settings(
    ("Write a docstring", DOC),
    ("tests for", TESTS),
    ("def add[^`]*```", ADD),
    ("def sub[^`]*```", SUB),
)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    made = Shell(tmp_path)
    made.settings(SCRIPT)
    (tmp_path / ".git").mkdir()
    made.source.write_text(CODE)
    return made


@pytest.fixture
def empty(tmp_path: Path) -> Shell:
    made = Shell(tmp_path)
    made.settings(settings(("", "I do not know.")))
    made.source.write_text(CODE)
    return made


def test_a_diff_that_git_applies(shell: Shell) -> None:
    ran = shell.run("fix", "app.py:3")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("--- a/app.py\n+++ b/app.py\n")
    assert shell.source.read_text() == CODE
    subprocess.run(["git", "apply"], cwd=shell.folder, input=ran.stdout, text=True, check=True)
    assert shell.source.read_text() == CODE.replace("a - b", "a + b", 1)


def test_all_documents_each_function_of_a_file(shell: Shell) -> None:
    ran = shell.run("fix", "app.py", "--write")
    assert ran.returncode == 0, ran.stderr
    assert shell.source.read_text() == (
        "def add(a, b):\n    # both\n    return a + b\n\n\ndef sub(a, b):\n    return a - b\n"
    )


def test_json_has_the_edit_and_its_model(shell: Shell) -> None:
    told = json.loads(shell.run("refactor", "app.py:1-3", "use plus", "--json").stdout)
    assert (told["provider"], told["model"], told["written"]) == ("fake", "scripted", False)
    (file,) = told["files"]
    assert file["path"] == str(shell.source)
    assert "+    return a + b" in file["diff"]


def test_documenting_and_testing(shell: Shell) -> None:
    shell.source.chmod(0o750)
    ran = shell.run("document", "app.py:2", "--write")
    assert ran.returncode == 0, ran.stderr
    assert shell.source.read_text() == CODE.replace(
        "def add(a, b):\n", 'def add(a, b):\n    """Add both."""\n'
    )
    assert shell.source.stat().st_mode & 0o777 == 0o750
    ran = shell.run("test", "app.py:2", "--write")
    assert ran.returncode == 0, ran.stderr
    made = shell.folder / "tests" / "test_app.py"
    assert made.read_text() == (
        "from app import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n"
    )
    again = shell.run("test", "app.py:2", "--write")
    assert again.returncode == 1
    assert "cannot be used" in again.stderr


def test_a_file_that_changed_is_not_written(shell: Shell) -> None:
    gate = shell.folder / "gate"
    shell.settings(settings(("", ADD), waits_for=str(gate)))
    command = forked("fix", "app.py:3", "--write")
    command += ["--log-level", "info"]
    with subprocess.Popen(
        command, env=shell.environ, cwd=shell.folder, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stderr is not None
        # The file has been read before the model is ready, and the model waits.
        assert any("ready" in line for line in running.stderr)
        shell.source.write_text("# mine\n")
        open_gate(gate)
        _, said = running.communicate(timeout=60)
    assert running.returncode == 3
    assert "changed meanwhile" in said
    assert shell.source.read_text() == "# mine\n"
    assert [path.name for path in shell.folder.iterdir() if path.name.startswith(".app")] == []


def test_nothing_to_offer(empty: Shell) -> None:
    ran = empty.run("fix", "app.py:3", "--write")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "cannot be used" in ran.stderr
    assert empty.source.read_text() == CODE


def test_no_model(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    shell.settings("[engine]\nenabled = false\n")
    ran = shell.run("fix", "app.py:1")
    assert ran.returncode == 3
    assert "error:" in ran.stderr


@pytest.mark.parametrize(
    "arguments",
    [("fix", "gone.py"), ("fix", "app.py:99"), ("fix", "app.py:5-2"), ("refactor", "app.py", " "),
     ("refactor", "app.py"), ("fix", "app.py:1-99"), ("fix", "app.py", "--log-level", "loud")],
)  # fmt: skip
def test_wrong_usage(shell: Shell, arguments: tuple[str, ...]) -> None:
    ran = shell.run(*arguments)
    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_stays_a_link(shell: Shell) -> None:
    (shell.folder / "link.py").symlink_to(shell.source)
    assert shell.run("fix", "link.py:3", "--write").returncode == 0
    assert (shell.folder / "link.py").is_symlink()
    assert "a + b" in shell.source.read_text().split("def sub", maxsplit=1)[0]
