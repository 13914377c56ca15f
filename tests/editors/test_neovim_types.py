"""What the Neovim plugin offers says its types, for editors that read LuaCATS annotations."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.editors.conftest import ROOT

FILES = sorted((ROOT / "editors/neovim/lua/nearfield").glob("*.lua"))
PUBLIC = re.compile(r"((?:^---.*\n)*)^function M\.(\w+)\((.*)\)\n((?:.*\n)*?)^end$", re.MULTILINE)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_public_functions_say_their_types(file: Path) -> None:
    missing: list[str] = []
    for said, name, parameters, body in PUBLIC.findall(file.read_text()):
        missing += [
            f"{name}: @param {parameter}"
            for parameter in re.findall(r"\w+", parameters)
            if parameter != "_" and not re.search(rf"@param {parameter}\??\s", said)
        ]
        # Of its own: what a function within it returns stands deeper.
        if re.search(r"^  return \S", body, re.MULTILINE) and "@return" not in said:
            missing.append(f"{name}: @return")
    assert missing == []


def test_all_of_them_are_read() -> None:
    for file in FILES:
        code = file.read_text()
        assert len(PUBLIC.findall(code)) == code.count("\nfunction M."), file.stem
