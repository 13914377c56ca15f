"""VS Code in a browser: code-server with the packed extension, and Chromium to look at it.

`CodeServer` is the program, a `Window` a page of it with a folder open.
"""

from __future__ import annotations

import functools
import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import pytest
from playwright.sync_api import Error, Frame, Locator, Page
from tests.processes import running

PATIENCE_SECONDS = 120.0
"""Longer than for a process alone: a browser, an editor and a model share the machine."""

AGAIN_SECONDS = 15.0
"""What was asked for and has not come by then is asked for again, as people do: while it loads, an
editor swallows keys and closes its menus. Sooner, it might only be late, and come twice."""

QUICK_AGAIN_SECONDS = 5.0
"""The same for what changes nothing when it is done twice."""

QUIET = {
    "workbench.startupEditor": "none",
    "workbench.tips.enabled": False,
    "workbench.reduceMotion": "on",
    "workbench.enableExperiments": False,
    "workbench.secondarySideBar.defaultVisibility": "hidden",
    "workbench.colorTheme": "Default Dark Modern",
    "workbench.welcomePage.walkthroughs.openOnInstall": False,
    "security.workspace.trust.enabled": True,
    "security.workspace.trust.startupPrompt": "never",
    "security.workspace.trust.banner": "never",
    "security.workspace.trust.emptyWindow": True,
    "telemetry.telemetryLevel": "off",
    "update.mode": "none",
    "extensions.autoCheckUpdates": False,
    "extensions.ignoreRecommendations": True,
    "editor.minimap.enabled": False,
    "editor.fontFamily": "DejaVu Sans Mono",
    # What is typed shall be what is in the file.
    "editor.autoClosingBrackets": "never",
    "editor.autoClosingQuotes": "never",
    "editor.autoIndent": "none",
    "editor.quickSuggestions": {"other": "off", "comments": "off", "strings": "off"},
    "editor.suggestOnTriggerCharacters": False,
    "editor.acceptSuggestionOnEnter": "off",
    "editor.wordBasedSuggestions": "off",
    "files.autoSave": "off",
    "files.hotExit": "off",
    "files.restoreUndoRedoStack": False,
    "window.newWindowDimensions": "default",
    "chat.disableAIFeatures": True,
}
"""Settings that keep everything still that is not ours."""


NOTIFICATION = ".notification-list-item"
"""Whether it pops up or is in the list that the bell opens."""

EDITOR = ":is(.editor-instance, .notebookOverlay)"
"""Where texts are: a notebook's cells are drawn over the place of its editor."""

DRAWN = f"""
() => [...document.querySelectorAll('{EDITOR} .view-line span span')]
  .map((span) => getComputedStyle(span, '::after').content)
  .filter((content) => content.startsWith('"'))
  .map((content) => JSON.parse(content))
"""
STRUCK = f"""
() => [...document.querySelectorAll('{EDITOR} .view-line span span')]
  .filter((span) => getComputedStyle(span).textDecorationLine === 'line-through')
  .map((span) => span.textContent)
"""

WIDTH, HEIGHT = 1200, 720

STATUS_ITEM = '.statusbar-item[id^="nearfield."]'


REMEMBERED = """async () => {
    const wait = (asked) => new Promise((done) => { asked.onsuccess = () => done(asked.result); });
    const found = [];
    for (const { name } of await indexedDB.databases()) {
        const database = await wait(indexedDB.open(name));
        for (const store of database.objectStoreNames) {
            found.push(await wait(database.transaction(store).objectStore(store).getAll()));
        }
        database.close();
    }
    return JSON.stringify(found);
}"""


