"""What VS Code shows of the settings is what there is, and a repository can raise nothing there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nearfield.config.keys import ANY_NAME, Leaf, leaves
from nearfield.config.restrict import user_only

EXTENSION = Path(__file__).parents[3] / "editors" / "vscode"
MANIFEST = json.loads((EXTENSION / "package.json").read_text("utf-8"))
PROPERTIES = {
    key: shown
    for section in MANIFEST["contributes"]["configuration"]
    for key, shown in section["properties"].items()
}


def test_the_manifest_is_made_of_the_schema() -> None:
    script = EXTENSION / "scripts" / "settings.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("leaf", list(leaves()), ids=lambda leaf: ".".join(leaf.pattern))
def test_every_setting_is_there_with_a_scope_that_raises_nothing(leaf: Leaf) -> None:
    pattern = leaf.pattern
    key = pattern[: pattern.index(ANY_NAME)] if ANY_NAME in pattern else pattern
    shown = PROPERTIES[".".join(("nearfield", *key))]
    assert shown["markdownDescription"]
    if leaf.rule is user_only or pattern[0] in ("routing", "privacy", "files"):
        assert shown["scope"] == "machine"


def test_every_command_of_a_key_or_a_menu_exists() -> None:
    contributed = MANIFEST["contributes"]
    known = {command["command"] for command in contributed["commands"]}
    named = {binding["command"] for binding in contributed["keybindings"]}
    for entries in contributed["menus"].values():
        named |= {entry["command"] for entry in entries if "command" in entry}
    # Those of VS Code itself may have a key of ours, too.
    assert {name for name in named if not name.startswith("editor.action.")} <= known


def test_the_lock_file_names_no_host() -> None:
    lock = json.loads((EXTENSION / "package-lock.json").read_text("utf-8"))
    assert not [name for name, entry in lock["packages"].items() if "resolved" in entry]
