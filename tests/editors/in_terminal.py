"""An editor in a terminal of its own that ends by itself."""

from __future__ import annotations

import os
import pty
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.e2e.process import PATIENCE_SECONDS


def vim() -> str:
    """The Vim that is named for the tests of plugins."""
    return os.environ.get("NEARFIELD_VIM", "vim")


def run_in_terminal(command: Sequence[str], environ: Mapping[str, str], folder: Path) -> None:
    """Run an editor until it ends, and check that it ends well."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        env={**environ, "TERM": "xterm"}, cwd=folder,
    )  # fmt: skip
    os.close(theirs)
    threading.Thread(target=_drain, args=(ours,), daemon=True).start()
    try:
        assert process.wait(PATIENCE_SECONDS) == 0
    finally:
        process.kill()
        process.wait()


def _drain(terminal: int) -> None:
    """Read what the editor draws, so that it goes on."""
    try:
        while os.read(terminal, 1 << 16):
            pass
    except OSError:
        os.close(terminal)
