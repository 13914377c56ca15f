"""The workspace folder as functions may reach it: nothing outside it, and nothing withheld.

A path comes from a model, which may have read it in an untrusted file. Its letters are checked here
(no absolute path, no `..`, nothing that another system reads in its own way). `files.workspace`
checks where it leads, and opens it.

All methods block and raise `ToolRefused`.
"""

from __future__ import annotations

import itertools
import os
import re
import stat
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from nearfield.features.chat.protocol import ToolRefused
from nearfield.files.encoding import NEW, NOT_TEXT, TextFile, decode
from nearfield.files.read import UnreadableFile, read_open
from nearfield.files.workspace import shown
from nearfield.index.files import Tree, readable

MAX_ENTRIES = 2_000
"""A folder with more is listed up to here."""
MAX_LISTED = 20_000
"""In a workspace with more files a question is answered without their names."""
MAX_DELETED = 200
"""A folder with more in it is not deleted by a call."""
MAX_OVERWRITTEN_BYTES = 1 << 26
"""Bytes of a file that is replaced."""

_DRIVE = re.compile(r"[A-Za-z]:")
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FoundPath:
    """An entry at a path: relative to the folder, with '/', after all links."""

    path: str
    kind: str
    bytes: int
    changed: float


class Folder:
    """A workspace folder. `exclude` are the settings' patterns of files that are never read."""

    def __init__(self, root: str, exclude: Sequence[str] = ()) -> None:
        self._tree = Tree(Path(root), exclude)
        self._files = readable(root, exclude)
        self.root = self._files.root

    # --- what a path means ---

    def inside(self, name: str, *, windows: bool = os.name == "nt") -> str:
        """Return `name` as a path inside the folder, "" for the folder itself, with its links
        followed. It need not exist.
        """
        with _refusing():
            return self._files.inside(lexical(name, windows=windows))

    def is_withheld(self, path: str, *, folder: bool) -> bool:
        """Return whether the rules keep `path` (inside, with '/') from being looked at."""
        return bool(self._files.kept_out(path, folder=folder))

    def relative(self, path: str) -> str:
        """Return an absolute path from the folder, "" for one outside."""
        inside = Path(path).is_relative_to(self.root)
        return Path(path).relative_to(self.root).as_posix() if inside else ""

    def visible(self, path: str) -> str:
        """Return an absolute path from the folder, "" for one outside and for a withheld file."""
        inside = self.relative(path)
        return "" if inside and self.is_withheld(inside, folder=False) else inside

    # --- looking ---

    def look(self, name: str) -> FoundPath:
        """Return the entry at `name`."""
        path = self.inside(name)
        try:
            status = os.lstat(self.root / path)
        except OSError as error:
            raise ToolRefused(f"There is no {shown(name)} in the workspace.") from error
        return FoundPath(path, _kind(status.st_mode), status.st_size, status.st_mtime)

    def read(self, name: str, most: int) -> tuple[str, TextFile]:
        """The path and the text of a file of at most `most` bytes."""
        path = self.inside(name)
        with _refusing(), self._files.opened(path) as handle:
            status = os.fstat(handle)
            if stat.S_ISDIR(status.st_mode):
                raise ToolRefused(f"{shown(name)} is a folder.", "List it instead.")
            if status.st_size > most:
                raise ToolRefused(
                    f"{shown(name)} has {status.st_size} bytes, which is more than may be read.",
                    "Read a part of it by its lines, or search in it.",
                )
            text = decode(read_open(handle, shown(name), most))
        if text is None:
            raise ToolRefused(f"{shown(name)} {NOT_TEXT}.")
        return path, text

    def entries(self, name: str) -> tuple[str, list[tuple[str, bool]]]:
        """The path of a folder and its entries as (path inside the workspace, is a folder), without
        what is withheld, in order."""
        path = self.inside(name)
        found: list[tuple[str, bool]] = []
        with _refusing(), self._files.folder(path) as place, place.entries() as items:
            for item in items:
                below = f"{path}/{item.name}" if path else item.name
                is_folder = item.is_dir(follow_symlinks=False)
                if not self.is_withheld(below, folder=is_folder):
                    found.append((below, is_folder))
        return path, sorted(found)[:MAX_ENTRIES]

    def listed(self) -> list[str] | None:
        """Return `files`; None where there are too many for a question."""
        found = [*itertools.islice(self.files(), MAX_LISTED + 1)]
        return found if len(found) <= MAX_LISTED else None

    def files(self) -> Generator[str]:
        """Every file that may be read and is worth it, by the index's rules."""
        for entry in self._tree.walk():
            if not entry.reason:
                yield entry.path

    # --- changing ---

    def make(self, name: str) -> str:
        """Make a folder, and those above it; its path."""
        path = self.inside(name)
        above = ""
        with _refusing():
            for part in path.split("/") if path else ():
                with self._files.folder(above) as place, suppress(FileExistsError):
                    place.make_folder(part)
                above = f"{above}/{part}" if above else part
            with self._files.folder(path):
                return path

    def delete(self, name: str) -> str:
        """Delete a file, or a folder with all that is in it; its path."""
        lexically = lexical(name)
        if not lexically:
            raise ToolRefused("The workspace folder itself is not deleted.")
        parent, _, last = lexically.rpartition("/")
        path = self.inside(parent)
        whole = f"{path}/{last}" if path else last
        with _refusing():
            # The link is deleted, not its target.
            self._files.check(whole, name)
            self._check_few(whole, name)
            with self._files.folder(path) as place:
                place.delete(last)
        return whole

    def write(self, name: str, before: str | None, after: str) -> None:
        """Write a file as a whole, at once, as it is written now, if it still holds `before` (None:
        is not there). Raises `Unwritable`."""
        path = self.inside(name)
        parent, _, last = path.rpartition("/")
        self.make(parent)
        there = os.path.lexists(self.root / path)
        now = self.read(path, MAX_OVERWRITTEN_BYTES)[1] if there else None
        if (None if now is None else now.text) != before:
            raise ToolRefused(f"{shown(name)} has changed meanwhile.", "Ask again.")
        content = (now or NEW).encode(after)
        with _refusing(), self._files.folder(parent) as place:
            place.replace(last, content)

    def _check_few(self, path: str, name: str) -> None:
        count = 0
        for _, folders, files in os.walk(self.root / path):
            count += len(folders) + len(files)
            if count > MAX_DELETED:
                raise ToolRefused(
                    f"{shown(name)} holds more than {MAX_DELETED} things.",
                    "Delete it yourself.",
                )


