"""The embedder that is shipped, as far as it is no matter of what its vectors are good for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EMBED = "from nearfield.index.embedder import Embedder; print(Embedder().embed(['a']).shape)"


@pytest.mark.skipif(sys.platform == "win32", reason="there it asks the system, and keeps no files")
def test_the_runtime_keeps_no_telemetry(tmp_path: Path) -> None:
    """Where it is on, the runtime keeps a device's identifier and what it has yet to send."""
    # The runtime sends nothing either where it believes to be tested.
    quiet = {"CI", "TF_BUILD", "GITHUB_ACTIONS", "ORT_RUNNING_UNIT_TESTS", "ORT_DISABLE_TELEMETRY"}
    environ = {name: value for name, value in os.environ.items() if name not in quiet}
    environ |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", EMBED], env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout == "(1, 384)\n"
    assert list(tmp_path.rglob("*")) == []
