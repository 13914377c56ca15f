"""The model of a role, picked from a menu by `:Nearfield model`."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import tomli_w
from pytest_httpserver import HTTPServer
from tests.e2e.process import to_pick_from
from tests.editors.conftest import StartNeovim

pytestmark = pytest.mark.editor

MENUS = """
_G.menus = {}
vim.ui.select = function(items, options, done)
  local rows = vim.tbl_map(options.format_item, items)
  table.insert(_G.menus, { options.prompt, rows })
  for index, row in ipairs(rows) do
    if row:find(_G.wanted[#_G.menus], 1, true) then
      return done(items[index], index)
    end
  end
  done(nil)
end
require('nearfield').setup()
"""


def test_a_model_of_a_server_is_picked_and_one_outside_refused(
    neovim: StartNeovim, neovim_each: Path, tmp_path: Path, httpserver: HTTPServer
) -> None:
    config = tmp_path / "home" / "NEARFIELD_CONFIG_DIR" / "config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(tomli_w.dumps(to_pick_from(httpserver)))
    nvim = neovim(neovim_each, MENUS, "x = 1\n", plugin=True)
    nvim.lua("_G.wanted = { 'code:', 'chat:1b' }")
    nvim.keys(":Nearfield model<CR>")
    names = ["ollama/chat:1b", "embedded", "here", "ollama", "claude"]
    nvim.until({"code": names}, lambda: tomllib.loads(config.read_text())["routing"].get("roles"))
    (_, asked), (prompt, rows) = nvim.lua("return _G.menus")
    assert prompt == "Nearfield: model for code"
    assert any(row.startswith("code: chats") for row in asked)
    assert any("ollama: chat:1b" in row for row in rows)
    assert any("gone (ollama): " in row and "9" in row for row in rows)
    assert any("(outside this machine): claude-sonnet-5 - not allowed here" in row for row in rows)
    nvim.until(True, lambda: "code is served by ollama/chat:1b" in nvim.messages())

    nvim.lua("_G.menus, _G.wanted = {}, { 'claude' }")
    nvim.keys(":Nearfield model review<CR>")
    nvim.until(True, lambda: "nearfield consent allow claude" in nvim.messages())
    assert "review" not in tomllib.loads(config.read_text())["routing"]["roles"]
    nvim.keys(":Nearfield model cook<CR>")
    nvim.until(True, lambda: "There is no role 'cook'" in nvim.messages())
