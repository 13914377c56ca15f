"""A real Neovim, driven over its own RPC: real keys go in, buffers and ghost text come out."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.e2e.process import PATIENCE_SECONDS

GHOST = """
local shown = {}
for name, namespace in pairs(vim.api.nvim_get_namespaces()) do
  if name == 'nearfield.ghost' or name == 'nvim.lsp.inline_completion' then
    for _, mark in ipairs(vim.api.nvim_buf_get_extmarks(0, namespace, 0, -1, { details = true })) do
      local lines = { mark[4].virt_text or {}, unpack(mark[4].virt_lines or {}) }
      for i, line in ipairs(lines) do
        lines[i] = table.concat(vim.tbl_map(function(chunk) return chunk[1] end, line))
      end
      table.insert(shown, table.concat(lines, '\\n'))
    end
  end
end
return shown
"""

DRAWN = """
local gone, come = {}, {}
for name, namespace in pairs(vim.api.nvim_get_namespaces()) do
  if vim.startswith(name, 'nearfield.next_edit') then
    for _, mark in ipairs(vim.api.nvim_buf_get_extmarks(0, namespace, 0, -1, { details = true })) do
      local row, col, how = mark[2], mark[3], mark[4]
      if how.hl_group then
        local lines = vim.api.nvim_buf_get_text(0, row, col, how.end_row, how.end_col, {})
        table.insert(gone, table.concat(lines, '\\n'))
      end
      for _, line in ipairs({ how.virt_text or {}, unpack(how.virt_lines or {}) }) do
        local text = table.concat(vim.tbl_map(function(chunk) return chunk[1] end, line))
        if text ~= '' then
          table.insert(come, ('%d: %s'):format(row + 1, text))
        end
      end
    end
  end
end
table.sort(come)
return { gone, come }
"""

SCREEN = """
vim.cmd.redraw()
local lines = {}
for row = 1, vim.o.lines do
  local cells = {}
  for col = 1, vim.o.columns do
    cells[col] = vim.fn.screenstring(row, col)
  end
  lines[row] = vim.trim(table.concat(cells)) == '' and '' or (table.concat(cells):gsub('%s+$', ''))
end
return lines
"""

STATE = """
local client = vim.lsp.get_clients({ bufnr = 0, name = 'nearfield' })[1]
if not client or not client.initialized then return '' end
local answer = client:request_sync('nearfield/status', vim.empty_dict(), 5000, 0)
return answer and answer.result and answer.result.state or ''
"""


NO_PYTHON = "let g:loaded_python3_provider = 0"
"""For a Python file, Neovim starts each Python on the PATH to find one that can run plugins. Ours
is Lua, and to look takes longer than all else of a start."""


class Neovim:
    """One process with `init` as its configuration and `file` open."""

    def __init__(
        self, program: Path, init: Path, file: Path, environ: Mapping[str, str], *runtime: Path
    ) -> None:
        first = [arg for folder in runtime for arg in ("--cmd", f"set runtimepath^={folder}")]
        plain = [str(program), "--embed", "--headless", "--clean", "--cmd", NO_PYTHON]
        command = [*plain, *first, "-u", str(init)]
        self._process = subprocess.Popen(
            [*command, str(file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(environ),
            cwd=file.parent,
        )
        self._id = 0

    def call(self, method: str, *params: Any) -> Any:
        """Call a function of Neovim's API."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._id += 1
        request = msgspec.msgpack.encode([0, self._id, method, params])
        self._process.stdin.write(request)
        self._process.stdin.flush()
        answer = _message(self._process.stdout.fileno())
        assert answer[:2] == [1, self._id], answer
        assert answer[2] is None, f"{method}{params}: {answer[2]}"
        return answer[3]

    def lua(self, code: str, *arguments: Any) -> Any:
        """Run Lua; its `...` are the arguments."""
        return self.call("nvim_exec_lua", code, list(arguments))

    def keys(self, keys: str) -> None:
        """Press keys; they are worked off like those of a keyboard."""
        self.call("nvim_input", keys)

    def type(self, text: str, *, a_second: float) -> None:
        """Press the keys of plain text one by one."""
        for character in text:
            self.keys({"<": "<lt>", "\n": "<CR>"}.get(character, character))
            time.sleep(1 / a_second)

    @property
    def text(self) -> str:
        """The buffer's text."""
        return "\n".join(self.call("nvim_buf_get_lines", 0, 0, -1, False))

    @property
    def ghosts(self) -> list[str]:
        """The ghost texts that are shown, their lines joined."""
        return self.lua(GHOST)

    @property
    def drawn(self) -> tuple[list[str], list[str]]:
        """The text that a next edit removes, and all that is drawn, with line numbers."""
        gone, come = self.lua(DRAWN)
        return gone or [], come or []

    @property
    def screen(self) -> list[str]:
        """The screen as a user sees it, line by line."""
        return self.lua(SCREEN)

    def state(self) -> str:
        """What the server says of itself; "" while there is none."""
        return self.lua(STATE)

    def until(self, expected: Any, look: Callable[[], Any]) -> None:
        """Wait until `look` sees what is expected."""
        end = time.monotonic() + PATIENCE_SECONDS
        while (seen := look()) != expected:
            if time.monotonic() > end:
                pytest.fail(f"expected {expected!r}, saw {seen!r}; :messages\n{self.messages()}")
            time.sleep(0.02)

    def ready(self) -> None:
        """Wait until the server is attached and can suggest."""
        self.until("ready", self.state)

    def messages(self) -> str:
        """What Neovim has said; in a test all goes well, so mostly nothing."""
        return self.call("nvim_exec2", "messages", {"output": True})["output"]

    def quit(self) -> None:
        """End it as a user does."""
        if self._process.poll() is None:
            self.keys("<C-\\><C-n>:qa!<CR>")
        try:
            self._process.communicate(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            pytest.fail("Neovim did not end")


def _message(file: int) -> Any:
    """Read one message; the next one comes only after our next request."""
    data = b""
    end = time.monotonic() + PATIENCE_SECONDS
    while select.select([file], [], [], max(0.0, end - time.monotonic()))[0]:
        if not (more := os.read(file, 1 << 16)):
            pytest.fail("Neovim has gone")
        data += more
        try:
            return msgspec.msgpack.decode(data)
        except msgspec.DecodeError:
            continue
    pytest.fail("Neovim does not answer")
