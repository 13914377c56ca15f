"""Items of a Rust crate, renamed one after the other with what is offered, and judged by rustc.

    python tests/bench/next_edit_rename.py CRATE [--seconds N] [--seed N]

CRATE is a folder with sources in `src` that `cargo check --offline` accepts; they are changed in
place, so name a copy. Each public item of the top of a file gets a new name, and all offers in its
file and in the others are made. An error of rustc about a new name is a wrong offer; one about an
old name is a place that was not offered.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import tree_sitter

from nearfield.features.documents import DocumentChange, Documents
from nearfield.features.idle import IdleScheduler
from nearfield.features.next_edit import edits as next_edits
from nearfield.features.next_edit import other_files
from nearfield.features.next_edit.edits import NextEdits
from nearfield.syntax.languages import language_for
from nearfield.syntax.parser import ParseCache, Parsed, parse
from nearfield.types import Edit, Snapshot, Span

KINDS = frozenset(
    {"struct_item", "enum_item", "trait_item", "function_item", "const_item", "type_item"}
)
MARK = "Zz"
"""What a new name ends with."""


class Crate:
    """The sources of a crate, and an index that knows every word of them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files = {
            str(path.relative_to(root)): path.read_text("utf-8")
            for path in root.rglob("src/**/*.rs")
        }

    async def naming(
        self, name: str, stems: Sequence[str], snapshot: Snapshot
    ) -> tuple[list[str], list[str], list[str]]:
        word = re.compile(rf"\b{name}\b")
        paths = [place for place, text in self.files.items() if word.search(text)]
        alike = [place for place in self.files if Path(place).stem in stems]
        return paths, alike, []

    def has_all(self, snapshot: Snapshot) -> bool:
        """It knows all files."""
        return True

    def tree(self, place: str) -> Parsed:
        """The tree of a file."""
        language = language_for("rust")
        assert language is not None
        parsed = parse(language, self.files[place])
        assert parsed is not None
        return parsed

    def items(self) -> list[tuple[str, str, str]]:
        """The place, kind and name of each public item."""
        return [
            (place, node.type, (name.text or b"").decode())
            for place in self.files
            for node in self.tree(place).root.named_children
            if node.type in KINDS
            and any(child.type == "visibility_modifier" for child in node.children)
            and (name := node.child_by_field_name("name")) is not None
        ]

    def named(self, place: str, kind: str, name: str) -> tree_sitter.Node | None:
        """The name's node of an item."""
        for node in self.tree(place).root.named_children:
            found = node.child_by_field_name("name") if node.type == kind else None
            if found is not None and found.text == name.encode():
                return found
        return None

    async def rename(self, place: str, span: Span, new: str) -> tuple[int, int]:
        """Rename an item; return the offers made in its file and in the others."""
        documents = Documents()
        edits = NextEdits(documents, ParseCache().cursor, IdleScheduler(), names=self)
        path, root, text = str(self.root / place), str(self.root), self.files[place]
        before = Snapshot(f"file://{path}", "rust", 0, text, path, root)
        documents.opened(before)
        after = Snapshot(before.uri, "rust", 1, applied(text, [Edit(span, new)]), path, root)
        documents.changed(after, [Edit(span, new)])
        edits.changed(DocumentChange(before, after, [Edit(span, new)]))
        own = [Edit(one.span, one.new) for one in await edits.offered(after, len(after.text))]
        self._write(place, applied(after.text, own))
        others = 0
        while (jump := await edits.jump(after)) is not None:
            others += len(jump.edits)
            self._write(str(Path(jump.path).relative_to(self.root)), applied(jump.text, jump.edits))
            edits.dismiss(jump.id)
        await edits.aclose()
        return len(own), others

    def _write(self, place: str, text: str) -> None:
        self.files[place] = text
        (self.root / place).write_text(text, "utf-8")


def applied(text: str, edits: Sequence[Edit]) -> str:
    """The text with edits that are counted in it."""
    for edit in sorted(edits, key=lambda one: -one.span.start):
        text = text[: edit.span.start] + edit.text + text[edit.span.end :]
    return text


async def measure(crate: Crate, seconds: float, seed: int) -> dict[str, int]:
    """Rename items in a random order until the time is over; return how many, and the offers."""
    items = crate.items()
    random.Random(seed).shuffle(items)
    done = own = others = 0
    end = time.monotonic() + seconds
    for place, kind, name in items:
        node = crate.named(place, kind, name)
        if time.monotonic() > end:
            break
        if node is not None:
            made = await crate.rename(place, crate.tree(place).span(node), name + MARK)
            done, own, others = done + 1, own + made[0], others + made[1]
    return {"items": done, "offers in the file": own, "in other files": others}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("crate", type=Path)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    next_edits.REST_SECONDS = 0.0
    other_files.LOOK_UP_SECONDS = 60.0  # each change asks once, and a busy machine is slow
    root = options.crate.resolve()
    found = asyncio.run(measure(Crate(root), options.seconds, options.seed))
    check = ["cargo", "check", "--offline", "--no-default-features", "--message-format", "short"]
    ran = subprocess.run(check, cwd=root, capture_output=True, text=True, check=False)
    errors = re.findall(r"^\S+: error\[.*$", ran.stderr, re.MULTILINE)
    wrong = [line for line in errors if MARK in line]
    print({**found, "wrong": len(wrong), "not offered": len(errors) - len(wrong)})
    print("\n".join(wrong))


if __name__ == "__main__":
    main()
