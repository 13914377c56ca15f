"""`nearfield.testing`, and by it what users of it would test."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.process import PATIENCE_SECONDS

from nearfield.testing import CAPABILITIES, Failed, start

ADD = {r"def add\(a, b\):\s*$": "return a + b"}


def test_typing_gets_a_suggestion_that_can_be_accepted(tmp_path: Path) -> None:
    with start(tmp_path, answers=ADD) as editor:
        file = editor.open("app.py", "def add(a, b):\n    \n\nprint(add(1, 2))\n")
        file.go_behind("b):\n    ")
        assert file.suggest() == "return a + b"
        file.accept()
        assert file.text == "def add(a, b):\n    return a + b\n\nprint(add(1, 2))\n"
        (last,) = editor.request("nearfield/trace", {"last": 1})
        assert last["model"] == "scripted"
        with pytest.raises(Failed, match="Nothing is suggested"):
            file.accept()
    assert not list(tmp_path.iterdir())


def test_typing_and_deleting_keep_the_server_in_step(tmp_path: Path) -> None:
    with start(tmp_path, answers=ADD) as editor:
        file = editor.open("app.py")
        file.type("# \U0001f600 é\r\ndef add(a, b)x")
        file.delete()
        file.type(":\n    ret")
        assert file.suggest() == ""
        file.delete(3)
        assert file.suggest() == "return a + b"
        file.type("return")
        assert file.suggest() == " a + b"
        file.accept()
        assert file.text == "# \U0001f600 é\r\ndef add(a, b):\n    return a + b"


def test_the_list_has_it_too(tmp_path: Path) -> None:
    with start(tmp_path, answers=ADD) as editor:
        file = editor.open("app.py", "def add(a, b):\n    ")
        (item,) = file.popup()
        assert (item.label, item.text) == ("return a + b", "return a + b")
        file.take(item)
        assert file.text.endswith("    return a + b")


def test_a_code_action_is_done(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("def total(items):\n    return sum(items)\n")
    documented = (
        '```python\ndef total(items):\n    """The sum of the items."""\n    return sum(items)\n```'
    )
    with start(tmp_path, answers={"total": documented}) as editor:
        file = editor.open("app.py")
        file.go_behind("def tot")
        assert [title for title in file.actions() if title.startswith("Document")]
        file.act("Document")
        assert '"""The sum of the items."""' in file.text
        # A busy machine may not have it in time, and has it the next time.
        end = time.monotonic() + PATIENCE_SECONDS
        while "total" not in (hover := file.hover()):
            assert time.monotonic() < end, hover
        with pytest.raises(Failed, match="There is no action 'Fly'"):
            file.act("Fly")


def test_settings_of_the_editor_count_also_when_they_change(tmp_path: Path) -> None:
    with start(tmp_path, answers=ADD, settings={"completion": {"enabled": False}}) as editor:
        file = editor.open("app.py", "def add(a, b):\n    ")
        assert file.suggest() == ""
        editor.configure({**editor.settings, "completion": {"enabled": True}})
        editor.connection.wait(file.suggest, "suggestion")


def test_a_setting_that_cannot_be_used_is_a_message(tmp_path: Path) -> None:
    wrong: dict[str, Any] = {"completion": {"deadline_ms": "soon"}}
    with start(tmp_path, answers=ADD, settings=wrong) as editor:
        editor.connection.wait(lambda: editor.messages, "message")
        assert "completion.deadline_ms" in editor.messages[0]


def test_the_users_own_configuration_is_used_without_answers(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[engine]\nenabled = false\n[completion]\nenabled = 7\n")
    environ = {"NEARFIELD_CONFIG_DIR": str(tmp_path), "HOME": str(tmp_path)}
    with (
        pytest.raises(Failed, match="unavailable"),
        start(tmp_path, environ=environ) as editor,
    ):
        editor.ready()


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    with (
        pytest.raises(Failed, match=r"(?s)has ended.*no_such_module"),
        start(tmp_path, answers=ADD, environ={"PYTHONPATH": _breaking(tmp_path)}),
    ):
        pass


def _breaking(folder: Path) -> str:
    (folder / "sitecustomize.py").write_text("")
    (folder / "nearfield").mkdir()
    (folder / "nearfield" / "__init__.py").write_text("")
    (folder / "nearfield" / "__main__.py").write_text("import no_such_module\n")
    return str(folder)


@pytest.mark.parametrize("page", ["README.md", "docs/testing.md"])
def test_the_example_of_the_documentation_runs(tmp_path: Path, page: str) -> None:
    written = (Path(__file__).parents[2] / page).read_text()
    (example,) = re.findall(r"```python\n([^`]*nearfield\.testing[^`]*)```", written)
    (tmp_path / "test_example.py").write_text(example)
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:asyncio",
            "test_example.py",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1 passed" in ran.stdout


def test_the_caller_sets_the_editors_capabilities(tmp_path: Path) -> None:
    plain = {**CAPABILITIES, "textDocument": {}}
    with start(tmp_path, answers=ADD, capabilities=plain) as editor:
        file = editor.open("app.py", "def add(a, b):\n    ")
        assert [item.label for item in file.popup()] == ["return a + b"]