class CodeServer:
    """One code-server. Settings are written where VS Code reads them, also while it runs."""

    def __init__(
        self,
        program: Sequence[str],
        home: Path,
        extensions: Path,
        environ: Mapping[str, str],
        *,
        trusting: bool = True,
    ) -> None:
        self._program = program
        self._trusting = trusting
        self.home = home
        self._environ = dict(environ)
        self._data = home / "data"
        self._folders = [
            *("--user-data-dir", str(self._data)),
            *("--extensions-dir", str(extensions)),
        ]
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    def install(self, *packages: Path) -> None:
        """Install extensions from their `.vsix`."""
        asked = [word for package in packages for word in ("--install-extension", str(package))]
        command = [*self._program, *self._folders, *asked]
        done = subprocess.run(command, env=self._environ, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    def settings(self, user: Mapping[str, Any], machine: Mapping[str, Any] | None = None) -> None:
        """What the user has set; `machine` is the file for settings of scope `machine`."""
        for name, values in (("User", {**QUIET, **user}), ("Machine", machine or {})):
            file = self._data / name / "settings.json"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(values, indent=2), "utf-8")

    def keys(self, commands: Mapping[str, Sequence[Any]]) -> None:
        """Have keys run commands, one after the other: names, or names with arguments."""
        bindings = [
            {
                "key": key.replace("Control", "ctrl").lower(),
                "command": "runCommands",
                "args": {"commands": list(names)},
            }
            for key, names in commands.items()
        ]
        file = self._data / "User" / "keybindings.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(bindings), "utf-8")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        flags = ["--auth", "none", "--disable-telemetry", "--disable-update-check"]
        if self._trusting:
            flags.append("--disable-workspace-trust")
        address = ["--bind-addr", f"127.0.0.1:{self._port}"]
        with (self.home / "code-server.log").open("wb") as log:
            self._process = subprocess.Popen(
                [*self._program, *address, *flags, *self._folders],
                env=self._environ,
                cwd=self.home,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until(True, self._answers)

    def stop(self) -> None:
        """End it with all that it has started: extension hosts and servers outlive a page."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def servers(self) -> list[psutil.Process]:
        """The language servers that run in it."""
        assert self._process is not None
        return running("serve", "--stdio", of=self._process.pid)

    def address(self, folder: Path) -> str:
        """Where a folder is open."""
        return f"http://127.0.0.1:{self._port}/?folder={quote(str(folder))}"

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/healthz", timeout=60):
                return True
        except (urllib.error.URLError, OSError):
            return False


class Window:
    """A page with a folder open. What a user would do, and what a user would see."""

    def __init__(self, page: Page, server: CodeServer, folder: Path, pictures: Path) -> None:
        self.page = page
        self.server = server
        self.folder = folder
        self._pictures = pictures
        page.set_default_timeout(PATIENCE_SECONDS * 1000)

    def load(self) -> None:
        """Open the folder, and wait until VS Code is there."""
        self.page.goto(self.server.address(self.folder))
        self.page.wait_for_selector(".monaco-workbench .statusbar-item")

    def resize(self, width: int = WIDTH) -> None:
        """Give it another width, in pixels."""
        self.page.set_viewport_size({"width": width, "height": HEIGHT})

    # --- doing ------------------------------------------------------------------------------

    def open(self, name: str) -> None:
        """Open a file of the folder, and put the cursor at its end."""
        self.quick("Control+P", name)
        self.page.wait_for_selector(f'.tab.active[data-resource-name="{name}"]')
        self.focus()
        self.press("Control+End")

    def quick(self, key: str, text: str) -> None:
        """Open the quick input, choose the first entry for `text`."""
        row = self.page.locator(".quick-input-list .monaco-list-row.focused")
        row = row.filter(has_text=re.compile(re.escape(text), re.I)).first
        # What is opened anew forgets what was in it; commands stand behind a mark.
        typed = f">{text}" if key == "F1" else text
        box = self.ask(key)
        box.fill(typed)

        def anew() -> None:
            # It lists what there was when it was opened: files and commands that came are missing.
            self.press("Escape")
            self.ask(key).fill(typed)

        self.sees("^True$", lambda: str(row.is_visible()), anew, QUICK_AGAIN_SECONDS)
        box.press("Enter")
        row.wait_for(state="hidden")

    def ask(self, key: str) -> Locator:
        """Press a key that opens an input, until it does; the input."""
        box = self.page.locator(".quick-input-widget input[type=text]").first
        self.until(box.is_visible, lambda: self.press(key))
        return box

    def command(self, title: str) -> None:
        """Run a command by its title, through the palette."""
        self.quick("F1", f"Nearfield: {title}" if ":" not in title else title)

    def choose(self, text: str) -> None:
        """Choose an entry of the list that is open."""
        self.page.locator(".quick-input-list .monaco-list-row", has_text=text).first.click()

    def menu(self) -> None:
        """Click on our status item."""
        title = self.page.locator(".quick-input-title", has_text=re.compile("^Nearfield$")).first
        self.until(title.is_visible, self.page.locator(STATUS_ITEM).first.click)

    def row(self, text: str) -> str:
        """The whole text of an entry of the list that is open, once it is there."""
        row = self.page.locator(".quick-input-list .monaco-list-row", has_text=text).first
        return row.inner_text()

    def focus(self) -> None:
        """Let the editor have the keys."""
        self.page.locator(f"{EDITOR} .view-lines").first.click()

    def point(self, word: str) -> None:
        """Move the pointer onto a word of the editor, its first occurrence as a token."""
        self.page.mouse.move(5, 5)
        self._token(word).hover()

    def hovers(self, word: str, pattern: str) -> str:
        """Point at a word, again and again, until the hover matches; answers it."""
        self.point(word)
        return self.sees(pattern, lambda: self.hover, lambda: self.point(word))

    def asks(self, question: str) -> Locator:
        """Ask in the chat view, which is open; the answer, which may be under way."""
        chat = self.chat()
        answers = chat.locator(".answer")
        before = answers.count()

        def ask() -> None:
            # The box is there before the script that listens to it.
            chat.fill("#box", question)
            chat.press("#box", "Enter")

        self.until(lambda: answers.count() > before, ask)
        return answers.nth(before)

    def trust(self) -> None:
        """Trust the folder that is open, by what VS Code has for it."""
        self.quick("F1", "Workspaces: Manage Workspace Trust")
        button = self.page.locator(".workspace-trust-editor .monaco-button", has_text="Trust").first
        button.click()
        button.wait_for(state="hidden")

    def put(self, word: str) -> None:
        """Put the cursor onto a word."""
        self._token(word).click()

    def _token(self, word: str) -> Locator:
        tokens = self.page.locator(f"{EDITOR} .view-line span span")
        exact = re.compile(rf"^\s*{re.escape(word)}\s*$")
        return tokens.filter(has_text=exact).first

    def press(self, key: str) -> None:
        """Press one key."""
        self.page.keyboard.press(key)

    def type(self, text: str, *, a_second: float = 25) -> None:
        """Press the keys of a text one by one, in the editor."""
        focused = self.page.locator(f"{EDITOR} .monaco-editor.focused").first
        self.until(focused.is_visible, lambda: self.press("Control+1"))
        for character in text:
            self.press({"\n": "Enter", " ": "Space"}.get(character, character))
            self.page.wait_for_timeout(1000 / a_second)

    def save(self) -> None:
        """Save the file, and wait until it is."""
        dirty = self.page.locator(".tab.active.dirty")
        self.press("Control+S")
        self.sees("^0$", lambda: str(dirty.count()), lambda: self.press("Control+S"))

    def picture(self, name: str) -> Path:
        """Take a picture, for people."""
        self._pictures.mkdir(parents=True, exist_ok=True)
        path = self._pictures / f"{name}.png"
        self.page.screenshot(path=path, animations="disabled")
        return path

    # --- seeing -----------------------------------------------------------------------------

    @property
    def status(self) -> str:
        """The text of our status item, "" while there is none."""
        item = self.page.locator(STATUS_ITEM)
        return item.first.inner_text().strip() if item.count() else ""

    @property
    def bar(self) -> str:
        """All that the status bar says."""
        return self.page.locator(".statusbar").inner_text()

    @property
    def log(self) -> str:
        """What the extension has logged."""
        files = sorted(self.server.home.glob("data/logs/**/*Nearfield*.log"))
        return "".join(file.read_text("utf-8") for file in files)

    @property
    def status_icon(self) -> str:
        """The name of the status item's icon, "" for none."""
        icon = self.page.locator(f"{STATUS_ITEM} .codicon").first
        found = re.search(r"codicon-([\w-]+)", icon.get_attribute("class") or "")
        return found[1] if found else ""

    @property
    def text(self) -> str:
        """What the editors show of their texts, in no order of lines that could be relied on."""
        lines = self.page.locator(f"{EDITOR} .view-line").all_inner_texts()
        return "\n".join(lines).replace("\xa0", " ")

    @property
    def ghost(self) -> str:
        """The ghost text that is shown."""
        parts = self.page.locator(f"{EDITOR} [class*=ghost-text-decoration]")
        texts = parts.all_inner_texts()
        return "".join(texts).replace("\xa0", " ")

    @property
    def drawn(self) -> str:
        """All that extensions have drawn behind the text, in no order of lines."""
        return "\n".join(self.page.evaluate(DRAWN)).replace("\xa0", " ")

    @property
    def struck(self) -> str:
        """The text that extensions have struck through."""
        return "".join(self.page.evaluate(STRUCK)).replace("\xa0", " ")

    @property
    def notices(self) -> str:
        """All that the notifications say."""
        return "\n".join(self.page.locator(NOTIFICATION).all_inner_texts())

    @property
    def hover(self) -> str:
        """The text of the hover that is shown."""
        return "\n".join(self.page.locator(".monaco-hover:not(.hidden)").all_inner_texts())

    def answer(self, button: str) -> None:
        """Press a button of a notification."""
        self._notified(self.page.locator(f"{NOTIFICATION} .monaco-button", has_text=button)).click()

    def sees(
        self,
        pattern: str,
        look: Callable[[], str],
        again: Callable[[], Any] | None = None,
        every_s: float = AGAIN_SECONDS,
    ) -> str:
        """Wait until what `look` sees matches; answers it. `again` is done now and then."""
        end = time.monotonic() + PATIENCE_SECONDS
        next_s = time.monotonic() + every_s
        while not re.search(pattern, seen := _seen(look)):
            if time.monotonic() > end:
                pytest.fail(f"expected /{pattern}/, saw {seen!r}")
            if again is not None and time.monotonic() > next_s:
                again()
                next_s = time.monotonic() + every_s
            self.page.wait_for_timeout(150)
        return seen

    def until(self, there: Callable[[], bool], do: Callable[[], Any]) -> None:
        """Do something, and again, until what it is for is there; nothing where it is already."""
        if not there():
            do()
        self.sees("^True$", lambda: str(there()), do)

    def suggests(self, pattern: str) -> str:
        """Wait for ghost text, and ask for it by the key where it does not come; answers it."""
        # Asking again begins anew, so a model is given its time.
        again = functools.partial(self.press, "Alt+\\")
        return self.sees(pattern, lambda: self.ghost, again, every_s=2 * AGAIN_SECONDS)

    def ready(self) -> None:
        """Wait until the server can suggest."""
        self.sees(r"^(Local|Cloud).* · (?!loading|no model|paused|off$)", lambda: self.status)

    def chat(self) -> Frame:
        """The chat view's own page."""
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            for frame in self.page.frames:
                with suppress(Error):
                    if frame.query_selector("#form #box"):
                        return frame
            self.page.wait_for_timeout(100)
        pytest.fail("The chat view does not open")

    def remembered(self) -> str:
        """What VS Code has written down of the window: an extension's memory gets there later."""
        return str(self.page.evaluate(REMEMBERED))

    def notice(self, text: str) -> Locator:
        """The notification with this text, once it is there."""
        return self._notified(self.page.locator(NOTIFICATION, has_text=text))

    def _notified(self, wanted: Locator) -> Locator:
        """The first of these parts of notifications, once it is there. VS Code hides those that
        nobody has answered after some ten seconds; a dot on the bell says so, and a click brings
        them back."""
        hidden = self.page.locator(".statusbar-item .codicon-bell-dot").first
        self.sees("^True$", lambda: str(wanted.first.is_visible()), lambda: _click(hidden), 5.0)
        return wanted.first

    def report(self) -> str:
        """What there is to see, and what the extension has logged: for whoever reads a failure."""
        seen = {
            "status": _seen(lambda: self.status),
            "text": _seen(lambda: self.text),
            "ghost": _seen(lambda: self.ghost),
            "notices": _seen(lambda: self.notices),
            "hover": _seen(lambda: self.hover),
        }
        return "\n".join(
            [f"{name}: {value!r}" for name, value in seen.items()] + self.log.splitlines()[-40:]
        )


def _seen(look: Callable[[], str]) -> str:
    try:
        return look()
    except Error:
        return ""  # What was looked at went away meanwhile.


def _click(locator: Locator) -> None:
    """Click on it, where it is there."""
    if locator.is_visible():
        locator.click()


def until(expected: Any, look: Callable[[], Any]) -> None:
    """Wait until `look` sees what is expected."""
    end = time.monotonic() + PATIENCE_SECONDS
    while (seen := look()) != expected:
        if time.monotonic() > end:
            pytest.fail(f"expected {expected!r}, saw {seen!r}")
        time.sleep(0.1)
