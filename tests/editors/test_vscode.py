"""The packed extension in a real VS Code, with a real server: what a user who writes code does and
sees. Pictures of what was seen are in `editors/vscode/pictures`, for people to look at.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from tests.e2e.process import HELLO
from tests.editors.conftest import EXTENSION, LIGHT, StartVSCode, chat_script, script

pytestmark = pytest.mark.editor

EXAMPLE = "def add(a, b):\n    "
ADD = "def add(a, b):\n    return a + b\n\n\nprint(add(1, 2))\n"

# --- ghost text -----------------------------------------------------------------------------------


@pytest.mark.model
@pytest.mark.usefixtures("default_model")
def test_a_real_model_suggests_and_tab_takes_it(
    same_vscode: StartVSCode, default_model: Path
) -> None:
    config = {"models": {"complete": str(default_model)}, "completion": {"deadline_ms": 60_000}}
    window = same_vscode({"a.py": ""}, config=config)
    window.open("a.py")
    window.ready()
    assert "Local" in window.status
    assert "qwen2.5" in window.status
    window.type("def add(a, b):\n    return ")
    ghost = window.suggests(r"a *\+ *b")
    window.picture("ghost-text")
    window.press("Tab")
    window.sees("^$", lambda: window.ghost)
    window.save()
    assert ghost.strip() in (window.folder / "a.py").read_text()


def test_a_word_of_a_suggestion_is_taken_and_told(vscode: StartVSCode, tmp_path: Path) -> None:
    own = Path(sys.executable).with_name("nearfield")
    heard, program = tmp_path / "heard", tmp_path / "overheard"
    program.write_text(
        f'#!/bin/sh\n[ "$1" = serve ] || exec {own} "$@"\ntee {heard} | {own} "$@"\n'
    )
    program.chmod(0o755)
    config = script([*HELLO, {"match": "return$", "text": " a + b\n"}])
    path = {"nearfield.server.path": str(program)}
    window = vscode({"a.py": ""}, config=config, machine=path)
    window.open("a.py")
    window.ready()
    window.type(EXAMPLE)
    window.suggests(r"return a \+ b")
    window.press("Control+ArrowRight")
    window.suggests(r"^ ?a \+ b")
    for told in ("didShowCompletion", "didPartiallyAcceptCompletion"):
        window.sees(told, heard.read_text)
    window.press("Escape")
    window.sees("^$", lambda: window.ghost)
    window.press("Alt+\\")
    window.suggests(r"^ ?a \+ b")
    window.press("Tab")
    window.sees("^$", lambda: window.ghost)
    window.sees("workspace/executeCommand.*nearfield.accept", heard.read_text)
    window.save()
    assert (window.folder / "a.py").read_text().rstrip() == f"{EXAMPLE}return a + b"


def test_a_fast_typist_gets_what_was_typed_and_taken(same_vscode: StartVSCode) -> None:
    end = ", base)"  # long enough to be suggested before a key asks for it
    lines = [f"value_{number} = compute({number}{end}" for number in range(15)]
    window = same_vscode({"a.py": ""}, config=script([{"match": r"compute\(\d+$", "text": end}]))
    window.open("a.py")
    window.ready()
    expected = ""
    for number, line in enumerate(lines):
        window.type(line.removesuffix(end), a_second=15)
        if number % 3 == 2:
            window.suggests(f"^{re.escape(end)}$")
            window.press("Tab")
        else:
            window.type(end, a_second=15)
        window.type("\n", a_second=15)
        expected += f"{line}\n"
    assert len(expected) >= 300
    window.press("Escape")
    window.save()
    assert (window.folder / "a.py").read_text() == expected


def test_other_suggestions_are_shown_by_a_key_and_one_is_taken(same_vscode: StartVSCode) -> None:
    texts = ("a + b", "sum([a, b])", "max(a, b)")
    answers = [{"match": "return $", "text": f"{text}\n"} for text in texts]
    window = same_vscode({"a.py": ""}, config=script(answers))
    window.open("a.py")
    window.ready()
    window.type(f"{EXAMPLE}return ")
    window.suggests(r"^a \+ b$")
    for key, text in (("]", texts[1]), ("]", texts[2]), ("]", texts[0]), ("[", texts[2])):
        window.press(f"Alt+{key}")
        # They are looked for when the key asks first; it is pressed until they are there.
        window.sees(f"^{re.escape(text)}$", lambda: window.ghost, lambda: window.press("Alt+]"))
    window.picture("alternatives")
    window.press("Tab")
    window.sees("^$", lambda: window.ghost)
    window.save()
    assert (window.folder / "a.py").read_text() == f"{EXAMPLE}return max(a, b)"


# --- hovers, fixes, rewriting ---------------------------------------------------------------------


def test_a_hover_explains(same_vscode: StartVSCode) -> None:
    window = same_vscode({"a.py": ADD}, config=chat_script({"text": "It adds two numbers."}))
    window.open("a.py")
    window.ready()
    window.hovers("add", r"def add\(a, b\)")
    # The explanation is prepared meanwhile; a later hover has it.
    window.hovers("add", "It adds two numbers")
    window.picture("hover")


def test_a_quick_fix_is_applied(same_vscode: StartVSCode) -> None:
    broken = "export function total(a: number, b: number): number {\n  return a + c;\n}\n"
    fixed = broken.replace("a + c", "a + b")
    window = same_vscode(
        {"a.ts": broken}, config=chat_script({"text": f"```typescript\n{fixed}```\n"})
    )
    window.open("a.ts")
    window.ready()
    window.page.locator(".squiggly-error").first.wait_for()
    for key in ("ArrowUp", "ArrowUp", "End", "ArrowLeft"):
        window.press(key)
    fix = window.page.locator(".action-widget .monaco-list-row", has_text="Fix: Cannot find").first
    window.until(fix.is_visible, lambda: (window.press("Escape"), window.press("Control+.")))
    window.picture("quick-fix")
    fix.click()
    window.sees(r"return a \+ b", lambda: window.text)
    window.save()
    assert (window.folder / "a.ts").read_text() == fixed


def test_a_rewrite_is_previewed_then_made_or_not(same_vscode: StartVSCode) -> None:
    better = "def add(a: int, b: int) -> int:\n    return a + b\n"
    config = chat_script({"text": f"```python\n{better}```\n"})
    window = same_vscode({"a.py": ADD}, config=config, user=LIGHT)
    window.open("a.py")
    window.ready()
    for decision in ("Discard", "Accept"):
        window.put("def")
        box = window.ask("Control+Alt+r")
        box.fill("add types")
        if decision == "Discard":
            window.picture("rewrite-ask")
        box.press("Enter")
        window.page.locator(".diff-editor, .monaco-diff-editor").first.wait_for()
        window.sees("a: int", lambda: window.text)
        if decision == "Accept":
            window.picture("rewrite-preview")
        assert (window.folder / "a.py").read_text() == ADD
        window.page.locator(f'.editor-actions [aria-label*="{decision} the Change"]').first.click()
        window.page.locator(".monaco-diff-editor").first.wait_for(state="detached")
    window.save()
    assert (window.folder / "a.py").read_text() == ADD.replace(
        ADD[: ADD.index("\n\n\n") + 1], better
    )


# --- the first start ------------------------------------------------------------------------------


def test_the_walkthrough_leads_through_the_first_start(same_vscode: StartVSCode) -> None:
    manifest = json.loads((EXTENSION / "package.json").read_text())["contributes"]
    (tour,) = manifest["walkthroughs"]
    window = same_vscode({"a.py": ""}, user=LIGHT)
    window.resize(1600)
    window.ready()
    window.quick("F1", "Welcome: Open Walkthrough")
    window.choose(tour["title"])
    page = window.page.locator(".gettingStartedContainer")
    # The server runs, so what would install it is not there.
    first, *others = tour["steps"]
    for step in others:
        page.locator(".step-title", has_text=step["title"]).first.wait_for()
    assert page.locator(".step-title", has_text=first["title"]).count() == 0
    page.locator(".step-title", has_text="Choose a model").first.click()
    window.picture("walkthrough")
    row = window.page.locator(".quick-input-list .monaco-list-row", has_text="Completions").first
    button = page.locator(".monaco-button", has_text="Choose a Model").first
    window.until(row.is_visible, button.click)
    assert "what is suggested as you type" in row.inner_text()


def test_all_that_the_walkthrough_and_the_keys_name_is_there() -> None:
    manifest = json.loads((EXTENSION / "package.json").read_text())["contributes"]
    commands = {one["command"] for one in manifest["commands"]}
    named = {one["command"] for one in manifest["keybindings"]}
    for step in manifest["walkthroughs"][0]["steps"]:
        assert (EXTENSION / step["media"]["markdown"]).is_file()
        named |= set(re.findall(r"\(command:([\w.]+)\)", step["description"]))
        for event in step["completionEvents"]:
            kind, _, name = event.partition(":")
            assert kind in ("onCommand", "onContext")
            named |= {name} if kind == "onCommand" else set()
    assert {name for name in named if name.startswith("nearfield.")} <= commands
