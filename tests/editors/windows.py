"""Windows of VS Code for tests: one that is started for a test, and one for several tests.

The second is, for each of them, as one that has just been opened: nothing is open in it, the folder
has the test's files, and the server is a new one in the test's own home. Tests of what only a start
changes begin their own: what the extension sees of its environment, other extensions, trust, how
the server is found, what a window remembers.
"""

from __future__ import annotations

import itertools
import shlex
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import tomli_w
from playwright.sync_api import Error
from tests.e2e.prepared import forked
from tests.e2e.process import environment
from tests.editors.vscode import QUIET, Window

SNIPPET, CLEAR, RESTART = (f"Control+Alt+Shift+F{number}" for number in (10, 11, 12))
CALL = "call(${1:one}, ${2:two})"
COMMANDS = {
    SNIPPET: [{"command": "editor.action.insertSnippet", "args": {"snippet": CALL}}],
    CLEAR: ["nearfield.clearChat", "notifications.clearAll", "workbench.action.closeAllEditors"],
    RESTART: ["nearfield.restart"],
}
"""What keys do in the window that tests share."""
TAB = ".editor-group-container .tab"


def login(home: Path, programs: Path) -> None:
    """Make a user's home in which `programs` are on the PATH as they are for users."""
    own = home / "HOME"
    own.mkdir(parents=True)
    (own / ".profile").write_text(f'export PATH="{programs}:$PATH"\n')


def configure(environ: Mapping[str, str], config: Mapping[str, Any]) -> None:
    """Write the user's `config.toml`."""
    settings = Path(environ["NEARFIELD_CONFIG_DIR"])
    settings.mkdir(parents=True, exist_ok=True)
    (settings / "config.toml").write_text(tomli_w.dumps(config))


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Write the files of a folder."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")


def leave(window: Window, failed: str = "") -> None:
    """Close a window and end its server. What a test named `failed` saw is shown."""
    with suppress(Error):
        if failed:
            window.picture(f"failed-{failed}")
            print(window.report())
        window.page.close()
    window.server.stop()


class Reused:
    """A window for several tests. `start` opens one on a folder, in a home of the editor's own."""

    def __init__(self, folder: Path, start: Callable[..., Window]) -> None:
        self._start = start
        self._homes = (folder / f"home-{number}" for number in itertools.count())
        self.folder = folder / "project"
        self._around = folder / "around"
        self._window: Window | None = None
        self._beside: Path | None = None

    def open(
        self,
        home: Path,
        files: Mapping[str, str],
        *,
        config: Mapping[str, Any],
        user: Mapping[str, Any] | None = None,
        environ: Mapping[str, str] | None = None,
        beside: Path | None = None,
    ) -> Window:
        """Return it with `files` and nothing else in its folder, and a new server in `home`."""
        around = {**environment(home), **(environ or {})}
        configure(around, config)
        if beside != self._beside:
            self.leave()
        if self._window is not None:
            _clear(self._window)
        self._around.write_text(
            "".join(
                f"export {name}={shlex.quote(value)}\n"
                for name, value in around.items()
                if name != "PATH"  # it is the extension's
            )
        )
        for old in self.folder.iterdir() if self.folder.exists() else ():
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        write(self.folder, files)
        if self._window is None:
            home = self._install(next(self._homes))
            self._window = self._start(
                home, self.folder, keys=COMMANDS, user={}, machine=user, beside=beside
            )
            self._beside = beside
        else:
            _set(self._window, user or {})
            _restart(self._window)
        return self._window

    def leave(self, failed: str = "") -> None:
        """End it, if it was opened; the next test then has a new one."""
        window, self._window = self._window, None
        if window is not None:
            leave(window, failed)

    def _install(self, home: Path) -> Path:
        """Make the editor's home, with a `nearfield` that is forked in the home of the test."""
        programs = home / "bin"
        login(home, programs)
        programs.mkdir()
        program = programs / "nearfield"
        program.write_text(
            f'#!/bin/sh\n. {shlex.quote(str(self._around))}\nexec {shlex.join(forked())} "$@"\n'
        )
        program.chmod(0o755)
        return home


def _clear(window: Window) -> None:
    """Close all that is open, unsaved texts too."""
    unsaved = window.page.locator(".monaco-dialog-box .monaco-button", has_text="Don't Save").first
    tabs = window.page.locator(TAB)

    def there() -> bool:
        if asked := unsaved.is_visible():
            unsaved.click()
        return not asked and not tabs.count()

    window.resize()
    window.page.mouse.move(5, 5)
    window.press("Escape")
    window.press(CLEAR)
    window.until(there, lambda: window.press(CLEAR))


def _set(window: Window, user: Mapping[str, Any]) -> None:
    """Give it other settings, and wait until it has their colours. Of the two files that there are
    for them, a window watches the machine's."""
    window.server.settings({}, user)
    dark = "Dark" in str({**QUIET, **user}["workbench.colorTheme"])
    painted = window.page.locator(".monaco-workbench.vs-dark")
    window.sees(f"^{int(dark)}$", lambda: str(painted.count()))


def _restart(window: Window) -> None:
    """Have the server started anew."""
    before = {server.pid for server in window.server.servers()}

    def there() -> bool:
        now = {server.pid for server in window.server.servers()}
        return bool(now) and not now & before

    window.until(there, lambda: (window.press("Escape"), window.press(RESTART)))
