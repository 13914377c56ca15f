"""The chat view in a real VS Code: what is streamed, what is asked first, and what becomes of code.
Pictures are in `editors/vscode/pictures`."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import expect
from tests.editors.conftest import LIGHT, StartVSCode, chat_script
from tests.editors.vscode import Window, until

pytestmark = pytest.mark.editor

ADD = "def add(a, b):\n    return a + b\n\n\nprint(add(1, 2))\n"
TYPED = "def add(a: int, b: int) -> int:\n    return a + b"
NARROW = 440
"""Pixels of a window in which the view is as narrow as VS Code lets it be."""
WRITE = {"name": "writeFile", "arguments": {"path": "new.py", "content": "x = 1\n"}}


def test_an_answer_is_streamed_and_stopped(same_vscode: StartVSCode) -> None:
    config = chat_script(
        {"match": "slowly", "text": "It **adds** and", "hang": True},
        {"match": "explain", "text": "It **adds**:\n\n```python\nadd(1, 2)\n```\n"},
    )
    window = same_vscode({"a.py": ADD}, config=config)
    window.open("a.py")
    window.ready()
    window.command("Open the Chat")
    window.chat()
    window.picture("chat-empty")
    answer = window.asks("please explain slowly")
    # What has come is shown while more is to come.
    expect(answer.locator("strong")).to_have_text("adds")
    expect(window.chat().locator(".answer.working")).to_have_count(1)
    window.picture("chat-streaming")
    window.chat().get_by_role("button", name="Stop").click()
    expect(answer.locator(".note")).to_have_text("Stopped.")
    expect(window.chat().locator(".answer.working")).to_have_count(0)
    answer = window.asks("please explain")
    expect(answer.locator(".code pre")).to_have_text("add(1, 2)\n")
    expect(window.chat().locator(".question .reference").last).to_have_text("a.py")
    window.picture("chat")


def test_a_call_is_denied_and_allowed(same_vscode: StartVSCode) -> None:
    config = chat_script(
        {"match": "write", "tool_calls": [WRITE]},
        {"result": "did not apply", "text": "Then I will not."},
        {"result": ".", "text": "I have written it."},
    )
    window = same_vscode({"a.py": ADD}, config=config)
    window.open("a.py")
    window.ready()
    window.command("Open the Chat")
    _ask_to_write(window, "Deny", "denied")
    assert not (window.folder / "new.py").exists()
    window.picture("chat-denied")
    _ask_to_write(window, "Allow", "done")
    until("x = 1\n", lambda: _read(window.folder / "new.py"))
    window.picture("chat-allowed")


def _read(file: Path) -> str:
    return file.read_text() if file.exists() else ""


def _ask_to_write(window: Window, button: str, state: str) -> None:
    answer = window.asks("please write")
    answer.locator(".permission").wait_for()
    window.picture("chat-asks")
    expect(answer.locator(".call pre").first).to_contain_text("x = 1")
    answer.get_by_role("button", name=button, exact=True).click()
    expect(answer.locator(f'.call[data-state="{state}"]')).to_have_count(1)
    expect(window.chat().locator(".answer.working")).to_have_count(0)


def test_code_of_an_answer_is_inserted_compared_and_applied(same_vscode: StartVSCode) -> None:
    config = chat_script(
        {"match": "better", "text": f"With types:\n\n```python\n{TYPED}\n```\n"},
        {"match": "another", "text": "Once more:\n\n```python\nprint(add(3, 4))\n```\n"},
    )
    window = same_vscode({"a.py": ADD}, config=config, user=LIGHT)
    window.open("a.py")
    window.ready()
    # Without a selection the whole file is meant, and the cursor is where code goes.
    window.command("Open the Chat")
    answer = window.asks("show another")
    answer.get_by_role("button", name="Insert").click()
    window.sees(r"print\(add\(3, 4\)\)", lambda: window.text)
    window.save()
    inserted = f"{ADD}print(add(3, 4))"
    assert (window.folder / "a.py").read_text() == inserted

    # With one, it is what the code is for.
    window.press("Control+Home")
    for key in ("Shift+ArrowDown", "Shift+End"):
        window.press(key)
    window.command("Open the Chat")
    chat = window.chat()
    expect(chat.locator("#reference")).to_have_text("a.py:1-2")
    answer = window.asks("make it better")
    expect(chat.locator(".question .reference").last).to_have_text("a.py:1-2")
    answer.get_by_role("button", name="Diff").click()
    diff = window.page.locator(".monaco-diff-editor").first
    diff.wait_for()
    window.sees("a: int", lambda: window.text)
    accept = window.page.locator('.editor-actions [aria-label*="Accept the Change"]').first
    assert not accept.is_visible()
    window.picture("chat-diff")
    answer.get_by_role("button", name="Apply").click()
    accept.wait_for()
    window.picture("chat-apply")
    assert (window.folder / "a.py").read_text() == inserted
    accept.click()
    diff.wait_for(state="detached")
    window.save()
    changed = inserted.replace(ADD[: ADD.index("\n\n\n")], TYPED)
    assert (window.folder / "a.py").read_text() == changed

    chat.locator(".question .reference").last.click()
    window.sees("a: int", lambda: window.text)


def test_a_chat_is_there_again_after_a_reload(vscode: StartVSCode) -> None:
    config = chat_script(
        {"match": "first question", "text": "The **first** answer."}, {"text": "A later one."}
    )
    window = vscode({"a.py": ADD}, config=config)
    window.ready()
    window.command("Open the Chat")
    window.asks("the first question")
    first = _session(window, "")
    window.load()
    window.ready()
    window.command("Open the Chat")
    expect(window.chat().locator(".answer strong")).to_have_text("first")
    expect(window.chat().locator(".question")).to_have_text("the first question")
    window.asks("and then?")
    expect(window.chat().locator(".question")).to_have_count(2)
    window.picture("chat-restored")

    window.command("New Chat")
    expect(window.chat().locator(".question")).to_have_count(0)
    window.asks("hello")
    assert _session(window, first) != first
    window.load()
    window.ready()
    window.command("Open the Chat")
    expect(window.chat().locator(".question")).to_have_text("hello")


def _session(window: Window, before: str) -> str:
    """The chat that VS Code has written down, once it is another one than `before`."""

    def found() -> str:
        match = re.search(r"nearfield\.lastChat\W+(\w+)", window.remembered())
        return match[1] if match else ""

    until(True, lambda: found() not in ("", before))
    return found()


def test_a_commit_message_is_put_into_the_box_of_source_control(same_vscode: StartVSCode) -> None:
    config = chat_script({"text": "Return the sum of two numbers"})
    window = same_vscode({"a.py": ADD}, config=config)
    for command in (["init", "-q"], ["add", "a.py"]):
        subprocess.run(["git", *command], cwd=window.folder, check=True)
    window.ready()
    window.command("Git: Refresh")
    window.command("Source Control: Focus on Changes View")
    box = window.page.locator(".scm-editor .view-lines").first
    box.wait_for()
    window.command("Suggest a Commit Message")
    window.sees("Return the sum of two numbers", lambda: box.inner_text().replace("\xa0", " "))
    window.picture("commit-message")


def test_a_narrow_window_stays_usable(same_vscode: StartVSCode) -> None:
    config = chat_script({"text": "Yes:\n\n```python\n" + "x = 1  # " + "long " * 40 + "\n```\n"})
    window = same_vscode({"a.py": ADD}, config=config, user=LIGHT)
    window.resize(NARROW)
    window.ready()
    window.command("Open the Chat")
    answer = window.asks("is it narrow?")
    expect(answer.locator(".code")).to_be_visible()
    chat = window.chat()
    window.until(lambda: chat.evaluate("window.innerWidth < 200"), lambda: None)
    window.picture("narrow")
    assert chat.evaluate("document.body.scrollWidth <= window.innerWidth")
    assert chat.evaluate("document.querySelector('#log').scrollWidth <= window.innerWidth")
