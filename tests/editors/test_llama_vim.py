"""llama.vim in a real Neovim and a real Vim, with ours in the place of llama.cpp's server. No
registry has it: name the folder of your clone, and a Vim of 9.1 or newer where `vim` is none:

    NEARFIELD_LLAMA_VIM=…/llama.vim NEARFIELD_VIM=…/vim \
        .venv/bin/python -m pytest -m plugin tests/editors/test_llama_vim.py

Without `-m plugin` they are left out; what the plugin says to the server is in
`tests/e2e/test_http_apis.py`, which always runs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tests.e2e.test_http import SETTINGS, end, start
from tests.editors.in_terminal import run_in_terminal, vim

pytestmark = [pytest.mark.editor, pytest.mark.plugin]

ANSWER = {"match": r"def add\(a, b\):\n$", "text": "    return a + b\n\n\nprint(1)\n"}
"""Of a line with nothing but blanks llama.vim sends nothing, and expects the indentation back."""

SCRIPT = """
set nocompatible noswapfile encoding=utf-8
let g:llama_config = {config}
set runtimepath^={plugin}
runtime plugin/llama.vim
let g:seen = []

function! Watch(timer) abort
  call add(g:seen, [mode(), llama#is_fim_hint_shown()])
  if llama#is_fim_hint_shown() && !exists('g:taken')
    let g:taken = 1
    call feedkeys("\\<Tab>", 't')
  elseif exists('g:taken') && getline(2) !~ '^ *$'
    call writefile(getline(1, '$'), '{out}')
    qall!
  endif
endfunction

autocmd VimEnter * call feedkeys("jA", 't') | call timer_start(100, 'Watch', {{'repeat': -1}})
"""


@pytest.mark.parametrize("editor", ["neovim", "vim"])
def test_llama_vim_shows_and_takes_a_suggestion(
    tmp_path: Path, editor: str, request: pytest.FixtureRequest
) -> None:
    plugin = os.environ.get("NEARFIELD_LLAMA_VIM")
    assert plugin, "NEARFIELD_LLAMA_VIM names no clone of the plugin"
    program = str(request.getfixturevalue("neovim_11")) if editor == "neovim" else vim()
    fake = {"kind": "scripted", "options": {"answers": [ANSWER]}}
    server = start(tmp_path / "server", {**SETTINGS, "providers": {"fake": fake}})
    try:
        config = {"endpoint_fim": f"{server.url}/infill", "api_key": server.token}
        file, out, init = (tmp_path / name for name in ("add.py", "out", "init.vim"))
        file.write_text("def add(a, b):\n    \n")
        init.write_text(SCRIPT.format(config=json.dumps(config), plugin=plugin, out=out), "utf-8")
        command = [program, "-u", str(init), "-i", "NONE", str(file)]
        run_in_terminal(command, {**os.environ, "HOME": str(tmp_path)}, tmp_path)
        assert out.read_text().startswith("def add(a, b):\n    return a + b\n"), out.read_text()
    finally:
        end(server)
