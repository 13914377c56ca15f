"""copilot.vim in a real Neovim and a real Vim, with ours in the place of Copilot's server, as
docs/copilot-plugins.md says. No registry has it: name the folder of your clone, and a Vim of
9.0.0185 or newer where `vim` is none:

    NEARFIELD_COPILOT_VIM=…/copilot.vim NEARFIELD_VIM=…/vim \
        .venv/bin/python -m pytest -m plugin tests/editors/test_copilot_vim.py

Without `-m plugin` they are left out; what the plugin says to the server is in
`tests/e2e/test_copilot_clients.py`, which always runs."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest
import tomli_w
from tests.e2e.process import environment
from tests.editors.conftest import ROOT, script
from tests.editors.in_terminal import run_in_terminal, vim

pytestmark = [pytest.mark.editor, pytest.mark.plugin]

EMPTY = "\n" * 12 + "def add(a, b):\n    \n"
"""copilot.vim reads the line before the cursor from the panel's window, so the cursor stands below
all that is in there."""

SCRIPT = """
set nocompatible noswapfile encoding=utf-8 hidden
filetype plugin on
{settings}
set runtimepath^={plugin}
let g:stage = 'shown'

function! Watch(timer) abort
  if g:stage ==# 'shown' && mode() ==# 'i'
    if !empty(copilot#GetDisplayedSuggestion().text)
      let g:stage = 'taken'
      call feedkeys("\\<Tab>", 't')
    elseif localtime() > get(g:, 'asked', 0) + 3
      " What it asks before the server is ready is not asked again by itself.
      let g:asked = localtime()
      call feedkeys("\\<Esc>A", 't')
    endif
  elseif g:stage ==# 'taken' && getline(14) !~ '^ *$'
    call writefile(getline(13, '$'), '{out}')
    let g:stage = 'panel'
    call feedkeys("\\<Esc>:call setline(14, '    ')\\<CR>:14\\<CR>:Copilot panel\\<CR>", 't')
  elseif g:stage ==# 'panel' && bufname('') =~ '^copilot:' && getline(1) =~# 'Synthesized'
    let g:stage = 'done'
    call feedkeys("G\\<CR>", 't')
  elseif g:stage ==# 'done' && bufname('') !~ '^copilot:'
    call writefile(getline(13, '$'), '{out}', 'a')
    qall!
  endif
endfunction

autocmd VimEnter * call feedkeys("GA", 't') | call timer_start(200, 'Watch', {{'repeat': -1}})
"""


@pytest.mark.parametrize("editor", ["neovim", "vim"])
def test_copilot_vim_takes_a_suggestion_and_one_of_its_panel(
    tmp_path: Path, editor: str, request: pytest.FixtureRequest
) -> None:
    plugin = os.environ.get("NEARFIELD_COPILOT_VIM")
    assert plugin, "NEARFIELD_COPILOT_VIM names no clone of the plugin"
    program = str(request.getfixturevalue("neovim_11")) if editor == "neovim" else vim()
    environ = environment(tmp_path / "home")
    config = Path(environ["NEARFIELD_CONFIG_DIR"], "config.toml")
    config.parent.mkdir(parents=True)
    config.write_text(tomli_w.dumps(script()))
    page = (ROOT / "docs" / "copilot-plugins.md").read_text()
    (wrapper,) = re.findall(r"```sh\n(#!/bin/sh\n.*?)```", page, re.DOTALL)
    server = Path(environ["HOME"], ".local", "bin", "nearfield-copilot")
    server.parent.mkdir(parents=True)
    server.write_text(wrapper)
    server.chmod(0o700)
    (settings,) = re.findall(r"```vim\n(.*?)```", page, re.DOTALL)
    file, out, init = (tmp_path / name for name in ("add.py", "out", "init.vim"))
    file.write_text(EMPTY)
    init.write_text(SCRIPT.format(settings=settings, plugin=plugin, out=out), "utf-8")
    environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environ["PATH"]])
    command = [program, "-u", str(init), "-i", "NONE", str(file)]
    run_in_terminal(command, environ, tmp_path)
    assert out.read_text() == "def add(a, b):\n    return a + b\n" * 2
