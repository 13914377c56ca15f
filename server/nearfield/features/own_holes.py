"""Holes cut into the user's own code: ends of lines that a model is asked to write again.

Only files that git tracks, that the workspace's rules let a model see, and that look like source.
A seed chooses files and lines by hashes of their paths, so that other changes of the repository
leave a hole where it was.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from nearfield.errors import ConfigError
from nearfield.features.holes import CodeHole, digest
from nearfield.files.git import Git
from nearfield.files.lines import plain_breaks
from nearfield.files.read import UnreadableFile
from nearfield.index.files import Tree, readable, unfit
from nearfield.syntax.languages import Language, language_for

PREFIX_CHARS = 2_000
SUFFIX_CHARS = 800
"""Text around a hole: about what a first prompt holds on a processor without a GPU."""
MIN_CHARS = 8
MAX_CHARS = 120
"""Characters of a line that a hole is cut into, without its indentation."""
HOLES_PER_FILE = 2
GIT_SECONDS = 30.0


def cut_holes(root: Path, count: int, seed: int = 0, exclude: Sequence[str] = ()) -> list[CodeHole]:
    """Return up to `count` holes in the repository at `root`.

    Reads files; call it off the event loop. Raises `GitFailed`, and `ConfigError` where no line
    of it is fit.
    """
    tree, files = Tree(root, exclude), readable(root, exclude)
    found: list[CodeHole] = []
    for path in _tracked(root, seed):
        language = language_for("", path)
        if language is None or not is_shown(tree, path):
            continue
        try:
            text = plain_breaks(files.text(path, 1_000_000).text)
        except UnreadableFile:
            continue
        if unfit(path, text):
            continue
        found += list(holes_in(path, language, text, seed))[: count - len(found)]
        if len(found) >= count:
            return found
    if not found:
        raise ConfigError(f"{root} has no tracked source file that a hole can be cut into.")
    return found


def _tracked(root: Path, seed: int) -> list[str]:
    """Return the tracked files, in an order that only the seed and each one's path decide."""
    said = Git(root, seconds=GIT_SECONDS).run("ls-files", "-z")
    paths = [os.fsdecode(path) for path in said.split(b"\0") if path]
    return sorted(paths, key=lambda path: digest(f"{seed}\0{path}"))


def is_shown(tree: Tree, path: str) -> bool:
    """Return whether a file is there and the rules let models see it."""
    entry = tree.look(path)
    return entry is not None and not entry.reason


def holes_in(
    path: str, language: Language, text: str, seed: int, rows: Collection[int] | None = None
) -> Iterator[CodeHole]:
    """Yield holes in a file's `text`, only in these `rows` (from 0) where they are given."""
    lines = text.split("\n")
    # A model without a fill-in form needs some text before the hole.
    top = next((number for number, line in enumerate(lines) if line.strip()), 0)
    fit = [
        number
        for number, line in enumerate(lines)
        if number > top and (rows is None or number in rows) and is_fit(line.strip(), language)
    ]
    fit.sort(key=lambda number: digest(f"{seed}\0{path}\0{lines[number]}"))
    for place, number in enumerate(fit[:HOLES_PER_FILE]):
        line = lines[number].rstrip()
        indent = len(line) - len(line.lstrip())
        # One at the beginning of its line, one a third into it.
        column = indent + (len(line) - indent) // 3 * (place % 2)
        above = "\n".join(lines[:number]) + "\n"
        yield CodeHole(
            path=path,
            language=language.name,
            prefix=above[-PREFIX_CHARS:] + line[:column],
            rest=line[column:],
            suffix="\n" + "\n".join(lines[number + 1 :])[:SUFFIX_CHARS],
        )


def is_fit(line: str, language: Language) -> bool:
    """Return whether a line is code that a model could know: no comment, text and brackets."""
    is_comment = language.comment and line.startswith(language.comment)
    is_text = line.startswith(("/*", "*", '"""', "'''", "<!--"))
    if is_comment or is_text or not MIN_CHARS <= len(line) <= MAX_CHARS:
        return False
    return any(letter.isalpha() for letter in line)
