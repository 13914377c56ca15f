"""The packed extension and its server in a real VS Code: found, installed, started, restarted, and
what is said of it. Pictures are in `editors/vscode/pictures`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import psutil
import pytest
from tests.editors.conftest import StartVSCode, script
from tests.editors.vscode import PATIENCE_SECONDS, until

pytestmark = pytest.mark.editor

EXAMPLE = "def add(a, b):\n    "
INSTALL_SECONDS = 600
"""Some 70 packages are fetched and unpacked."""

PYTHON_EXTENSION = """
const { Uri } = require("vscode");
const path = process.env.ACTIVE_PYTHON;
exports.activate = () => ({
  environments: {
    getActiveEnvironmentPath: () => ({ path }),
    resolveEnvironment: async (asked) => ({ executable: { uri: Uri.file(asked.path) } }),
  },
});
"""
"""As much of Microsoft's extension for Python as says which environment is active."""


def test_the_status_item_tells_every_state(same_vscode: StartVSCode) -> None:
    # It says no more until it is no longer wanted.
    slow = {"match": "slow$", "text": "_one", "hang": True}
    window = same_vscode({"a.py": ""}, config=script([slow]))
    window.open("a.py")
    window.ready()
    window.sees("^Local · scripted$", lambda: window.status)
    until("device-desktop", lambda: window.status_icon)
    window.type("slow")
    until("loading", lambda: window.status_icon)
    window.picture("status-busy")
    window.type("er")
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
    psutil.wait_procs([server], PATIENCE_SECONDS)
    until(True, lambda: [one.pid for one in window.server.servers()] not in ([], [server.pid]))
    window.ready()
    window.type(EXAMPLE)
    window.suggests(r"return a \+ b")


def test_a_bad_setting_is_named(same_vscode: StartVSCode) -> None:
    machine = {"nearfield.completion.debounce_ms": "soon", "nearfield.completion.max_linse": 3}
    window = same_vscode({"a.py": EXAMPLE}, user=machine)
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


def test_the_server_is_found_in_the_active_environment_and_by_the_setting(
    vscode: StartVSCode, home: Path, tmp_path: Path
) -> None:
    (home / "HOME" / ".profile").write_text("")
    manifest = {
        "name": "python",
        "publisher": "ms-python",
        "version": "1.0.0",
        "engines": {"vscode": "^1.80.0"},
        "main": "main.js",
    }
    with zipfile.ZipFile(tmp_path / "python.vsix", "w") as package:
        package.writestr("extension/package.json", json.dumps(manifest))
        package.writestr("extension/main.js", PYTHON_EXTENSION)
    python = {"ACTIVE_PYTHON": sys.executable, "PATH": "/usr/bin:/bin"}
    window = vscode({"a.py": ""}, environ=python, beside=tmp_path / "python.vsix")
    window.ready()
    own = Path(sys.executable).with_name("nearfield")
    window.sees(f"from the active Python environment: {own}", lambda: window.log)
    other = tmp_path / "other"
    other.symlink_to(own)
    window.server.settings({}, {"nearfield.server.path": str(other)})
    window.sees(f"from the setting nearfield.server.path: {other}", lambda: window.log)
    window.ready()


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
    # What pip has fetched before need not be fetched again, where it may be kept at all. Modules
    # are compiled as they are imported: most never are.
    cache = subprocess.run(
        [sys.executable, "-m", "pip", "cache", "dir"], capture_output=True, text=True
    )
    kept = {"PIP_CACHE_DIR": cache.stdout.strip()} if cache.returncode == 0 else {}
    kept["PIP_COMPILE"] = "0"
    proxies = {k: v for k, v in os.environ.items() if k.startswith("PIP_") or "_proxy" in k.lower()}
    window = vscode({"a.py": ""}, environ={**proxies, **kept})
    window.notice("is not installed")
    window.answer("Install")
    window.notice("installing the server")
    window.sees("fetching", lambda: window.notices)
    assert window.status == "Nearfield: installing"
    window.picture("installing")
    for _ in range(INSTALL_SECONDS):
        if window.status.startswith("Local"):
            break
        window.page.wait_for_timeout(1000)
    window.sees("^Local · scripted", lambda: window.status)
    (server,) = window.server.servers()
    assert str(home) in " ".join(server.cmdline())
