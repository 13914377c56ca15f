"""The end of `make demo`: the lines for the editors that are on the machine, and for no others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
COMMAND = "/opt/near [x]/bin/nearfield"
TELL = f"""
import sys
sys.path.insert(0, {str(ROOT / "demo")!r})
from pathlib import Path
from rich.console import Console
import run
run.tell_next(Console(highlight=False), Path({COMMAND!r}))
"""

Read = Callable[[str], Any]


@pytest.fixture
def told(tmp_path: Path) -> Callable[..., str]:
    """What the demo ends with where these programs are on the PATH."""

    def tell(*programs: str) -> str:
        for program in programs:
            (tmp_path / program).write_text("#!/bin/sh\n")
            (tmp_path / program).chmod(0o755)
        environ = {**os.environ, "PATH": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-c", TELL], env=environ, capture_output=True, text=True, check=True
        )
        return done.stdout

    return tell


def text(lines: str) -> str:
    return lines


# program, how its paragraph begins, and what its lines must be
TABLE: list[tuple[str, str, Read, str]] = [
    ("nvim", "Neovim: init.lua", text, f"cmd = {{ \"{COMMAND}\", 'serve' }}"),
    ("code", "VS Code (code): ", text, "vscode && code --install-extension /"),
    ("codium", "VS Code (codium): ", text, "codium --install-extension /"),
    ("hx", "Helix: languages.toml", tomllib.loads, COMMAND),
    ("emacs", "Emacs: init.el", text, f'("{COMMAND}" "serve")'),
    ("zed", "Zed: settings.json", json.loads, COMMAND),
    ("subl", "Sublime Text (package LSP): ", json.loads, COMMAND),
    ("kate", "Kate: Settings", json.loads, COMMAND),
]


@pytest.mark.parametrize(("program", "begins", "read", "holds"), TABLE, ids=[c[0] for c in TABLE])
def test_an_editor_that_is_here_gets_its_lines(
    told: Callable[..., str], program: str, begins: str, read: Read, holds: str
) -> None:
    said = told(program)
    assert said.count(begins) == 1
    _, _, after = said.partition(begins)
    lines, _, rest = after.partition("\n")[2].partition(
        "\nREADME.md has the lines for other editors"
    )
    assert rest
    assert holds in str(read(textwrap.dedent(lines)))
    assert [c[0] for c in TABLE if c[1] in said] == [program]


def test_every_installed_editor_gets_its_steps(told: Callable[..., str]) -> None:
    said = told("nvim", "hx", "codium")
    for begins in ("Neovim: ", "Helix: ", "VS Code (codium): "):
        assert begins in said


def test_without_any_the_readme_is_named(told: Callable[..., str]) -> None:
    said = told()
    assert "README.md has the few lines for VS Code, Neovim, Helix" in said
    assert f"{COMMAND} serve" in said and f"{COMMAND} doctor" in said
