"""The code of a repository as its commits wrote it, newest first.

Blobs are compared here, so that git runs no driver that a repository could name. Only files are
read that are there today, that git tracks and that the workspace's rules let models see.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

from nearfield.features.own_holes import is_shown
from nearfield.files.git import Git
from nearfield.files.lines import plain_breaks
from nearfield.index.files import Tree, unfit
from nearfield.syntax.differences import changed_span
from nearfield.syntax.languages import Language, language_for

GIT_SECONDS = 60.0
MAX_COMMITS = 3_000
COMMITS_AT_ONCE = 20
BLOBS_AT_ONCE = 200
MAX_FILE_BYTES = 200_000
MAX_COMPARED = 4_000_000
"""Lines of the old text times lines of the new one, from which on the difference is one block."""
_FILES = ("100644", "100755")


@dataclass(frozen=True, slots=True)
class BlobChange:
    """A file that a commit changed: the blobs before and after, "" for none."""

    path: str
    before: str
    after: str

    @property
    def blobs(self) -> list[str]:
        """The blobs that there are."""
        return [blob for blob in (self.before, self.after) if blob]


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file after a commit. `blocks` are the rows (from 0) that the commit added, one range for
    each place; lines that it only moved are in none."""

    path: str
    language: Language
    text: str
    blocks: tuple[range, ...]


class History:
    """The commits that led to `commit`. Not for the event loop."""

    def __init__(self, root: Path, exclude: Sequence[str] = (), commit: str = "HEAD") -> None:
        """Raises `GitFailed`."""
        self._root = root
        self._tree = Tree(root, exclude)
        self._shown: dict[str, bool] = {}
        words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}^{{commit}}")
        self.commit = os.fsdecode(Git(root).run(*words)).strip()

    def commits(self) -> Iterator[list[WrittenFile]]:
        """Yield the files of each commit that added code, newest first. Raises `GitFailed`."""
        said = self._git().run(
            *("log", "--no-merges", "--topo-order", "--raw", "-z", "--no-renames", "--no-abbrev"),
            *("--relative", "--diff-filter=AMD", f"--max-count={MAX_COMMITS}", "--format=%x01"),
            *(self.commit, "--", "."),
        )
        kept = [some for changes in _parse(said) if (some := self._kept(changes))]
        for start in range(0, len(kept), COMMITS_AT_ONCE):
            some = kept[start : start + COMMITS_AT_ONCE]
            texts = self._texts({b for changes in some for one in changes for b in one.blobs})
            for changes in some:
                if written := _written(changes, texts):
                    yield written

    def _kept(self, changes: Sequence[BlobChange]) -> list[BlobChange]:
        """Return the changes to look at; none of a commit that changed nothing to be shown. Of
        files that are no longer there only which lines a commit has moved is looked at."""
        kept = [
            one
            for one in changes
            if (self._is_shown(one.path) if one.after else language_for("", one.path))
        ]
        return kept if any(one.after for one in kept) else []

    def _is_shown(self, path: str) -> bool:
        if path not in self._shown:
            language = language_for("", path)
            self._shown[path] = language is not None and is_shown(self._tree, path)
        return self._shown[path]

    def _texts(self, blobs: Collection[str]) -> dict[str, str]:
        """Return the texts of blobs, without those that are too large or no UTF-8."""
        found: dict[str, str] = {}
        small = [
            os.fsdecode(words[0])
            for line in self._read("--batch-check", sorted(blobs)).split(b"\n")
            if len(words := line.split()) == 3 and int(words[2]) <= MAX_FILE_BYTES
        ]
        said = self._read("--batch", small)
        while said:
            head, _, said = said.partition(b"\n")
            name, _, size = head.split(b" ")
            with suppress(UnicodeDecodeError):
                found[os.fsdecode(name)] = plain_breaks(said[: int(size)].decode())
            said = said[int(size) + 1 :]
        return found

    def _read(self, how: str, blobs: Sequence[str]) -> bytes:
        said: list[bytes] = []
        for start in range(0, len(blobs), BLOBS_AT_ONCE):
            given = "".join(f"{blob}\n" for blob in blobs[start : start + BLOBS_AT_ONCE])
            said.append(self._git().run("cat-file", how, given=given.encode()))
        return b"".join(said)

    def _git(self) -> Git:
        return Git(self._root, seconds=GIT_SECONDS, most=BLOBS_AT_ONCE * MAX_FILE_BYTES)


def _written(changes: Sequence[BlobChange], texts: Mapping[str, str]) -> list[WrittenFile]:
    olds = {one.path: texts.get(one.before, "") for one in changes}
    news = {one.path: texts[one.after] for one in changes if one.after in texts}
    gone = _lines_gone(olds, news)
    found: list[WrittenFile] = []
    for path, text in news.items():
        language = language_for("", path)
        if language is None or unfit(path, text):
            continue
        if blocks := tuple(_blocks(olds[path], text, gone)):
            found.append(WrittenFile(path, language, text, blocks))
    return found


def _parse(said: bytes) -> Iterator[list[BlobChange]]:
    """Yield the changes of each commit of `git log --raw -z`."""
    changes: list[BlobChange] = []
    parts = (part.lstrip(b"\n") for part in said.split(b"\0"))
    for part in parts:
        if part.startswith(b"\x01"):
            if changes:
                yield changes
            changes = []
        elif part.startswith(b":"):
            path = os.fsdecode(next(parts, b""))
            old_mode, new_mode, old, new, _ = part[1:].decode("ascii", "replace").split(" ")
            before = old if old_mode in _FILES else ""
            after = new if new_mode in _FILES else ""
            changes.append(BlobChange(path, before, after))
    if changes:
        yield changes


def _lines_gone(olds: Mapping[str, str], news: Mapping[str, str]) -> Counter[str]:
    """Return the lines that a commit took away, over all its files."""
    gone = Counter[str]()
    for path, old in olds.items():
        gone += _counted(old) - _counted(news.get(path, ""))
    return gone


def _counted(text: str) -> Counter[str]:
    return Counter(line.strip() for line in text.split("\n") if line.strip())


def _blocks(old: str, new: str, gone: Counter[str]) -> Iterator[range]:
    before, after = old.split("\n"), new.split("\n")
    span, count = changed_span(before, after)
    rows = range(span.start, span.start + count)
    if (span.end - span.start) * count > MAX_COMPARED or not old:
        added = [rows]
    else:
        pieces = before[span.start : span.end], after[rows.start : rows.stop]
        codes = SequenceMatcher(None, *pieces, autojunk=False).get_opcodes()
        added = [
            range(rows.start + start, rows.start + end)
            for kind, _, _, start, end in codes
            if kind in ("insert", "replace")
        ]
    for block in added:
        lines = [line for row in block if (line := after[row].strip())]
        if lines and not all(line in gone for line in lines):
            yield block
