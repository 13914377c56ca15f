"""A commit message in the buffer that git opens."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import tomli_w
from tests.editors.conftest import StartNeovim, chat_script

pytestmark = pytest.mark.editor

INIT = "require('nearfield').setup()\n"
HINTS = "\n# Please enter the commit message for your changes.\n"


def test_a_message_is_written_into_the_buffer_of_git(
    neovim: StartNeovim, neovim_12: Path, tmp_path: Path
) -> None:
    nvim = neovim(neovim_12, INIT, HINTS, name="COMMIT_EDITMSG", ready=False, plugin=True)
    config = tmp_path / "home" / "NEARFIELD_CONFIG_DIR" / "config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(tomli_w.dumps(chat_script({"text": "Add the area"})))
    work = tmp_path / "workspace"
    (work / "a.py").write_text("def area(w, h):\n    return w * h\n")
    for words in (("init", "-q"), ("add", "a.py")):
        subprocess.run(["git", *words], cwd=work, check=True, capture_output=True)
    nvim.until("gitcommit", lambda: nvim.lua("return vim.bo.filetype"))
    nvim.keys(f":cd {work}<CR>:Nearfield commit-message<CR>")
    written = "Add the area" + HINTS.removesuffix("\n")
    nvim.until(written, lambda: nvim.text)
    nvim.keys(":enew<CR>:Nearfield commit-message<CR>")
    nvim.until(True, lambda: "is no commit message" in nvim.messages())
