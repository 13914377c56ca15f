"""Plugins that others made for Copilot's server, in a real Neovim with ours in its place, as README
says. No registry has them: name the folders of your clones,

    NEARFIELD_SIDEKICK=…/sidekick.nvim NEARFIELD_COPILOT_LSP=…/copilot-lsp \
        NEARFIELD_COPILOT_LUA=…/copilot.lua \
        .venv/bin/python -m pytest -m plugin tests/editors/test_neovim_plugins.py

Without `-m plugin` they are left out (tests/conftest.py); what the plugins say to the server is in
`tests/e2e/test_copilot_clients.py`, which always runs."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest
import tomli_w
from tests.e2e.process import environment
from tests.e2e.process import script as hello
from tests.editors.conftest import ROOT, StartNeovim, as_lua, script
from tests.editors.neovim import Neovim

pytestmark = [pytest.mark.editor, pytest.mark.plugin]

AREA = "def area(w, h):\n    é = '🙂', w\n    return w * h"
RENAMED = AREA.replace("(w", "(width")
FIRST = RENAMED.replace("', w", "', width")

REQUEST_ID = """
-- sidekick.nvim 2.2 and newer asks for what Neovims have said since: of which request an answer is.
local Client = require('vim.lsp.client')
local request = Client.request
Client.request = function(self, method, params, handler, bufnr)
  local ok, id
  ok, id = request(self, method, params, handler and function(err, result, ctx)
    ctx.request_id = ctx.request_id or id
    return handler(err, result, ctx)
  end, bufnr)
  return ok, id
end
"""


def folder(variable: str) -> str:
    """The clone that an environment variable names."""
    named = os.environ.get(variable)
    assert named, f"{variable} names no clone of the plugin"
    return named


def from_readme(name: str) -> str:
    """README's configuration that holds `name`, with a script for a model."""
    blocks = re.findall(r"```lua\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (snippet,) = [block for block in blocks if f"vim.lsp.enable('{name}')" in block]
    options = as_lua(script([]))
    return (
        f"{snippet}\nvim.lsp.config('{name}', {{ init_options = vim.tbl_extend('force', "
        f"vim.lsp.config['{name}'].init_options or {{}}, {options}) }})\n"
    )


def drawn(nvim: Neovim, namespace: str) -> bool:
    """Return whether the plugin shows something."""
    marks = "vim.api.nvim_buf_get_extmarks(0, vim.api.nvim_create_namespace(...), 0, -1, {})"
    return nvim.lua(f"return #{marks} > 0", namespace)


READY = """
local client = vim.lsp.get_clients({ bufnr = 0, name = ... })[1]
if not client or not client.initialized then return '' end
return client:request_sync('nearfield/status', vim.empty_dict(), 5000, 0).result.state
"""


def attached(nvim: Neovim, name: str) -> None:
    """Wait until the server follows the buffer."""
    nvim.until("ready", lambda: nvim.lua(READY, name))


def test_sidekick_shows_goes_to_makes_and_dismisses_edits(
    neovim: StartNeovim, neovim_each: Path
) -> None:
    plugin = folder("NEARFIELD_SIDEKICK")
    path = f"vim.opt.runtimepath:prepend({as_lua(plugin)})\n"
    init = path + REQUEST_ID + from_readme("nearfield_copilot")
    nvim = neovim(neovim_each, init, AREA, ready=False)
    attached(nvim, "nearfield_copilot")
    ui = "sidekick.ui"
    nvim.keys("fwcwwidth<Esc>")
    nvim.until(True, lambda: drawn(nvim, ui))
    assert nvim.text == RENAMED
    nvim.keys("<Tab>")
    nvim.until(2, lambda: nvim.call("nvim_win_get_cursor", 0)[0])
    assert nvim.text == RENAMED
    nvim.keys("<Tab>")
    nvim.until(FIRST, lambda: nvim.text)
    nvim.until(True, lambda: drawn(nvim, ui))
    nvim.keys("<Esc>")
    nvim.until(False, lambda: drawn(nvim, ui))
    nvim.keys("u")
    nvim.until(RENAMED, lambda: nvim.text)
    nvim.until(True, lambda: drawn(nvim, ui))


def test_copilot_lsp_shows_goes_to_and_makes_edits(neovim: StartNeovim, neovim_each: Path) -> None:
    plugin = folder("NEARFIELD_COPILOT_LSP")
    path = f"vim.opt.runtimepath:prepend({as_lua(plugin)})\n"
    nvim = neovim(neovim_each, path + from_readme("copilot_ls"), AREA, ready=False)
    attached(nvim, "copilot_ls")
    ui = "copilotlsp.nes"
    nvim.keys("fwcwwidth<Esc>")
    nvim.until(True, lambda: drawn(nvim, ui))
    nvim.keys("<Tab>")
    nvim.until(2, lambda: nvim.call("nvim_win_get_cursor", 0)[0])
    nvim.keys("<Tab>")
    nvim.until(FIRST, lambda: nvim.text)
    nvim.until(True, lambda: drawn(nvim, ui))
    nvim.keys("<Esc>")
    nvim.until(False, lambda: drawn(nvim, ui))


COPILOT_LUA = """
vim.opt.runtimepath:prepend({plugin})
require('copilot').setup({{
  server = {{ type = 'binary', custom_server_filepath = {server} }},
  suggestion = {{ auto_trigger = true, keymap = {{ accept = '<Tab>' }} }},
}})
"""


def test_copilot_lua_takes_a_suggestion_and_one_of_its_panel(
    neovim: StartNeovim, neovim_11: Path, tmp_path: Path
) -> None:
    settings = Path(environment(tmp_path / "home")["NEARFIELD_CONFIG_DIR"], "config.toml")
    settings.parent.mkdir(parents=True)
    settings.write_text(tomli_w.dumps(hello()))
    page = (ROOT / "docs" / "copilot-plugins.md").read_text()
    (wrapper,) = re.findall(r"```sh\n(#!/bin/sh\n.*?)```", page, re.DOTALL)
    server = tmp_path / "nearfield-copilot"
    server.write_text(wrapper)
    server.chmod(0o700)
    plugin = as_lua(folder("NEARFIELD_COPILOT_LUA"))
    init = COPILOT_LUA.format(plugin=plugin, server=as_lua(str(server)))
    nvim = neovim(neovim_11, init, "def add(a, b):\n    ", ready=False)

    def shown() -> bool:
        # What it asks before the server is ready is not asked again by itself.
        nvim.keys("<Esc>GA")
        time.sleep(0.5)
        return nvim.lua("return require('copilot.suggestion').is_visible()")

    nvim.until(True, shown)
    nvim.keys("<Tab>")
    nvim.until("def add(a, b):\n    return a + b", lambda: nvim.text)
    nvim.keys("<Esc>:call setline(2, '    ')<CR>:2<CR>:Copilot panel open<CR>")
    panel = "return require('copilot.panel').is_open()"
    nvim.until(True, lambda: nvim.lua(panel))

    def solutions() -> bool:
        lines = "vim.api.nvim_buf_get_lines(b, 0, -1, false)"
        every = f"for _, b in ipairs(vim.api.nvim_list_bufs()) do vim.list_extend(all, {lines}) end"
        return "return a + b" in nvim.lua(f"local all = {{}} {every} return all")

    nvim.until(True, solutions)
    nvim.lua("require('copilot.panel').jump_next()")
    nvim.lua("require('copilot.panel').accept()")
    nvim.until(
        ["def add(a, b):", "    return a + b"],
        lambda: nvim.lua("return vim.api.nvim_buf_get_lines(1, 0, -1, false)"),
    )
