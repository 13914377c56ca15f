"""Writing of proposed edits: all files or none, and never over a change that was not seen."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nearfield.cli.named import MAX_BYTES
from nearfield.errors import NearfieldError
from nearfield.files.encoding import NEW, text_file
from nearfield.files.links import resolved
from nearfield.files.open_folder import OpenFolder

__all__ = ["Patch", "apply"]


@dataclass(frozen=True, slots=True)
class Patch:
    """A file's text before and after; `before` is None if there is no file yet."""

    before: str | None
    after: str


def apply(patches: Mapping[Path, Patch]) -> None:
    """Write each file through a temporary one beside it, once all of these are complete. The paths
    have no links. Raises `NearfieldError`, before anything is written, if a file has changed, is
    read-only or cannot hold the new text in its encoding."""
    staged: dict[Path, str] = {}
    try:
        for path, patch in patches.items():
            content = _content(path, patch)
            with _naming(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                staged[path] = OpenFolder(path.parent).stage(path.name, content)
        for path, patch in patches.items():
            # Checked again as late as possible, because staging takes a moment.
            _content(path, patch)
        for path, temporary in list(staged.items()):
            with _naming(path):
                OpenFolder(path.parent).put(temporary, path.name)
            del staged[path]
    finally:
        for path, temporary in staged.items():
            OpenFolder(path.parent).discard(temporary)


@contextmanager
def _naming(path: Path) -> Generator[None]:
    """Convert a failure to write a file into a sentence about it."""
    try:
        yield
    except OSError as error:
        raise NearfieldError(
            f"{path} could not be written: {error.strerror}.", "No file was left half written."
        ) from error


def _content(path: Path, patch: Patch) -> bytes:
    """Return the bytes of the file's new text, if the file still holds the old one."""
    if resolved(path) != path:
        raise NearfieldError(f"{path} has become a link meanwhile.", "Run the command again.")
    if patch.before is None:
        if path.exists():
            raise NearfieldError(f"{path} was made meanwhile.", "Run the command again.")
        return NEW.encode(patch.after)
    try:
        now = text_file(path, MAX_BYTES)
    except FileNotFoundError:
        now = NEW
    if now.text != patch.before:
        raise NearfieldError(f"{path} has changed meanwhile.", "Run the command again.")
    return now.encode(patch.after)
