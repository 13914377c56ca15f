"""Neovim with what the README says and nothing else."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.editors.conftest import ROOT, StartNeovim, as_lua, chat_script, script
from tests.editors.neovim import Neovim

from nearfield.cli.editors import steps

pytestmark = pytest.mark.editor

ANSWERS = [
    {"match": r"def add\(a, b\):\n$", "text": "    return a + b\n"},
    {"match": r"def area\(w, h\):\s*$", "text": "wide = w * 2\n    return wide * h\n"},
    {"match": r"ret$", "text": "urn a + b\n"},
    {"match": r"greeting = 'grüß 🙂 $", "text": "Gott'\n"},
]


def from_readme(options: Mapping[str, Any], what: str = "vim.lsp.config('nearfield', { cmd") -> str:
    """The README's configuration that holds `what`, with `options` for the server."""
    blocks = re.findall(r"```lua\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (snippet,) = [block for block in blocks if what in block]
    return f"{snippet}\nvim.lsp.config('nearfield', {{ init_options = {as_lua(options)} }})\n"


def pressed(nvim: Neovim, keys: str, ghost: str) -> None:
    """Press keys and wait for that ghost text alone."""
    nvim.keys(keys)
    nvim.until([ghost], lambda: nvim.ghosts)


def test_ghost_text_appears_and_tab_takes_it(neovim: StartNeovim, neovim_12: Path) -> None:
    nvim = neovim(neovim_12, from_readme(script(ANSWERS)), "def area(w, h):\n    \n")
    assert nvim.lua("return type(vim.lsp.inline_completion)") == "table"
    pressed(nvim, "jA", "wide = w * 2\n    return wide * h")
    nvim.keys("<Tab>")
    nvim.until("def area(w, h):\n    wide = w * 2\n    return wide * h", lambda: nvim.text)
    assert nvim.ghosts == []
    nvim.keys("!")
    nvim.until("def area(w, h):\n    wide = w * 2\n    return wide * h!", lambda: nvim.text)


def test_tab_stays_a_tab_where_nothing_is_suggested(neovim: StartNeovim, neovim_12: Path) -> None:
    nvim = neovim(neovim_12, from_readme(script(ANSWERS)), "nothing\n", name="a.txt")
    nvim.keys("A<Tab>!")
    nvim.until("nothing\t!", lambda: nvim.text)


def test_text_beyond_ascii_stays_whole(neovim: StartNeovim, neovim_12: Path) -> None:
    nvim = neovim(neovim_12, from_readme(script(ANSWERS)))
    pressed(nvim, "igreeting = 'grüß 🙂 ", "Gott'")
    nvim.keys("<Tab>")
    nvim.until("greeting = 'grüß 🙂 Gott'", lambda: nvim.text)


def test_the_completion_list_gives_a_word(neovim: StartNeovim, neovim_11: Path) -> None:
    """This Neovim takes no more than the first word of a text edit, as the README warns."""
    nvim = neovim(neovim_11, from_readme(script(ANSWERS)), "def add(a, b):\n    ret")
    assert nvim.lua("return type(vim.lsp.inline_completion)") == "nil"
    nvim.keys("jA")

    def asked() -> str:
        """The first answer holds what is ready: nothing. What is asked again is there."""
        nvim.keys("<C-x><C-o>")
        time.sleep(0.5)
        return nvim.text

    nvim.until("def add(a, b):\n    return", asked)


def test_neovims_own_keys_hover_and_act(neovim: StartNeovim, neovim_each: Path) -> None:
    text = "def add(a, b):\n    return a + b"
    documented = text.replace("):\n", '):\n    """Add both."""\n')
    options = chat_script({"text": f"```python\n{documented}\n```"})
    nvim = neovim(neovim_each, from_readme(options), f"{text}\n")
    nvim.keys("ggfaK")
    floating = """
    for _, win in ipairs(vim.api.nvim_list_wins()) do
      if vim.api.nvim_win_get_config(win).relative ~= '' then
        local lines = vim.api.nvim_buf_get_lines(vim.api.nvim_win_get_buf(win), 0, -1, false)
        return table.concat(lines, ' ')
      end
    end
    return ''
    """
    nvim.until(True, lambda: "def add(a, b)" in nvim.lua(floating))
    # As `gra` does, without its menu.
    nvim.lua("""
    local function wanted(action) return vim.startswith(action.title, 'Document') end
    vim.lsp.buf.code_action({ filter = wanted, apply = true })
    """)
    nvim.until(documented, lambda: nvim.text)


def test_the_plugin_is_set_up(neovim: StartNeovim, neovim_each: Path) -> None:
    init = from_readme(script(ANSWERS), "require('nearfield').setup()").replace(
        "/path/to/nearfield", str(ROOT)
    )
    nvim = neovim(neovim_each, init, "def area(w, h):\n    \n")
    bar = "return vim.api.nvim_eval_statusline(vim.o.statusline, {}).str"
    nvim.until(True, lambda: "Nearfield: scripted" in nvim.lua(bar))
    pressed(nvim, "jA", "wide = w * 2\n    return wide * h")
    nvim.keys("<Tab>")
    nvim.until("def area(w, h):\n    wide = w * 2\n    return wide * h", lambda: nvim.text)
    assert nvim.call("nvim_call_function", "exists", [":Nearfield"]) == 2


def test_the_demos_last_lines_set_it_up(neovim: StartNeovim, neovim_each: Path) -> None:
    (step,) = steps(Path(sys.executable).with_name("nearfield"), str(neovim_each.parent))
    init = (
        f"{step.lines}\nvim.lsp.config('nearfield', {{ init_options = {as_lua(script(ANSWERS))} }})"
    )
    nvim = neovim(neovim_each, init, "def area(w, h):\n    \n")
    pressed(nvim, "jA", "wide = w * 2\n    return wide * h")


def test_it_runs_beside_the_servers_of_nvim_lspconfig(
    neovim: StartNeovim, neovim_each: Path, tmp_path: Path
) -> None:
    """That plugin is a folder of `lsp/NAME.lua`, as ours is; here one server of it is enough."""
    other = {
        "cmd": ["nearfield", "serve"],
        "filetypes": ["python"],
        "init_options": script([], completion={"enabled": False}),
    }
    (tmp_path / "lspconfig" / "lsp").mkdir(parents=True)
    (tmp_path / "lspconfig/lsp/pyright.lua").write_text(f"return {as_lua(other)}\n")
    path = f"vim.opt.runtimepath:prepend({as_lua(str(tmp_path / 'lspconfig'))})\n"
    init = path + from_readme(script(ANSWERS), "'pyright'")
    nvim = neovim(neovim_each, init, "def area(w, h):\n    \n", plugin=True)
    names = "return vim.tbl_map(function(c) return c.name end, vim.lsp.get_clients({ bufnr = 0 }))"
    nvim.until(["nearfield", "pyright"], lambda: sorted(nvim.lua(names)))
    client = "vim.lsp.get_clients({ name = 'nearfield' })[1]"
    never = nvim.lua(f"return {client}.settings.nearfield.completion.multiline")
    assert never == "never"


def test_the_servers_settings_are_the_editors(neovim: StartNeovim, neovim_each: Path) -> None:
    off = "vim.lsp.config('nearfield', { settings = { nearfield = { completion = 5 } } })"
    nvim = neovim(neovim_each, f"{from_readme(script(ANSWERS))}{off}\n")
    nvim.until(True, lambda: "completion" in nvim.messages())


def test_the_server_goes_with_the_editor(neovim: StartNeovim, neovim_each: Path) -> None:
    nvim = neovim(neovim_each, from_readme(script(ANSWERS)))
    nvim.lua("vim.lsp.enable('nearfield', false)")
    nvim.until(0, lambda: nvim.lua("return #vim.lsp.get_clients()"))


@pytest.mark.model
def test_a_real_model_completes(neovim: StartNeovim, neovim_12: Path, default_model: Path) -> None:
    options = {"models": {"complete": str(default_model)}, "completion": {"deadline_ms": 60_000}}
    code = "def fib(n):\n    if n < 2:\n        return n\n    \n"
    nvim = neovim(neovim_12, from_readme(options), code)
    nvim.keys("jjjAreturn fi")
    nvim.until(True, lambda: any("b(n" in ghost for ghost in nvim.ghosts))
    nvim.keys("<Tab>")
    nvim.until(True, lambda: "    return fib(n" in nvim.text)
