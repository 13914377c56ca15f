"""Next edits in real Neovims: drawn in place, gone to and made by one key, dismissed, and gone when
they no longer apply; and keys that keep their meaning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.e2e.process import edited_by_a_model
from tests.editors.conftest import StartNeovim, as_lua, script
from tests.editors.neovim import Neovim

pytestmark = pytest.mark.editor

AREA = "def area(w, h):\n    é = w / 2\n    return w * h"
TWO = ["2:  <Tab> to go there (+1) ", "2: width"]
BETWEEN = "".join(
    f"\n\ndef between_{number}(a):\n    return a + {number}\n" for number in range(20)
)
FAR = f"def area(wide):\n    return wide\n{BETWEEN}\n\ndef later(high):\n    return area(2)"


def init(options: dict[str, Any] | None = None, **setup: Any) -> str:
    """An `init.lua` that sets the plugin up, with a script for a model."""
    config = as_lua({"init_options": script([]) if options is None else options})
    return f"require('nearfield').setup({as_lua(setup)})\nvim.lsp.config('nearfield', {config})\n"


def come(nvim: Neovim, *drawn: str) -> None:
    """Wait until just this is drawn."""
    nvim.until(sorted(drawn), lambda: nvim.drawn[1])


def gone(nvim: Neovim) -> None:
    nvim.until(([], []), lambda: nvim.drawn)


def text_is(nvim: Neovim, text: str) -> None:
    nvim.until(text, lambda: nvim.text)


def cursor(nvim: Neovim) -> list[int]:
    return nvim.call("nvim_win_get_cursor", 0)


def test_an_edit_is_seen_gone_to_and_made_by_one_key(
    neovim: StartNeovim, neovim_each: Path
) -> None:
    nvim = neovim(neovim_each, init(), AREA, plugin=True)
    nvim.keys("fwcwwidth<Esc>")
    come(nvim, "2: width", "2:  Tab to go there (+1) ")
    assert nvim.drawn[0] == ["w"]
    assert nvim.screen[1] == "    é = wwidth / 2  Tab to go there (+1)"
    nvim.keys("<Tab>")
    come(nvim, "2: width", "2:  Tab (+1) ")
    assert cursor(nvim) == [2, len("    é = ".encode())]
    nvim.keys("<Tab>")
    renamed = AREA.replace("(w", "(width")
    first = renamed.replace("é = w", "é = width")
    text_is(nvim, first)
    come(nvim, "3: width", "3:  Tab to go there ")
    nvim.keys("<Tab><Tab>")
    text_is(nvim, first.replace("return w", "return width"))
    gone(nvim)
    nvim.keys("u")
    text_is(nvim, first)
    nvim.keys("u")
    text_is(nvim, renamed)
    # Where there is none, the key is Neovim's, which goes forward where CTRL-O goes back.
    nvim.keys("u")
    text_is(nvim, AREA)
    gone(nvim)
    nvim.keys("G<C-o>")
    back = cursor(nvim)
    nvim.keys("<Tab>")
    nvim.until(True, lambda: cursor(nvim) != back)
    assert nvim.text == AREA


def test_in_insert_mode_too(neovim: StartNeovim, neovim_each: Path) -> None:
    nvim = neovim(neovim_each, init(), AREA, plugin=True)
    nvim.keys("fwcwwidth")
    come(nvim, "2: width", "2:  Tab to go there (+1) ")
    nvim.keys("<Tab>")
    come(nvim, "2: width", "2:  Tab (+1) ")
    # It is drawn once: it is no ghost text besides.
    nvim.keys("<Left><Right>")
    nvim.until([], lambda: nvim.ghosts)
    nvim.keys("<Tab>")
    come(nvim, "3: width", "3:  Tab to go there ")
    nvim.keys("!")
    text_is(nvim, AREA.replace("(w", "(width").replace("é = w", "é = width!"))


def test_the_edge_tells_of_an_edit_out_of_view(neovim: StartNeovim, neovim_each: Path) -> None:
    nvim = neovim(neovim_each, init(), FAR, plugin=True)
    last = FAR.count("\n") + 1
    nvim.keys("f)i, high<Esc>")
    bottom = nvim.lua("return vim.fn.line('w$')")
    come(nvim, f"{last}: , high", f"{bottom}:  ↓ edit in line {last}: Tab ")
    assert nvim.screen[bottom - 1].endswith(f"↓ edit in line {last}: Tab")
    nvim.keys("<Tab>")
    come(nvim, f"{last}: , high", f"{last}:  Tab ")
    nvim.keys("gg")
    come(nvim, f"{last}: , high", f"{bottom}:  ↓ edit in line {last}: Tab ")
    nvim.keys("<Tab><Tab>")
    text_is(nvim, FAR.replace("area(wide)", "area(wide, high)").replace("area(2)", "area(2, high)"))


BOX = "class Box {\n\tint area(int wide) { return wide; }\n\tint twice() { return area(1); }\n}"
LINES = "\tint twice() {\n\t\treturn area(1, 2);\n\t}\n"


def test_whole_lines_of_a_model_stand_below_those_that_go(
    neovim: StartNeovim, neovim_each: Path
) -> None:
    edited = BOX.splitlines(keepends=True)[1].replace("wide)", "wide, int high)")
    answer = {"match": "updated/", "text": f"{edited}{LINES}}}\n"}
    more = "vim.o.tabstop = 4\n"
    nvim = neovim(
        neovim_each,
        more + init(edited_by_a_model(answer)),
        BOX,
        name="Box.java",
        plugin=True,
        ready=False,
    )
    nvim.until(False, lambda: nvim.state() in ("", "starting"))
    nvim.keys("jf)i, int high<Esc>")
    come(
        nvim,
        "3:  Tab to go there ",
        f"3:     int twice() {{{' ' * 9}",
        "3:         return area(1, 2);",
        f"3:     }}{' ' * 21}",
    )
    assert nvim.drawn[0] == ["\tint twice() { return area(1); }\n"]
    nvim.keys("<Tab><Tab>")
    text_is(
        nvim,
        BOX.replace("wide)", "wide, int high)").replace(
            "\tint twice() { return area(1); }\n", LINES
        ),
    )
    gone(nvim)


def test_what_is_dismissed_or_does_not_apply_any_more_is_gone(
    neovim: StartNeovim, neovim_12: Path
) -> None:
    nvim = neovim(neovim_12, init(), AREA, plugin=True)
    nvim.keys("fwcwwidth<Esc>")
    come(nvim, "2: width", "2:  Tab to go there (+1) ")
    nvim.keys("u")
    gone(nvim)
    nvim.keys("<C-r>")
    come(nvim, "2: width", "2:  Tab to go there (+1) ")
    # Another buffer, and back.
    nvim.keys(":enew<CR>")
    gone(nvim)
    nvim.keys(":buffer 1<CR>")
    come(nvim, "2: width", "2:  Tab to go there (+1) ")
    nvim.keys("<Esc>")
    gone(nvim)
    nvim.keys(":Nearfield next-edit<CR>")
    nvim.until(True, lambda: "nothing is left to be changed" in nvim.messages())
    gone(nvim)


def test_in_insert_mode_a_key_dismisses(neovim: StartNeovim, neovim_12: Path) -> None:
    nvim = neovim(neovim_12, init(), AREA, plugin=True)
    nvim.keys("fwcwwidth")
    come(nvim, "2: width", "2:  Tab to go there (+1) ")
    nvim.keys("<C-]>")
    gone(nvim)
    nvim.keys("<Tab>")
    text_is(nvim, AREA.replace("(w", "(width  "))


def test_menus_and_snippets_have_the_key_first(neovim: StartNeovim, neovim_12: Path) -> None:
    nvim = neovim(neovim_12, init(), f"{AREA}\nwidest = 1\nwidens = 2", plugin=True)
    nvim.keys("fwcwwide")
    there = ("2: wide", "2:  Tab to go there (+1) ")
    come(nvim, *there)
    nvim.keys("<C-n>")
    nvim.until(1, lambda: nvim.call("nvim_call_function", "pumvisible", []))
    assert nvim.lua("return require('nearfield').accept()") is False
    nvim.keys("<C-e>")
    come(nvim, *there)
    # Those of plugins are windows of their own.
    for plugin, name in (("cmp", "visible"), ("blink.cmp", "is_visible")):
        here = f"package.loaded['{plugin}']"
        nvim.lua(f"{here} = {{ {name} = function() return true end }}")
        assert nvim.lua("return require('nearfield').accept()") is False
        nvim.lua(f"{here} = nil")
    nvim.keys("<Esc>Go")
    nvim.lua("vim.snippet.expand('call($1, $2)')")
    come(nvim, *there)
    nvim.keys("1<Tab>2")
    nvim.until("call(1, 2)", lambda: nvim.text.splitlines()[-1])
    come(nvim, *there)
    nvim.lua("vim.snippet.stop()")
    nvim.keys("<Tab>")
    come(nvim, "2: wide", "2:  Tab (+1) ")


def test_each_window_has_an_edge_of_its_own(neovim: StartNeovim, neovim_12: Path) -> None:
    nvim = neovim(neovim_12, init(), FAR, plugin=True)
    nvim.keys(":split<CR><C-w>wG<C-w>w")
    nvim.keys("f)i, high<Esc>")
    last = FAR.count("\n") + 1

    def hints() -> list[int]:
        return [row for row, line in enumerate(nvim.screen) if "edit in line" in line]

    nvim.until(1, lambda: len(hints()))
    assert hints()[0] < 12
    nvim.keys("<C-w>w")
    come(nvim, f"{last}: , high", f"{last}:  Tab ")
    nvim.keys("<Tab>")
    nvim.until("    return area(2, high)", lambda: nvim.text.splitlines()[-1])


INDEX = """
local client = vim.lsp.get_clients({ bufnr = 0, name = 'nearfield' })[1]
return client:request_sync('nearfield/status', vim.empty_dict(), 5000, 0).result.index.state
"""


def test_an_edit_in_another_file_is_an_offer_of_its_own(
    neovim: StartNeovim, neovim_each: Path, tmp_path: Path
) -> None:
    billing = tmp_path / "workspace" / "billing.py"
    billing.parent.mkdir()
    (billing.parent / ".git").mkdir()
    billing.write_text("from a import area\n\n\ndef bill(high):\n    return area(2)\n")
    settings = script([], index={"vectors": False})
    nvim = neovim(neovim_each, init(settings), "def area(wide):\n    return wide", plugin=True)
    nvim.until("ready", lambda: nvim.lua(INDEX))
    nvim.keys("f)i, high<Esc>")
    come(nvim, "2:  → 1 more in billing.py: Tab ")
    nvim.keys("<Tab>")
    nvim.until("billing.py", lambda: nvim.lua("return vim.fs.basename(vim.fn.bufname())"))
    come(nvim, "5: , high", "5:  Tab ")
    nvim.keys("<Tab>")
    nvim.until("    return area(2, high)", lambda: nvim.text.splitlines()[-1])


def test_by_command_alone_where_they_are_not_to_be_shown(
    neovim: StartNeovim, neovim_12: Path
) -> None:
    nvim = neovim(neovim_12, init(next_edits=False), AREA, plugin=True)
    nvim.keys("fwcwwidth<Esc>")
    nvim.lua("vim.wait(1000)")
    assert nvim.drawn == ([], [])
    nvim.keys(":Nearfield next-edit<CR>")
    come(nvim, "2: width", "2:  Tab (+1) ")
    nvim.keys(":Nearfield next-edit<CR>")
    text_is(nvim, AREA.replace("(w", "(width").replace("é = w", "é = width"))
