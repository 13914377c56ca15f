"""The Neovim plugin: ghost text in both kinds, its keys, commands, statusline, health and help."""

from __future__ import annotations

import random
import re
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.process import open_gate
from tests.editors.conftest import ROOT, StartNeovim, as_lua, script
from tests.editors.neovim import Neovim

pytestmark = pytest.mark.editor

KINDS = [("0.11", "own"), ("0.12", "native")]
ALL_KINDS = [*KINDS, ("0.12", "own")]
AREA = "def area(w, h):\n    "
BODY = "wide = w * 2\n    return wide * h"
ANSWERS = [
    {"match": r"def area\(w, h\):\s*$", "text": BODY + "\n"},
    {"match": r"greeting = 'grüß 🙂 $", "text": "Gott'\n"},
]


@pytest.fixture(params=KINDS, ids=" ".join)
def kind(request: pytest.FixtureRequest) -> tuple[Path, str]:
    """A Neovim and whose ghost text it is to show."""
    version, ghost = request.param
    return request.getfixturevalue(f"neovim_{version.removeprefix('0.')}"), ghost


@pytest.fixture
def plugged(neovim: StartNeovim, kind: tuple[Path, str]) -> StartNeovim:
    """Starts a Neovim of each kind with the plugin: `plugged(text, answers, name=…, setup={…})`."""
    program, ghost = kind

    def start(
        text: str = "",
        answers: Sequence[Any] = ANSWERS,
        *,
        name: str = "a.py",
        setup: dict[str, Any] | None = None,
    ) -> Neovim:
        init = with_plugin({"ghost_text": ghost, **(setup or {})}, answers)
        return neovim(program, init, text, name=name, plugin=True)

    return start


def with_plugin(setup: dict[str, Any], answers: Sequence[Any] = ANSWERS) -> str:
    """An `init.lua` that sets the plugin up, with a script for a model."""
    options = as_lua({"init_options": script(answers)})
    return f"require('nearfield').setup({as_lua(setup)})\nvim.lsp.config('nearfield', {options})\n"


def shown(nvim: Neovim, keys: str, ghost: str) -> None:
    """Press keys and wait for that ghost text alone."""
    nvim.keys(keys)
    nvim.until([ghost], lambda: nvim.ghosts)


def text_is(nvim: Neovim, text: str) -> None:
    nvim.until(text, lambda: nvim.text)


@pytest.mark.parametrize("kind", ALL_KINDS, ids=" ".join, indirect=True)
def test_all_of_it_is_taken(plugged: StartNeovim) -> None:
    nvim = plugged(AREA)
    shown(nvim, "jA", BODY)
    nvim.keys("<Tab>!")
    text_is(nvim, AREA + BODY + "!")
    assert nvim.ghosts == []


LATE_ITEM = """
local late_ms = ...
local get = vim.lsp.inline_completion.get
vim.lsp.inline_completion.get = function(opts)
  vim.defer_fn(function() get(opts) vim.g.has_come = true end, late_ms)
  return true
end
"""


@pytest.mark.parametrize("kind", [("0.12", "native")], ids=["0.12 native"], indirect=True)
@pytest.mark.parametrize(
    ("late_ms", "taken"),
    [pytest.param(300, BODY, id="busy"), pytest.param(3000, "    ", id="stalled")],
)
def test_a_key_does_one_thing_however_late_neovim_is(
    plugged: StartNeovim, late_ms: int, taken: str
) -> None:
    """Neovim hands its suggestion over some time after the key."""
    nvim = plugged(AREA)
    shown(nvim, "jA", BODY)
    nvim.lua(LATE_ITEM, late_ms)
    nvim.keys("<Tab>!")
    nvim.until(True, lambda: nvim.lua("return vim.g.has_come"))
    text_is(nvim, AREA + taken + "!")


def test_text_beyond_ascii_is_taken_whole(plugged: StartNeovim) -> None:
    nvim = plugged()
    shown(nvim, "igreeting = 'grüß 🙂 ", "Gott'")
    nvim.keys("<Tab>")
    text_is(nvim, "greeting = 'grüß 🙂 Gott'")


