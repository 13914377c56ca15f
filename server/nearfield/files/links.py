"""Links: where a path really leads."""

from __future__ import annotations

import os
from pathlib import Path


def real_inside(path: str | Path, folder: str | Path) -> Path | None:
    """Return where `path` leads inside `folder`, relative to it, with the links of both followed.

    None for a path that leads out. It need not exist. Raises `OSError` or `ValueError` for what is
    no path, or is swapped meanwhile.
    """
    real, root = Path(os.path.realpath(path)), Path(os.path.realpath(folder))
    return real.relative_to(root) if real.is_relative_to(root) else None


def resolved(path: Path) -> Path:
    """Return `path` as an absolute one without links. Links that lead in a circle stay, so that
    opening them says what is wrong; `Path.resolve` raises `RuntimeError` for them before Python
    3.13."""
    return Path(os.path.realpath(path))


def real_folder(folder: str) -> str:
    """Return a folder without links on its way, so that all who write its path mean the same; ""
    stays, and what is no path, such as one with a null character."""
    try:
        return os.path.realpath(folder) if folder else ""
    except ValueError:
        return folder
