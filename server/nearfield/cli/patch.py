"""Writing what an action proposes: all files or none, and never over a change that was not seen."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nearfield.errors import NearfieldError

__all__ = ["Patch", "apply"]


@dataclass(frozen=True, slots=True)
class Patch:
    """One file's text before and after; `before` is None where there is no file yet."""

    before: str | None
    after: str


def apply(patches: Mapping[Path, Patch]) -> None:
    """Write each file through a temporary one beside it, once all of these are complete. Raises
    `NearfieldError`, and has then written nothing, when a file is not as it was read."""
    staged: dict[Path, Path] = {}
    try:
        for path, patch in patches.items():
            _check(path, patch)
            staged[path] = _staged(path, patch)
        for path, patch in patches.items():
            # Looked at again as late as can be: staging takes a moment.
            _check(path, patch)
        for path, temporary in list(staged.items()):
            temporary.replace(path)
            del staged[path]
    except OSError as error:
        raise NearfieldError(
            f"It could not be written: {error.strerror}.", "No file was left half written."
        ) from error
    finally:
        for temporary in staged.values():
            temporary.unlink(missing_ok=True)


def _check(path: Path, patch: Patch) -> None:
    if patch.before is None:
        if path.exists():
            raise NearfieldError(f"{path} was made meanwhile.", "Run the command again.")
        return
    try:
        now = path.read_bytes()
    except FileNotFoundError:
        now = b""
    if now != patch.before.encode():
        raise NearfieldError(f"{path} has changed meanwhile.", "Run the command again.")


def _staged(path: Path, patch: Patch) -> Path:
    """The new text in a file beside `path`, with its mode, and safely on disk."""
    # A link stays one: what it points to is replaced.
    target = path.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(patch.after.encode())
            file.flush()
            os.fsync(file.fileno())
        if patch.before is None:
            temporary.chmod(0o666 & ~_umask())
        else:
            shutil.copymode(target, temporary)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
