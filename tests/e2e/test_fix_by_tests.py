"""`nearfield fix --tests` as a user runs it: the tests choose among the fixes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from tests.e2e.prepared import STARTED
from tests.e2e.process import PATIENCE_SECONDS
from tests.e2e.test_act_cli import ADD, settings
from tests.e2e.test_cli import Shell

pytestmark = pytest.mark.slow

CODE = 'def add(a, b):\n    """Add.\n\n    >>> add(2, 3)\n    5\n    """\n    return a - b\n'
RIGHT = CODE.replace("a - b", "a + b")
TESTS = "from app import add\n\n\ndef test_add():\n    assert add(2, 2) == 4\n"
REVIEW = "Report the defects"
WRONG = ADD.replace("a + b", "a * b")


def reviewed(*replacements: str) -> str:
    """A review's answer with a finding for each replacement of the last line."""
    found = [
        {
            "line": 7,
            "severity": "error",
            "message": f"`add` gives a wrong sum without `{one}`.",
            "suggestion": "",
            "replacement": one,
        }
        for one in replacements
    ]
    return json.dumps({"findings": found}).replace('"', '\\"')


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    made = Shell(tmp_path)
    made.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    made.settings(settings((REVIEW, reviewed("return a + b")), ("", WRONG)))
    (tmp_path / ".git").mkdir()
    (tmp_path / "test_app.py").write_text(TESTS)
    (tmp_path / "conftest.py").write_text("import app\n")
    made.source.write_text(CODE)
    return made


@pytest.mark.parametrize("tests", ["test_app.py", "test_app.py::test_add", "app.py"])
def test_a_fix_of_a_review_replaces_an_answer_with_which_the_tests_fail(
    shell: Shell, tests: str
) -> None:
    # 2 * 2 is 4, so the test alone takes the first answer, and the doctest does not.
    ran = shell.run("fix", "app.py:7", "--tests", tests, "--json", "--write")
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert (told["run"]["exit_code"], told["written"]) == (0, True)
    is_first = tests != "app.py"
    assert ("fix of a review" in told["note"]) is not is_first
    assert shell.source.read_text() == (CODE.replace("a - b", "a * b") if is_first else RIGHT)
    assert (shell.folder / "test_app.py").read_text() == TESTS
    assert not list(shell.folder.rglob("*.pyc"))


def test_what_fails_is_shown_and_not_written(shell: Shell) -> None:
    shell.settings(settings((REVIEW, reviewed("return b - a")), ("", WRONG)))
    ran = shell.run("fix", "app.py:7", "--tests", "app.py", "--write")
    assert ran.returncode == 1, ran.stderr
    assert "+    return a * b" in ran.stdout
    assert "other fixes of a review that were tried: 1. None passes." in ran.stderr
    assert "do not all pass" in ran.stderr
    assert shell.source.read_text() == CODE


def test_a_review_finds_a_fix_where_there_was_no_answer(shell: Shell) -> None:
    shell.settings(settings((REVIEW, reviewed("return a + b")), ("", "I do not know.")))
    ran = shell.run("fix", "app.py:7", "--tests", "app.py", "--write")
    assert ran.returncode == 0, ran.stderr
    assert shell.source.read_text() == RIGHT


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("app.py:7", "--tests", "gone.py"), "no file with tests"),
        (("app.py:7", "--tests", "test_app.py::test_gone"), "cannot be run"),
        (("app.py:7", "--tests", "conftest.py"), "no tests in conftest.py"),
        (("app.py:7", "--tests", str(Path(__file__))), "outside the workspace"),
        ((".", "--tests", "test_app.py"), "not with a folder"),
    ],
    ids=["no file", "no such test", "no tests", "elsewhere", "a folder"],
)
def test_wrong_usage(shell: Shell, arguments: tuple[str, ...], words: str) -> None:
    ran = shell.run("fix", *arguments)
    assert ran.returncode == 2
    assert words in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="scripts start by their first line")
