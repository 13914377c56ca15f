"""Offers in other files on what people really changed: each file of a commit is changed once more,
line by line, in the folder as it was before, and what is offered in the other files is compared
with what the author made of them.

    python tests/bench/next_edit_elsewhere.py REPOSITORY [--commits N] [--show]

An offer is right where it is a step on the way to the author's line (next_edit_replay.py), not
judged where the author took the line away, and wrong otherwise. `git grep` replaces the index.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import subprocess
import tempfile
from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher
from pathlib import Path

from next_edit_replay import Revised, history, is_on_the_way, steps_of
from next_edit_user import words

from nearfield.features.documents import DocumentChange, Documents
from nearfield.features.idle import IdleScheduler
from nearfield.features.next_edit import edits as next_edits
from nearfield.features.next_edit.edits import NextEdits
from nearfield.features.next_edit.other_files import Jump
from nearfield.syntax.parser import ParseCache
from nearfield.types import Edit, Snapshot, Span


class Repository:
    """A repository, and the tree of one commit in a folder."""

    def __init__(self, path: Path, root: Path, commit: str) -> None:
        self.path, self.root, self.commit = path, root, commit
        archive = self.git("archive", commit)
        subprocess.run(["tar", "-x", "-C", str(root)], input=archive, check=True)
        self.files = self.git("ls-tree", "-r", "--name-only", commit).decode().split("\n")

    def git(self, *arguments: str) -> bytes:
        ran = subprocess.run(["git", "-C", str(self.path), *arguments], capture_output=True)
        return ran.stdout

    async def naming(
        self, name: str, stems: Sequence[str], snapshot: Snapshot
    ) -> tuple[list[str], list[str], list[str]]:
        found = self.git("grep", "-lwF", "-e", name, self.commit).decode().split("\n")
        paths = [line.partition(":")[2] for line in found if line]
        alike = [
            path
            for path in self.files
            if path.rpartition("/")[2].partition(".")[0] in stems
            or path.endswith(tuple(f"{stem}/__init__.py" for stem in stems))
        ]
        return paths, alike, []

    def has_all(self, snapshot: Snapshot) -> bool:
        """A commit has all its files."""
        return True


async def replayed(
    repository: Repository, revised: Revised, after: str, counts: Counter[str], show: bool
) -> None:
    """Change one file, and judge what is offered in others; `after` is the commit."""
    place = revised.name.partition(" ")[2]
    documents = Documents()
    edits = NextEdits(documents, ParseCache().cursor, IdleScheduler(), names=repository)
    path, root = str(repository.root / place), str(repository.root)
    snapshot = Snapshot(f"file://{path}", revised.language, 0, revised.before, path, root)
    documents.opened(snapshot)
    judged: set[tuple[str, int, str]] = set()

    def change(start: int, end: int, new: str) -> None:
        nonlocal snapshot
        text = snapshot.text[:start] + new + snapshot.text[end:]
        version = (snapshot.version or 0) + 1
        now = Snapshot(snapshot.uri, snapshot.language, version, text, path, root)
        edit = [Edit(Span(start, end), new)]
        documents.changed(now, edit)
        edits.changed(DocumentChange(snapshot, now, edit))
        snapshot = now

    lines = revised.before.split("\n")
    at = 0
    for step in steps_of(lines, revised.after.split("\n")):
        if step.old is None:
            change(at, at, f"{step.new}\n")
            at += len(step.new or "") + 1
            continue
        old = lines[step.old]
        if step.new is None:
            change(at, min(at + len(old) + 1, len(snapshot.text)), "")
            continue
        first, second = words(old), words(step.new)
        for tag, i1, i2, j1, j2 in SequenceMatcher(None, first, second, False).get_opcodes():
            piece = "".join(second[j1:j2])
            if tag != "equal":
                change(at, at + sum(map(len, first[i1:i2])), piece)
            at += len(piece)
        at += 1
        if old != step.new:
            counts["asked"] += 1
            while (jump := await edits.jump(snapshot)) is not None:
                judge(repository, jump, after, counts, judged, show)
                edits.dismiss(jump.id)
    await edits.aclose()


def judge(
    repository: Repository,
    jump: Jump,
    after: str,
    counts: Counter[str],
    judged: set[tuple[str, int, str]],
    show: bool,
) -> None:
    """Count each edit of a jump once."""
    place = str(Path(jump.path).relative_to(repository.root))
    meant = repository.git("show", f"{after}:{place}").decode("utf-8", "replace")
    before = jump.text.split("\n")
    rows = {step.old: step.new for step in steps_of(before, meant.split("\n"))}
    for edit in jump.edits:
        row = jump.text.count("\n", 0, edit.span.start)
        start = jump.text.rfind("\n", 0, edit.span.start) + 1
        line = before[row]
        one, other = edit.span.start - start, edit.span.end - start
        made = line[:one] + edit.text + line[other:]
        if (place, row, made) in judged or "\n" in edit.text or other > len(line):
            continue
        judged.add((place, row, made))
        final = rows.get(row)
        verdict = "not judged" if final is None else "wrong"
        if final is not None and is_on_the_way(line, made, final):
            verdict = "right"
        counts[verdict] += 1
        if show and verdict == "wrong":
            print(f"{after[:8]} {place}:{row + 1}")
            print(f"  now   {line!r}")
            print(f"  made  {made!r}")
            print(f"  meant {final!r}")


async def measure(path: Path, commits: int, show: bool, counts: Counter[str]) -> None:
    """Replay the files of the last commits."""
    folder: tempfile.TemporaryDirectory[str] | None = None
    repository: Repository | None = None
    for revised in history(path, commits):
        commit = revised.name.partition(" ")[0]
        if repository is None or repository.commit != f"{commit}~1":
            if folder is not None:
                folder.cleanup()
            folder = tempfile.TemporaryDirectory()
            repository = Repository(path, Path(folder.name).resolve(), f"{commit}~1")
        counts["files"] += 1
        await replayed(repository, revised, commit, counts, show)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("repository", type=Path)
    parser.add_argument("--commits", type=int, default=100)
    parser.add_argument("--show", action="store_true")
    options = parser.parse_args()
    next_edits.REST_SECONDS = 0.0
    counts: Counter[str] = Counter()
    with contextlib.suppress(KeyboardInterrupt):  # what was found until then
        asyncio.run(measure(options.repository, options.commits, options.show, counts))
    sure = counts["right"] + counts["wrong"]
    print(dict(counts))
    print(f"precision {counts['right'] / sure:.3f}" if sure else "nothing was offered")


if __name__ == "__main__":
    main()
