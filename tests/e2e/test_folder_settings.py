"""Two workspace folders, each with settings of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.process import PATIENCE_SECONDS, script
from tests.e2e.wiring import StartWire, Wire

TEXT = "def add(a, b):\n    "


def _start(wire: StartWire, *roots: Path) -> Wire:
    folders = [{"uri": root.as_uri(), "name": root.name} for root in roots]
    options = script(index={"enabled": False})
    client = wire()
    client.initialize(options, workspaceFolders=folders)
    return client


def _suggests(client: Wire, path: Path) -> bool:
    """Ask in a document of its own, which is closed again."""
    uri = client.open(TEXT, path.as_uri())
    found = client.ghost(uri, 1, 4)
    client.notify("textDocument/didClose", {"textDocument": {"uri": uri}})
    return bool(found)


def _eventually(holds: Callable[[], Any]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.2)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """`strict` restricts, `free` does not."""
    strict, free = tmp_path / "strict", tmp_path / "free"
    for folder in (strict, free):
        folder.mkdir()
    (strict / ".nearfield.toml").write_text('[files]\nexclude = ["secret*"]\n')
    return strict, free


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["strict first", "free first"])
def test_a_restriction_holds_in_its_folder_alone(
    order: tuple[int, int], folders: tuple[Path, Path], wire: StartWire
) -> None:
    strict, free = folders
    client = _start(wire, *(folders[number] for number in order))
    assert not _suggests(client, strict / "secret.py")
    assert _suggests(client, strict / "open.py")
    assert _suggests(client, free / "secret.py")


def test_the_settings_of_a_folder_are_read_again(
    folders: tuple[Path, Path], wire: StartWire
) -> None:
    strict, free = folders
    client = _start(wire, free, strict)
    (strict / ".nearfield.toml").write_text("[completion]\nenabled = false\n")
    _eventually(lambda: not _suggests(client, strict / "open.py"))
    assert _suggests(client, free / "open.py")
    (strict / ".nearfield.toml").unlink()
    _eventually(lambda: _suggests(client, strict / "secret.py"))
    # One that comes later, in a folder that had none.
    (free / ".nearfield.toml").write_text('[files]\nexclude = ["open.py"]\n')
    _eventually(lambda: not _suggests(client, free / "open.py"))
    assert _suggests(client, strict / "open.py")


def test_a_folder_that_is_added_brings_its_settings(
    folders: tuple[Path, Path], wire: StartWire
) -> None:
    strict, free = folders
    client = _start(wire, free)
    added = [{"uri": strict.as_uri(), "name": "strict"}]
    event = {"event": {"added": added, "removed": []}}
    client.notify("workspace/didChangeWorkspaceFolders", event)
    _eventually(lambda: not _suggests(client, strict / "secret.py"))
    assert _suggests(client, free / "secret.py")
