"""`nearfield fix --tests` as a user runs it: the tests choose among the fixes."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
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


def test_tests_that_pass_already_say_little(shell: Shell) -> None:
    shell.source.write_text(RIGHT)
    ran = shell.run("fix", "app.py:7", "--tests", "test_app.py")
    assert "pass without a fix too" in ran.stderr