@pytest.mark.parametrize(
    ("key", "first", "then"),
    [
        pytest.param("<M-Right>", "wide", " = w * 2\n    return wide * h", id="word"),
        pytest.param("<M-Down>", "wide = w * 2", "\n    return wide * h", id="line"),
    ],
)
def test_a_part_is_taken_and_the_rest_stays(
    plugged: StartNeovim, key: str, first: str, then: str
) -> None:
    nvim = plugged(AREA)
    shown(nvim, "jA", BODY)
    nvim.keys(key)
    text_is(nvim, AREA + first)
    nvim.until([then], lambda: nvim.ghosts)
    nvim.keys("<Tab>")
    text_is(nvim, AREA + BODY)


def test_typing_along_keeps_it(plugged: StartNeovim) -> None:
    nvim = plugged(AREA)
    shown(nvim, "jA", BODY)
    shown(nvim, "wide", BODY.removeprefix("wide"))
    nvim.keys("<Tab>")
    text_is(nvim, AREA + BODY)


def test_undo_takes_back_the_suggestion_alone_and_dot_repeats_it(plugged: StartNeovim) -> None:
    nvim = plugged(answers=[{"match": "one $", "text": "two"}], name="a.txt")
    shown(nvim, "ione ", "two")
    nvim.keys("<Tab>")
    text_is(nvim, "one two")
    nvim.keys("<Esc>u")
    text_is(nvim, "one ")
    nvim.keys("<C-r>o<Esc>.")
    text_is(nvim, "one two\n\n")


OTHERS = [{"match": "return $", "text": text} for text in ("a + b\n", "sum(c)\n", "max(d)\n")]


def test_others_are_shown_by_a_key_and_taken(plugged: StartNeovim) -> None:
    nvim = plugged("def add(a, b):\n    ", OTHERS)
    shown(nvim, "jAreturn ", "a + b")
    shown(nvim, "<M-]>", "sum(c) (2/3)")
    shown(nvim, "<M-]>", "max(d) (3/3)")
    shown(nvim, "<M-]>", "a + b (1/3)")
    shown(nvim, "<M-[>", "max(d) (3/3)")
    shown(nvim, "ma", "x(d)")
    nvim.keys("<Tab>")
    text_is(nvim, "def add(a, b):\n    return max(d)")


def test_the_first_key_may_go_back(plugged: StartNeovim) -> None:
    nvim = plugged("def add(a, b):\n    ", OTHERS)
    shown(nvim, "jAreturn ", "a + b")
    shown(nvim, "<M-[>", "max(d) (3/3)")


def test_where_there_is_no_other_the_one_stays(plugged: StartNeovim) -> None:
    nvim = plugged(AREA)
    shown(nvim, "jA", BODY)
    for key in ("<M-]>", "<M-[>"):
        shown(nvim, key, f"{BODY} (1/1)")
    nvim.keys("<Tab>")
    text_is(nvim, AREA + BODY)


def test_dismissed_it_is_gone(plugged: StartNeovim) -> None:
    nvim = plugged(AREA)
    shown(nvim, "jA", BODY)
    nvim.keys("<C-]>")
    nvim.until([], lambda: nvim.ghosts)
    assert nvim.lua("return require('nearfield').accept()") is False
    shown(nvim, "w", BODY[1:])
    for _ in range(2):
        nvim.keys("<Esc>")
        nvim.until([], lambda: nvim.ghosts)
        shown(nvim, "a", BODY[1:])


def test_keys_without_a_suggestion_do_what_they_did(plugged: StartNeovim) -> None:
    nvim = plugged("nothing", name="a.txt")
    nvim.keys("A<Tab>!")
    text_is(nvim, "nothing\t!")
    # Neovim's own mapping of Tab goes to the next place of a snippet.
    nvim.keys("<Esc>cc")
    nvim.lua("vim.snippet.expand('a($1, $2)')")
    nvim.keys("x<Tab>y")
    text_is(nvim, "a(x, y)")


def test_one_key_may_be_left_alone_and_another_be_ones_own(plugged: StartNeovim) -> None:
    nvim = plugged(AREA, setup={"keys": {"accept": "<C-f>", "accept_word": False}})
    assert "Nearfield" not in nvim.call("nvim_exec2", "imap <M-Right>", {"output": True})["output"]
    shown(nvim, "jA", BODY)
    nvim.keys("<C-f>")
    text_is(nvim, AREA + BODY)