@contextmanager
def _refusing() -> Generator[None]:
    """Convert errors of reading and changing into `ToolRefused`."""
    try:
        yield
    except UnreadableFile as error:
        raise ToolRefused(error.message, error.hint) from error
    except OSError as error:
        raise ToolRefused(f"That cannot be done: {error.strerror}.") from error


def lexical(name: str, *, windows: bool = os.name == "nt") -> str:
    """`name` as a relative path with '/', "" for the folder itself, by its letters alone."""
    said = shown(name)
    if any(ord(letter) < 32 for letter in name):
        raise ToolRefused(f"{said} holds a control character.")
    if name.startswith(("//", "\\\\")):
        raise ToolRefused(f"{said} is a network path.", "Give a path from the workspace folder.")
    if name.startswith(("/", "\\", "~")) or _DRIVE.match(name):
        raise ToolRefused(f"{said} is an absolute path.", "Give a path from the workspace folder.")
    if "\\" in name and not windows:
        raise ToolRefused(f"{said} holds a backslash.", "Separate folders with '/'.")
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ToolRefused(f"{said} goes up by '..'.", "Give a path from the workspace folder.")
    for part in parts:
        if len(part.encode("utf-8", "surrogatepass")) > 255:
            raise ToolRefused("A name in that path is too long.")
        if windows and (":" in part or part != part.rstrip(" .") or _DEVICE.match(part)):
            raise ToolRefused(f"{said} has a special meaning on Windows.")
    try:
        "/".join(parts).encode()
    except UnicodeEncodeError as error:
        raise ToolRefused("That path is no text.") from error
    return "/".join(parts)


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "folder"
    return "file" if stat.S_ISREG(mode) else "special file"
