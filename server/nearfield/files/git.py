"""What git says about the repository that a folder is in."""

from __future__ import annotations

import subprocess
from pathlib import Path

SECONDS = 5.0
"""For what git need not look at files for."""


def said(root: Path, *words: str, seconds: float = SECONDS) -> bytes | None:
    """What `git` with these `words` prints; None when it cannot say."""
    try:
        done = subprocess.run(
            # No configuration of the repository may start a program here.
            ["git", "-C", str(root), "-c", "core.fsmonitor=false", *words],
            capture_output=True, timeout=seconds, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