def test_the_popup_menu_hides_ours(neovim: StartNeovim, neovim_11: Path) -> None:
    text = "wider = 1\nwidest = 2\n" + AREA
    nvim = neovim(neovim_11, with_plugin({}), text, plugin=True)
    shown(nvim, "GA", BODY)
    shown(nvim, "wid", BODY.removeprefix("wid"))
    nvim.keys("<C-n>")
    nvim.until(1, lambda: nvim.call("nvim_call_function", "pumvisible", []))
    nvim.until([], lambda: nvim.ghosts)
    nvim.keys("<C-e>")
    nvim.until([BODY.removeprefix("wid")], lambda: nvim.ghosts)


def test_a_late_answer_is_not_shown(neovim: StartNeovim, neovim_11: Path, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    old = {"match": "one $", "text": "OLD", "waits_for": str(gate)}
    slow = [old, {"match": "x$", "text": "NEW"}]
    nvim = neovim(neovim_11, with_plugin({}, slow), name="a.txt", plugin=True)
    nvim.keys("ione ")
    time.sleep(0.25)
    nvim.keys("x")
    seen: list[str] = []

    def look() -> bool:
        seen.extend(nvim.ghosts)
        return "NEW" in seen

    nvim.until(True, look)
    open_gate(gate)
    end = time.monotonic() + 1
    while time.monotonic() < end:
        look()
        time.sleep(0.005)
    assert set(seen) == {"NEW"}


TYPED = (
    "the quick one is not here but a slow one is and it has a point\n"
    "which nobody knows, so that all of us have to wait for the point\n"
    "while others go on as if there was none; (they may be right), no point\n"
    "in asking. then it ends: with some words more, and with a last point\n"
    "and the end of all of it, in haste.\n"
)


def test_a_fast_typist_gets_what_was_typed_and_taken(plugged: StartNeovim) -> None:
    """300 characters, 15 a second, with keys to accept at any time, mostly too early or too late.
    What is typed has no capitals, what is suggested has nothing else."""
    answers = [{"match": "point$", "text": "POINT"}, {"match": " $", "text": "HASTE"}]
    nvim = plugged(answers=answers, name="a.txt")
    nvim.lua("vim.keymap.set('i', '<F5>', function() require('nearfield').accept() end)")
    dice = random.Random(6)
    assert len(TYPED) >= 300
    nvim.keys("i")
    nvim.type("the", a_second=15)
    shown(nvim, " ", "HASTE")
    nvim.keys("<F5>")
    for word in re.findall(r"point|\s|[^\s]", TYPED.removeprefix("the ")):
        nvim.type(word, a_second=15)
        if word == "point":
            nvim.until(["POINT"], lambda: nvim.ghosts)
            nvim.keys("<Tab>")
        elif word == " ":
            time.sleep(dice.choice([0, 0, 0.1, 0.3]))
            nvim.keys("<F5>" if dice.random() < 0.7 else "")
    nvim.keys("<Esc>")
    nvim.until("n", lambda: nvim.call("nvim_get_mode")["mode"])
    assert re.sub("[A-Z]", "", nvim.text) == TYPED
    taken = re.findall("[A-Z]+", nvim.text)
    assert taken.count("POINT") == TYPED.count("point")
    assert set(taken) == {"POINT", "HASTE"}
    assert nvim.ghosts == []


def test_the_command_names_what_can_be_done_here(plugged: StartNeovim) -> None:
    nvim = plugged()

    def offered(lead: str) -> list[str]:
        return nvim.call("nvim_call_function", "getcompletion", [f"Nearfield {lead}", "cmdline"])

    assert offered("") == nvim.lua("return require('nearfield.command').names()")
    assert {"chat", "explain", "next-edit", "status"} <= set(offered(""))
    assert offered("re") == ["restart", "resume", "review", "rewrite"]
    nvim.lua("vim.cmd.new('elsewhere'); vim.bo.buftype = 'nofile'; vim.cmd.enew()")
    nvim.lua("vim.bo.buftype = 'nofile'")
    assert offered("") == ["commit-message", "log", "panel", "restart"]
    nvim.keys(":Nearfield pause<CR>")
    nvim.until(True, lambda: "no server runs for this buffer" in nvim.messages())


def test_paused_nothing_is_suggested_and_the_statusline_says_so(plugged: StartNeovim) -> None:
    nvim = plugged(AREA)

    def line() -> str:
        return nvim.lua("return require('nearfield').statusline()")

    nvim.until("Nearfield: scripted", line)
    nvim.keys(":Nearfield pause<CR>")
    nvim.until("Nearfield: paused", line)
    nvim.keys("jA")
    time.sleep(0.6)
    assert nvim.ghosts == []
    nvim.keys("<Esc>:Nearfield resume<CR>")
    nvim.until("Nearfield: scripted", line)
    shown(nvim, "A", BODY)


def test_status_trace_log_and_restart(plugged: StartNeovim) -> None:
    nvim = plugged(AREA)
    nvim.keys(":Nearfield<CR>")
    nvim.until(True, lambda: "Nearfield: ready" in nvim.messages())
    shown(nvim, "jA", BODY)
    nvim.keys("<Esc>:Nearfield trace<CR>")
    nvim.until(True, lambda: bool(re.search(r" ms  yes .* scripted", nvim.text)))
    nvim.keys(":quit<CR>:Nearfield log<CR>")
    nvim.until("lsp.log", lambda: nvim.lua("return vim.fs.basename(vim.fn.bufname())"))
    nvim.keys(":quit<CR>")
    first = nvim.lua("return vim.lsp.get_clients({ name = 'nearfield' })[1].id")
    nvim.keys(":Nearfield restart<CR>")
    ids = "return vim.tbl_map(function(c) return c.id end, vim.lsp.get_clients({ bufnr = 0 }))"
    nvim.until(True, lambda: len(now := nvim.lua(ids)) == 1 and now[0] != first)
    nvim.ready()
    shown(nvim, "A", BODY)


def test_health_says_what_runs_and_what_is_missing(neovim: StartNeovim, neovim_each: Path) -> None:
    nvim = neovim(neovim_each, with_plugin({}), plugin=True)
    nvim.lua("vim.cmd.checkhealth('nearfield')")
    for line in ("nearfield is /", "is ready with scripted"):
        assert line in nvim.text
    assert "ERROR" not in nvim.text
    nvim.lua("vim.cmd.bdelete(); vim.lsp.config('nearfield', { cmd = { 'not-there' } })")
    nvim.lua("vim.cmd.checkhealth('nearfield')")
    assert "not-there is not on your PATH" in nvim.text


def test_help_is_found_and_names_every_option(neovim: StartNeovim, neovim_each: Path) -> None:
    nvim = neovim(neovim_each, "", plugin=True, ready=False)
    names = "local d = require('nearfield.config').defaults; return vim.tbl_keys(d)"
    help_text = (ROOT / "editors/neovim/doc/nearfield.txt").read_text()
    for name in [*nvim.lua(names), *nvim.lua(f"{names[:-1]}.keys)"), "cmd"]:
        assert re.search(rf"^ *{name} ", help_text, re.MULTILINE), name
    for command in nvim.lua("return require('nearfield.command').names()"):
        assert f"*:Nearfield-{command}*" in help_text
    nvim.lua("vim.cmd.help('nearfield-options')")
    assert nvim.lua("return vim.fs.basename(vim.fn.bufname())") == "nearfield.txt"


def test_the_tags_of_the_help_are_up_to_date(
    neovim: StartNeovim, neovim_12: Path, tmp_path: Path
) -> None:
    doc = ROOT / "editors/neovim/doc"
    shutil.copytree(doc, tmp_path / "doc")
    nvim = neovim(neovim_12, "", ready=False)
    nvim.lua("vim.cmd.helptags(...)", str(tmp_path / "doc"))
    assert (tmp_path / "doc" / "tags").read_text() == (doc / "tags").read_text()


@pytest.mark.parametrize(
    ("setup", "complaint"),
    [
        ({"ghosts": True}, 'there is no option "ghosts"'),
        ({"ghost_text": "mine"}, "'auto', 'native', 'own' or false"),
        ({"keys": {"take": "<Tab>"}}, "accept, accept_word, accept_line, dismiss"),
        ({"debounce_ms": "long"}, "debounce_ms: expected number"),
    ],
)
def test_a_bad_option_is_named(
    neovim: StartNeovim, neovim_11: Path, setup: dict[str, Any], complaint: str
) -> None:
    nvim = neovim(neovim_11, "", plugin=True, ready=False)
    ok, error = nvim.lua(f"return {{ pcall(require('nearfield').setup, {as_lua(setup)}) }}")
    assert not ok
    assert complaint in error
