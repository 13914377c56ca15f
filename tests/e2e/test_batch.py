"""`nearfield fix|document|review FOLDER`: each file once, also where a run was interrupted."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.prepared import STARTED, forked
from tests.e2e.test_act_cli import settings
from tests.e2e.test_cli import Shell

NAMES = ("one", "two", "six")


def code(name: str, sign: str = "-") -> str:
    return f"def {name}(a, b):\n    return a {sign} b\n"


def answer(name: str, sign: str = "+", delay_ms: int = 0) -> str:
    text = code(name, sign).replace("\n", "\\n")
    row = f"[[providers.fake.options.answers]]\nmatch = 'def {name}[^`]*```'\n"
    return f'{row}text = "```python\\n{text}```"\ndelay_ms = {delay_ms}\n'


def script(*answers: str) -> str:
    return settings() + "".join(answers)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    made = Shell(tmp_path)
    made.source.unlink()
    (tmp_path / ".git").mkdir()
    (tmp_path / "src").mkdir()
    for name in NAMES:
        (tmp_path / "src" / f"{name}.py").write_text(code(name))
    (tmp_path / "src" / "ignored.py").write_text(code("ignored"))
    (tmp_path / "src" / "notes.md").write_text("# Notes\n")
    (tmp_path / ".gitignore").write_text("ignored.py\n")
    made.settings(script(*map(answer, NAMES)))
    return made


def texts(shell: Shell) -> dict[str, str]:
    return {path.stem: path.read_text() for path in (shell.folder / "src").glob("*.py")}


def test_each_source_file_is_fixed_and_reported(shell: Shell) -> None:
    ran = shell.run("fix", "src", "--write")
    assert ran.returncode == 0, ran.stderr
    assert texts(shell) == {
        **{name: code(name, "+") for name in NAMES},
        "ignored": code("ignored"),
    }
    assert "3 files by scripted" in ran.stderr
    assert "3 written" in ran.stderr


def test_without_write_the_diffs_apply(shell: Shell) -> None:
    ran = shell.run("fix", "src")
    assert ran.returncode == 0, ran.stderr
    assert texts(shell)["one"] == code("one")
    subprocess.run(["git", "apply"], cwd=shell.folder, input=ran.stdout, text=True, check=True)
    assert texts(shell)["six"] == code("six", "+")


def test_a_file_of_which_nothing_comes_is_named_and_the_others_are_done(shell: Shell) -> None:
    shell.settings(script(answer("one"), answer("six"), answer("t", "-")))
    told = json.loads(shell.run("fix", "src", "--json").stdout)
    rows = {row["path"]: row for row in told["files"]}
    assert {path: row["outcome"] for path, row in rows.items()} == {
        "src/one.py": "changed", "src/six.py": "changed", "src/two.py": "nothing",
    }  # fmt: skip
    assert rows["src/two.py"]["notes"]
    assert told["outcomes"] == {"changed": 2, "nothing": 1}


@pytest.fixture
def interrupts() -> Iterator[None]:
    """Let children heed SIGINT, which a shell makes those ignore that it runs in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for a child")
@pytest.mark.parametrize("write", [False, True])
@pytest.mark.usefixtures("interrupts")
def test_an_interrupted_run_goes_on_where_it_was(shell: Shell, write: bool) -> None:
    more = ["--write"] if write else []
    shell.settings(script(answer("one"), answer("six", delay_ms=100_000)))
    command = [*STARTED, "fix", "src", "--at-once", "1", *more]
    with subprocess.Popen(
        command, env=shell.environ, cwd=shell.folder, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as running:  # fmt: skip
        assert running.stdout is not None
        rows = shell.folder / "home"
        while "+    return a + b" not in running.stdout.readline():
            pass
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "run the same command again" in said
    kept = list(rows.rglob("batches/*.jsonl"))
    assert [path.stat().st_mode & 0o077 for path in kept] == [0]
    # A first file that was asked for again would get another answer.
    shell.settings(script(answer("one", "*"), answer("six"), answer("two")))
    ran = shell.run("fix", "src", *more)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("+    return a + b") == 3
    assert texts(shell)["one"] == code("one", "+" if write else "-")
    assert not any(path.exists() for path in kept)


def test_a_file_that_was_changed_since_is_asked_for_again(shell: Shell) -> None:
    shell.settings(script(answer("one", delay_ms=0), answer("six", delay_ms=100_000)))
    command = forked("fix", "src", "--at-once", "1")
    with subprocess.Popen(
        command, env=shell.environ, cwd=shell.folder, text=True, stdout=subprocess.PIPE
    ) as running:
        assert running.stdout is not None
        while "+    return a + b" not in running.stdout.readline():
            pass
        running.kill()
    (shell.folder / "src" / "one.py").write_text(code("one", "/"))
    shell.settings(script(answer("one", "*"), answer("six"), answer("two")))
    ran = shell.run("fix", "src")
    assert "-    return a / b\n+    return a * b" in ran.stdout, ran.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("fix", "src", "--most", "2"), "--most 3"),
        (("document", "empty"), "no source file in"),
        (("test", "src"), "not a regular file"),
        (("fix", "src", "--at-once", "99"), "at-once"),
    ],
)
def test_what_cannot_be_done_is_said_before_a_model_is_asked(
    shell: Shell, arguments: tuple[str, ...], said: str
) -> None:
    (shell.folder / "empty").mkdir()
    ran = shell.run(*arguments)
    assert ran.returncode == 2
    assert said in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_folder_is_reviewed(shell: Shell) -> None:
    finding = {
        "line": 2, "severity": "error", "message": "`one` subtracts `b`.", "suggestion": "Add.",
        "replacement": "",
    }  # fmt: skip
    text = json.dumps({"findings": [finding]}).replace('"', '\\"')
    shell.settings(settings(("def one", text), ("", '{\\"findings\\": []}')))
    ran = shell.run("review", "src")
    assert ran.returncode == 0, ran.stderr
    assert "src/one.py:2: error: `one` subtracts `b`." in ran.stdout
    assert "src/two.py" not in ran.stdout
    assert "1 with findings, 2 with nothing" in ran.stderr
    told = json.loads(shell.run("review", "src", "--json").stdout)
    assert told["outcomes"] == {"found": 1, "nothing": 2}
