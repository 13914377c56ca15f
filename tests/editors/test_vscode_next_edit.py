"""Next edits in a real VS Code: seen in place, gone to and taken by one key, dismissed, and gone
when they no longer apply; and keys that keep their meaning."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.process import edited_by_a_model
from tests.editors.conftest import LIGHT, StartVSCode, script
from tests.editors.vscode import STATUS_ITEM, Window
from tests.editors.windows import SNIPPET

pytestmark = pytest.mark.editor

AREA = "def area(w, h):\n    half = w / 2\n    return w * h\n"
BETWEEN = "".join(
    f"\n\ndef between_{number}(a):\n    return a + {number}\n" for number in range(20)
)
FAR = f"def area(wide):\n    return wide\n{BETWEEN}\n\ndef later(high):\n    return area(2)\n"
THEMES = pytest.mark.parametrize("user", [{}, LIGHT], ids=["dark", "light"])


def put_at(window: Window, line: int, column: int) -> None:
    """Put the cursor at a place, by keys."""
    window.press("Control+Home")
    for key in (*["ArrowDown"] * line, *["ArrowRight"] * column):
        window.press(key)


def rename_parameter(window: Window) -> None:
    """Change the `w` of `def area(w, h)` into `wide`."""
    put_at(window, 0, len("def area("))
    window.press("Delete")
    window.type("wide")


def opened(vscode: StartVSCode, text: str, name: str = "a.py", **options: Any) -> Window:
    """A window in which a file with this text is open and the server ready."""
    window = vscode({name: text}, **{"config": script([]), **options})
    window.open(name)
    window.ready()
    return window


def gone(window: Window) -> None:
    """Wait until nothing of a next edit is shown."""
    window.sees("^$", lambda: window.drawn + window.struck)


def saved(window: Window, name: str = "a.py") -> str:
    window.save()
    return (window.folder / name).read_text()


def extension(path: Path, name: str, keys: Sequence[Any], code: str = "") -> Path:
    """The package of an extension with these keys."""
    manifest = {
        "name": name,
        "publisher": "beside",
        "version": "1.0.0",
        "engines": {"vscode": "^1.80.0"},
        "contributes": {"keybindings": keys},
        **({"main": "main.js", "activationEvents": ["onStartupFinished"]} if code else {}),
    }
    with zipfile.ZipFile(path, "w") as package:
        package.writestr("extension/package.json", json.dumps(manifest))
        package.writestr("extension/main.js", code)
    return path


@THEMES
def test_an_edit_is_seen_gone_to_and_taken_by_one_key(
    same_vscode: StartVSCode, user: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    window = opened(same_vscode, AREA, user=user)
    rename_parameter(window)
    window.sees(r"wide\n Tab to go there \(\+1\) ", lambda: window.drawn)
    window.sees("^w$", lambda: window.struck)
    window.picture(f"next-edit-{request.node.callspec.id}")
    window.press("Tab")
    window.sees(r"^wide\n Tab \(\+1\) $", lambda: window.drawn)
    assert "half = w / 2" in window.text
    window.press("Tab")
    window.sees(r"^wide\n Tab to go there $", lambda: window.drawn)
    assert "half = wide / 2" in window.text
    window.press("Tab")
    window.sees(r"^wide\n Tab $", lambda: window.drawn)
    window.press("Tab")
    window.sees("return wide \\* h", lambda: window.text)
    gone(window)
    # Nothing is left, and so the key is what it was.
    window.press("End")
    window.press("Tab")
    assert re.fullmatch(
        r"def area\(wide, h\):\n    half = wide / 2\n    return wide \* h +\n", saved(window)
    )


@THEMES
def test_the_edge_tells_of_an_edit_out_of_view(
    same_vscode: StartVSCode, user: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    window = opened(same_vscode, FAR, user=user)
    put_at(window, 0, len("def area(wide"))
    window.type(", high")
    last = FAR.count("\n")
    window.sees(rf"^ ↓ Edit in line {last}: Tab $", lambda: window.drawn)
    window.picture(f"next-edit-edge-{request.node.callspec.id}")
    window.press("Tab")
    window.sees(r"^, high\n Tab $", lambda: window.drawn)
    window.picture(f"next-edit-there-{request.node.callspec.id}")
    window.press("Control+Home")
    window.sees(rf"^ ↓ Edit in line {last}: Tab $", lambda: window.drawn)
    window.press("Tab")
    window.sees(r"^, high\n Tab $", lambda: window.drawn)
    window.press("Tab")
    gone(window)
    assert saved(window).endswith("return area(2, high)\n")


BOX = """\
class Box {
    int area(int wide) { return wide; }
    int twice() { return area(1); }
}
"""
LINES = "    int twice() {\n        return area(1, 2);\n    }\n"


@THEMES
def test_whole_lines_of_a_model_stand_beside_those_that_go(
    same_vscode: StartVSCode, user: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    edited = BOX.splitlines(keepends=True)[1].replace("wide)", "wide, int high)")
    # Whoever rests while typing, as a busy machine does, is offered nothing yet.
    answer = {"match": r"int high[\s\S]*updated/", "text": f"{edited}{LINES}}}\n"}
    window = same_vscode({"Box.java": BOX}, config=edited_by_a_model(answer), user=user)
    window.open("Box.java")
    window.sees("^(Local|Cloud)", lambda: window.status)
    put_at(window, 1, len("    int area(int wide"))
    window.type(", int high")
    window.sees(r"return area\(1, 2\);", lambda: window.drawn)
    window.sees("twice", lambda: window.struck)
    window.picture(f"next-edit-block-{request.node.callspec.id}")
    window.press("Tab")
    window.press("Tab")
    gone(window)
    assert saved(window, "Box.java") == f"class Box {{\n{edited}{LINES}}}\n"


def test_what_is_dismissed_or_does_not_apply_any_more_is_gone(same_vscode: StartVSCode) -> None:
    window = opened(same_vscode, AREA)
    rename_parameter(window)
    window.sees("wide", lambda: window.drawn)
    # A key ends it; what it leaves to be done is shown after the next pause.
    window.type("r")
    window.sees(r"^wider\n Tab", lambda: window.drawn)
    for _ in range(len("wider") + 2):
        window.press("Control+z")
    gone(window)
    rename_parameter(window)
    window.sees("wide", lambda: window.drawn)
    window.press("Escape")
    gone(window)
    # It is not offered again, so the key is what it was.
    window.press("ArrowDown")
    window.press("Home")
    window.press("Tab")
    assert "\n        half = w / 2" in saved(window)
    window.press("Control+Alt+j")
    window.sees("nothing is left", lambda: window.bar, lambda: window.press("Control+Alt+j"))


def test_a_closed_file_leaves_nothing_behind(same_vscode: StartVSCode) -> None:
    window = same_vscode({"a.py": AREA, "b.txt": ""}, config=script([]))
    window.open("a.py")
    window.ready()
    rename_parameter(window)
    window.sees("wide", lambda: window.drawn)
    window.save()
    tab = window.page.locator('.tab[data-resource-name="a.py"]')
    tab.click(button="middle")
    tab.wait_for(state="detached")
    window.open("b.txt")
    window.press("Tab")
    window.type("x")
    gone(window)
    window.sees(r"^ +x$", lambda: window.text)


def test_tab_goes_first_to_lists_snippets_selections_and_ghost_text(
    same_vscode: StartVSCode,
) -> None:
    text = f"{AREA}widest = 1\n"
    config = script([{"match": r"ghost = $", "text": "text\n"}])
    user = {"editor.wordBasedSuggestions": "currentDocument"}
    window = opened(same_vscode, text, config=config, user=user)
    rename_parameter(window)
    window.sees("wide\n Tab", lambda: window.drawn)
    # The completion list.
    window.press("Control+Space")
    row = window.page.locator(".suggest-widget.visible .monaco-list-row", has_text="widest").first
    row.wait_for()
    window.press("Tab")
    window.sees(r"def area\(widest, h\)", lambda: window.text)
    window.sees("widest\n Tab", lambda: window.drawn)
    # A snippet, whose places Tab goes through.
    window.press("Control+End")
    window.press(SNIPPET)
    window.sees(r"call\(one, two\)", lambda: window.text, lambda: window.press(SNIPPET))
    window.sees("widest\n Tab", lambda: window.drawn)
    window.type("1")
    window.sees("widest\n Tab", lambda: window.drawn)
    window.press("Tab")
    window.type("2")
    window.sees(r"call\(1, 2\)", lambda: window.text)
    window.press("Escape")
    # Lines that are selected, which Tab indents.
    window.sees("widest\n Tab", lambda: window.drawn)
    window.press("Home")
    window.press("Shift+End")
    window.press("Shift+ArrowUp")
    window.press("Tab")
    window.sees(r"    widest = 1", lambda: window.text)
    window.press("Control+z")
    # Ghost text, which is taken before.
    window.press("Control+End")
    window.type("\nghost = ")
    window.suggests("^text$")
    window.sees("widest\n Tab", lambda: window.drawn)
    window.press("Tab")
    window.sees("ghost = text", lambda: window.text)
    # What was drawn before goes, and is drawn again for the new text.
    window.page.wait_for_timeout(2_000)
    window.sees("widest\n Tab", lambda: window.drawn)
    # Then it is the next edit's.
    window.press("Tab")
    window.sees(r"widest\n Tab \(\+1\) ", lambda: window.drawn)
    window.press("Tab")
    window.sees("half = widest / 2", lambda: window.text)
    assert saved(window).endswith("\nghost = text")


def test_several_cursors_keep_tab_and_one_again_is_offered_what_is_left(
    same_vscode: StartVSCode,
) -> None:
    window = opened(same_vscode, AREA)
    rename_parameter(window)
    window.sees("wide\n Tab", lambda: window.drawn)
    # Tab is each cursor's own.
    window.press("Control+Home")
    window.press("Shift+Alt+ArrowDown")
    window.press("Tab")
    window.sees(r"^    def area\(wide, h\):\n        half = w / 2\n", lambda: window.text)
    window.press("Control+z")
    # A change by several cursors is followed, and what it leaves is offered to the next one.
    window.press("End")
    window.type(" #")
    gone(window)
    window.press("Escape")
    window.press("ArrowDown")
    window.sees(r"wide\n Tab", lambda: window.drawn)
    assert window.text.count(" #") == 2


VIM = """
const vscode = require("vscode");
exports.activate = (context) => {
  const mode = (name) => {
    vscode.commands.executeCommand("setContext", "vim.mode", name);
    vscode.window.setStatusBarMessage(`-- ${name} --`);
  };
  vscode.commands.executeCommand("setContext", "vim.active", true);
  mode("Normal");
  const on = (name, run) => vscode.commands.registerCommand(name, run);
  context.subscriptions.push(
    on("extension.vim_escape", () => mode("Normal")),
    on("extension.vim_tab", () => mode("Jumped")),
    on("extension.vim_insert", () => mode("Insert")),
  );
};
"""


def as_vim(path: Path) -> Path:
    """An extension with the keys and the contexts of VSCodeVim."""
    active = "editorTextFocus && vim.active"
    tab = f"{active} && vim.mode != 'Insert'"
    keys = [
        {"key": "tab", "command": "extension.vim_tab", "when": tab},
        {"key": "escape", "command": "extension.vim_escape", "when": active},
        {"key": "f9", "command": "extension.vim_insert", "when": active},
    ]
    return extension(path, "vim", keys, VIM)


def test_vim_keeps_its_keys_and_tab_takes_an_edit_in_insert_mode(
    vscode: StartVSCode, tmp_path: Path
) -> None:
    window = opened(vscode, AREA, beside=as_vim(tmp_path / "vim.vsix"))
    window.sees("-- Normal --", lambda: window.bar)
    rename_parameter(window)
    window.sees("wide\n Tab", lambda: window.drawn)
    for key, mode in (("Tab", "Jumped"), ("Escape", "Normal"), ("F9", "Insert")):
        window.press(key)
        window.sees(f"-- {mode} --", lambda: window.bar)
        assert "wide\n Tab" in window.drawn
    window.press("Tab")
    window.sees(r"wide\n Tab \(\+1\) ", lambda: window.drawn)
    window.press("Escape")
    window.sees("-- Normal --", lambda: window.bar)
    window.press("Control+Alt+j")
    window.sees("half = wide / 2", lambda: window.text)
    window.sees(r"^wide\n Tab to go there $", lambda: window.drawn)
    window.press("Control+Alt+Shift+j")
    gone(window)


def test_an_edit_in_another_file_is_an_offer_of_its_own(same_vscode: StartVSCode) -> None:
    files = {
        "area.py": "def area(wide):\n    return wide\n",
        "billing.py": "from area import area\n\n\ndef bill(high):\n    return area(2)\n",
    }
    window = same_vscode(files, config=script([], index={"vectors": False}))
    window.open("area.py")
    window.ready()
    item = window.page.locator(STATUS_ITEM).first
    window.sees("Index: 2 files, ready", lambda: window.hover, item.hover, every_s=2.0)
    window.focus()
    put_at(window, 0, len("def area(wide"))
    window.type(", high")
    window.sees(r"^ → 1 more in billing\.py: Tab $", lambda: window.drawn)
    window.picture("next-edit-jump")
    window.press("Tab")
    window.page.wait_for_selector('.tab.active[data-resource-name="billing.py"]')
    window.sees(r"^, high\n Tab $", lambda: window.drawn)
    window.picture("next-edit-jumped")
    window.press("Tab")
    gone(window)
    assert saved(window, "billing.py").endswith("return area(2, high)\n")
