"""Local files that differ from the team's index: open documents, and files that git says were
changed since the builder's commit. These few are indexed here, beside the team's.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nearfield.files import git
from nearfield.index.files import AS_THE_TEAM_HAS_IT, Tree, TreeEntry, digest_of
from nearfield.index.shared import Shared, stores_of

GIT_SECONDS = 30.0
"""`git diff` looks at every file of a huge repository; in the background that may take its time."""
MAX_PATHS = 2_000
"""A branch that is further away is indexed in part; the rest is left out as being another one."""
REMEMBERED_SECONDS = 30.0
"""How long a digest is cached: the text being typed is compared several times a second."""
_COMMIT = re.compile(r"[0-9a-f]{40,64}")


@dataclass(slots=True)
class Team:
    """A builder's files in the database, for comparing them with local ones. One thread
    at a time.
    """

    shared: Shared
    root: Path
    _digests: dict[str, bytes | None] = field(default_factory=dict[str, bytes | None])
    _asked: float = 0.0

    def different(self) -> list[str]:
        """Files that git says are not as in the builder's commit, and new ones, by path; where that
        commit is not known here, those that are not as in the last one."""
        reader = stores_of(self.shared).reader(self.shared)
        try:
            commit = reader.fact("commit")
        finally:
            reader.close()
        named = ("diff", "--name-only", "--no-renames", "--diff-filter=d", "--relative", "-z")
        # Whatever the database says, it is no option of git's.
        changed = listed(self.root, *named, commit, "--") if _COMMIT.fullmatch(commit) else None
        if changed is None:
            changed = listed(self.root, *named, "HEAD", "--") or []
        new = listed(self.root, "ls-files", "--others", "--exclude-standard", "-z") or []
        return sorted({*changed, *new})[:MAX_PATHS]

    def same(self, paths: Sequence[str], tree: Tree) -> set[str]:
        """Return the paths of `paths` that are on the disk as the database has them, or had a
        moment ago.
        """
        now = time.monotonic()
        if now - self._asked >= REMEMBERED_SECONDS:
            self.forget()
            self._asked = now
        unknown = [path for path in paths if path not in self._digests]
        if unknown:
            reader = stores_of(self.shared).reader(self.shared)
            try:
                self._digests |= dict.fromkeys(unknown) | reader.digests(unknown)
            finally:
                reader.close()
        digests = {path: self._digests[path] for path in paths}
        return {path for path, digest in digests.items() if digest == _digest(tree, path)}

    def forget(self) -> None:
        """Clear the cache, so that the database is asked again."""
        self._digests.clear()


class HereTree(Tree):
    """A tree of which only that counts which is different here."""

    def __init__(self, root: Path, exclude: Sequence[str], max_bytes: int, team: Team) -> None:
        super().__init__(root, exclude, max_bytes)
        self._team = team

    def walk(self) -> Iterator[TreeEntry]:
        """The files that are different."""
        self._team.forget()
        paths = self._team.different()
        same = self._team.same(paths, self)
        for path in paths:
            entry = super().look(path)
            if entry is not None and path not in same:
                yield entry

    def look(self, path: str) -> TreeEntry | None:
        """See `Tree.look`; a file that is not different has that as its reason."""
        entry = super().look(path)
        if entry is None or entry.reason or path not in self._team.same([path], self):
            return entry
        return TreeEntry(path, AS_THE_TEAM_HAS_IT, entry.stamp)


def _digest(tree: Tree, path: str) -> bytes:
    found = tree.read(path)
    return digest_of(found[1]) if found is not None else b""


def commit_of(root: Path) -> str:
    """The commit that is checked out, "" where there is none."""
    return _line(root, "rev-parse", "HEAD")


def index_time(root: Path) -> int:
    """When git last touched its own index: at every commit, checkout, merge and `git add`."""
    found = _line(root, "rev-parse", "--git-path", "index")
    try:
        return (root / found).stat().st_mtime_ns if found else 0
    except OSError:
        return 0


def listed(root: Path, *words: str) -> list[str] | None:
    """The paths that git names, None when it cannot say."""
    found = git.said(root, *words, seconds=GIT_SECONDS)
    return None if found is None else [os.fsdecode(one) for one in found.split(b"\0") if one]


def _line(root: Path, *words: str) -> str:
    return os.fsdecode(git.said(root, *words, seconds=GIT_SECONDS) or b"").strip()