@pytest.mark.parametrize("script", ["#!/gone/python\n", f"#!{sys.executable}\nimport gone_away\n"])
def test_a_pytest_that_does_not_start_is_no_test_that_fails(
    shell: Shell, script: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    program = tmp_path_factory.mktemp("bin") / "pytest"
    program.write_text(script)
    program.chmod(0o700)
    shell.environ["PATH"] = f"{program.parent}{os.pathsep}{shell.environ['PATH']}"
    ran = shell.run("fix", "app.py:7", "--tests", "test_app.py")
    assert ran.returncode == 2
    assert "The tests cannot be run: pytest does not start" in ran.stderr


def test_tests_that_pass_already_say_little(shell: Shell) -> None:
    shell.source.write_text(RIGHT)
    ran = shell.run("fix", "app.py:7", "--tests", "test_app.py")
    assert "pass without a fix too" in ran.stderr


def test_nothing_is_read_in_the_folder_of_temporary_files(
    shell: Shell, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shared = tmp_path_factory.mktemp("shared")
    (shared / "conftest.py").write_text("raise SystemExit('trapped')\n")
    (shared / "pytest.ini").write_text("[pytest]\naddopts = --trapped\n")
    shell.environ["TMPDIR"] = str(shared)
    ran = shell.run("fix", "app.py:7", "--tests", "test_app.py", "--write")
    assert ran.returncode == 0, ran.stderr
    assert {path.name for path in shared.iterdir()} == {"conftest.py", "pytest.ini"}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "latin-1"])
def test_a_file_is_tried_as_it_is_written(shell: Shell, encoding: str, end: str) -> None:
    names = ("my app.py", "-test {app}.py")
    source, tests = (shell.folder / name for name in names)
    odd = "NAME = 'é{0}\\'\"\"\"'\n"
    cookie = "# coding: latin-1\n" if encoding == "latin-1" else ""
    code = f"{cookie}{odd}{CODE}".replace("\n", end)
    source.write_bytes(code.encode(encoding))
    tests.write_text(
        "import importlib\n\n\ndef test_add():\n    app = importlib.import_module('my app')\n"
        "    assert app.add(2, 2) == 4\n    assert ascii(app.NAME[:4]) == "
        "\"'\\\\xe9{0}'\"\n"
    )
    line = code.count("\n")
    ran = shell.run("fix", f"{names[0]}:{line}", "--tests", names[1], "--write")
    assert ran.returncode == 0, ran.stderr
    assert source.read_bytes() == code.replace("a - b", "a * b").encode(encoding)


@pytest.mark.parametrize("name", ["conftest.py", "test_help.py"])
def test_a_file_that_pytest_reads_by_itself_is_tried(shell: Shell, name: str) -> None:
    (shell.folder / name).write_text(CODE)
    (shell.folder / "test_app.py").write_text(TESTS.replace("app", Path(name).stem))
    ran = shell.run("fix", f"{name}:7", "--tests", "test_app.py", "--write")
    assert ran.returncode == 0, ran.stderr
    assert (shell.folder / name).read_text() == CODE.replace("a - b", "a * b")


def test_what_fails_is_told_of_the_text_that_was_tried(shell: Shell) -> None:
    (shell.folder / "test_app.py").write_text(TESTS.replace("2, 2) == 4", "{}, 2) == 4"))
    ran = shell.run("fix", "app.py:7", "--tests", "test_app.py")
    assert ran.returncode == 1, ran.stderr
    assert "    return a * b" in ran.stderr
    assert "    return a - b" not in ran.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_leaves_no_process_and_no_file(
    shell: Shell, number: signal.Signals, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("temporary")
    (shell.folder / "test_app.py").write_text(
        "import os, pathlib, time\n\ndef test_long():\n"
        "    pathlib.Path('started').write_text(str(os.getpid()))\n    time.sleep(100)\n"
    )
    command = [*STARTED, "fix", "app.py:7", "--tests", "test_app.py"]
    environ = {**shell.environ, "TMPDIR": str(folder)}
    with subprocess.Popen(command, cwd=shell.folder, env=environ) as running:
        started, end = shell.folder / "started", time.monotonic() + PATIENCE_SECONDS
        while not (started.exists() and started.read_text()) and time.monotonic() < end:
            time.sleep(0.05)
        running.send_signal(number)
        assert running.wait(PATIENCE_SECONDS) == 130
    assert not psutil.pid_exists(int(started.read_text()))
    assert not list(folder.iterdir())
