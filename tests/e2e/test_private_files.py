"""Whatever a run leaves in the user's folders is the user's alone, under every umask, also where an
earlier version has left it open."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest
from tests.e2e.prepared import forked
from tests.e2e.process import environment, script
from tests.e2e.wiring import Wire

pytestmark = pytest.mark.skipif(os.name == "nt", reason="modes of POSIX")

CODE = "def total(prices):\n    return sum(prices)\n\n\ndef twice(prices):\n    return 2 * "


def open_to_others(home: Path) -> dict[str, str]:
    """What of Nearfield's is not for its owner alone, with the mode."""
    return {
        str(path.relative_to(home)): oct(stat.S_IMODE(path.stat().st_mode))
        for path in home.rglob("*")
        if path.relative_to(home).as_posix().find("nearfield") >= 0 and path.stat().st_mode & 0o077
    }


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077], ids=oct)
def test_only_the_user_can_read_kept_files(umask: int, tmp_path: Path) -> None:
    held = os.umask(umask)
    try:
        home, work = tmp_path / "home", tmp_path / "work"
        environ = environment(home)
        work.mkdir()
        (work / "a.py").write_text(CODE)
        run(environ, work, "index", "--no-vectors", str(work))
        for path in home.rglob("*"):  # as an earlier version made them
            path.chmod(0o755 if path.is_dir() else 0o644)
        run(environ, work, "index", "--no-vectors", str(work))
        run(environ, work, "search", "--workspace", str(work), "total")
        run(environ, work, "audit", "export", str(home / "nearfield-export"))
        wire = Wire(environ, "--stdio")
        try:
            options = script([{"text": "Hello."}], index={"vectors": False})
            options["routing"]["roles"]["code"] = ["fake"]
            wire.initialize(options)
            wire.ask("nearfield/chat", {"message": "hi"})
        finally:
            wire.end()
    finally:
        os.umask(held)
    kept = [path for path in home.rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in kept)
    assert any(path.parent.name == "chats" for path in kept)
    assert open_to_others(home) == {}


def run(environ: dict[str, str], work: Path, *arguments: str) -> None:
    ran = subprocess.run(
        forked(*arguments),
        env=environ, cwd=work, capture_output=True, text=True, timeout=120,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert ran.returncode in (0, 1), ran.stderr
