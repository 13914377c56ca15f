"""What the Neovim plugin asks for by `:Nearfield`: explanations, reviews, rewrites and chats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.editors.conftest import StartNeovim, as_lua, script
from tests.editors.neovim import Neovim

pytestmark = pytest.mark.editor

TEXT = "def area(w, h):\n    return w + h\n\n\nlast = 'é'\n"
RIGHT = TEXT.replace("w + h", "w * h")
FINDING = {
    "line": 2,
    "severity": "error",
    "message": "The area is the sum of `w` and `h`.",
    "suggestion": "",
    "replacement": "",
}
ANSWERS: list[dict[str, Any]] = [
    {"match": '"suggestion" what to do', "text": json.dumps({"findings": [FINDING]})},
    {"match": "multiply", "text": "```python\ndef area(w, h):\n    return w * h\n```"},
    {"match": "greet me", "text": "Good day to you, and to yours", "piece_ms": 5},
    {"match": "and again", "text": "Once more: hello"},
    {"match": "slowly", "text": "Well", "hang": True},
    {"match": "area", "text": "It adds two numbers."},
]
FLOATS = """
for _, win in ipairs(vim.api.nvim_list_wins()) do
  if vim.api.nvim_win_get_config(win).relative ~= '' then
    local buf = vim.api.nvim_win_get_buf(win)
    return table.concat(vim.api.nvim_buf_get_lines(buf, 0, -1, false), '\\n')
  end
end
return ''
"""
CHAT = """
for _, win in ipairs(vim.api.nvim_list_wins()) do
  local buf = vim.api.nvim_win_get_buf(win)
  if vim.bo[buf].filetype == 'markdown' then
    return table.concat(vim.api.nvim_buf_get_lines(buf, 0, -1, false), '\\n')
  end
end
return ''
"""


@pytest.fixture
def nvim(neovim: StartNeovim, neovim_each: Path) -> Neovim:
    """A Neovim of each kind with the plugin, the text above, and the cursor in `area`."""
    roles = {role: ["fake"] for role in ("complete", "fast", "code", "large", "review")}
    options = {"init_options": script(ANSWERS, routing={"roles": roles})}
    init = f"require('nearfield').setup()\nvim.lsp.config('nearfield', {as_lua(options)})\n"
    started = neovim(neovim_each, init, TEXT, plugin=True)
    started.keys("ggfa")
    return started


def test_what_is_at_the_cursor_is_explained(nvim: Neovim) -> None:
    nvim.keys(":Nearfield explain<CR>")
    nvim.until(True, lambda: "It adds two numbers." in nvim.lua(FLOATS))
    assert nvim.text == TEXT.removesuffix("\n")


def test_lines_are_rewritten_once_the_diff_is_accepted(nvim: Neovim) -> None:
    nvim.keys(":1,2Nearfield rewrite multiply them<CR>")
    nvim.until("diff", lambda: nvim.lua("return vim.bo.filetype"))
    assert "-    return w + h\n+    return w * h" in nvim.text
    nvim.keys("a")
    nvim.until(RIGHT.removesuffix("\n"), lambda: nvim.text)
    nvim.keys("u")
    nvim.until(TEXT.removesuffix("\n"), lambda: nvim.text)


def test_a_rewrite_is_asked_for_and_discarded(nvim: Neovim) -> None:
    nvim.keys(":Nearfield rewrite<CR>multiply them<CR>")
    nvim.until("diff", lambda: nvim.lua("return vim.bo.filetype"))
    nvim.keys("q")
    nvim.until(TEXT.removesuffix("\n"), lambda: nvim.text)


def test_a_rewrite_of_what_has_changed_is_not_applied(nvim: Neovim) -> None:
    nvim.keys(":1,2Nearfield rewrite multiply them<CR>")
    nvim.until("diff", lambda: nvim.lua("return vim.bo.filetype"))
    nvim.keys("<C-w>pGoeven = 1<Esc><C-w>p")
    nvim.until("diff", lambda: nvim.lua("return vim.bo.filetype"))
    nvim.keys("a")
    nvim.until(True, lambda: "changed since" in nvim.messages())
    assert nvim.text == TEXT + "even = 1"


def test_a_review_is_of_diagnostics_and_is_cleared(nvim: Neovim) -> None:
    found = (
        "return vim.tbl_map(function(d) return { d.lnum, d.message } end, vim.diagnostic.get(0))"
    )
    nvim.keys(":Nearfield review<CR>")
    nvim.until(True, lambda: "one finding" in nvim.messages())
    nvim.until(1, lambda: len(nvim.lua(found)))
    ((line, message),) = nvim.lua(found)
    assert line == 1
    assert "The area is the sum" in message
    nvim.keys(":Nearfield clear-review<CR>")
    nvim.until([], lambda: nvim.lua(found))


def test_a_chat_streams_into_its_buffer_and_goes_on(nvim: Neovim) -> None:
    nvim.keys(":Nearfield chat greet me<CR>")
    first = "## You\n\ngreet me\n\n## Nearfield\n\nGood day to you, and to yours\n"
    nvim.until(first, lambda: nvim.lua(CHAT))
    nvim.keys("<CR>and again<CR>")
    second = "\n## You\n\nand again\n\n## Nearfield\n\nOnce more: hello\n"
    nvim.until(first + second, lambda: nvim.lua(CHAT))
    assert not nvim.lua("return vim.bo.modifiable")
    nvim.keys("q")
    nvim.until("", lambda: nvim.lua(CHAT))
    assert nvim.text == TEXT.removesuffix("\n")


def test_a_chat_is_stopped(nvim: Neovim) -> None:
    nvim.keys(":Nearfield chat slowly<CR>")
    nvim.until(True, lambda: nvim.lua(CHAT).endswith("Well"))
    nvim.keys("<C-c>")
    nvim.until(True, lambda: nvim.lua(CHAT).endswith("Well\n> stopped\n"))
    nvim.keys("<CR>greet me<CR>")
    nvim.until(True, lambda: "to yours" in nvim.lua(CHAT))


def test_only_names_are_completed(nvim: Neovim) -> None:
    names = nvim.lua("return vim.fn.getcompletion('Nearfield re', 'cmdline')")
    assert {"restart", "resume", "review", "rewrite"} <= set(names)
    assert nvim.lua("return vim.fn.getcompletion('Nearfield rewrite re', 'cmdline')") == []
