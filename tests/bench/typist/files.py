"""The files that are written: chosen by hash from a folder of published packages, half of them
held back. The bench takes no text from anywhere else and keeps none."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from script import Script, script

LANGUAGES = {".py": "python", ".ts": "typescript", ".go": "go", ".rs": "rust"}
LEAST_LINES, MOST_LINES = 150, 900
LEFT_OUT = ("test", "generated", "vendor", "node_modules", "dist", ".d.ts", "example")


@dataclass(frozen=True, slots=True)
class Source:
    """A file below `package`, which is the workspace. `name` is its path from there."""

    package: Path
    name: str
    language: str

    @property
    def id(self) -> str:
        """The name of the package and of the file."""
        return f"{self.package.name}/{self.name}"

    def script(self, seed: int) -> Script | None:
        """Return what is written of it; None if it has no such places."""
        text = (self.package / self.name).read_text(encoding="utf-8", errors="replace")
        if not LEAST_LINES <= text.count("\n") <= MOST_LINES or "\r" in text:
            return None
        comment = "#" if self.language == "python" else "//"
        return script(self.id, text, seed, comment)


def sources(folder: Path, part: str, seed: int) -> Iterator[Source]:
    """Yield the files of a half ("tune" or "test") that can be written, one language after the
    other, in the order of their hashes."""
    found: dict[str, list[tuple[str, Source]]] = {name: [] for name in LANGUAGES.values()}
    for package in sorted(path for path in folder.iterdir() if path.is_dir()):
        for path in sorted(package.rglob("*")):
            name = path.relative_to(package).as_posix()
            language = LANGUAGES.get(path.suffix)
            if language is None or any(word in name.lower() for word in LEFT_OUT):
                continue
            source = Source(package, name, language)
            digest = hashlib.sha256(source.id.encode()).hexdigest()
            if part == "all" or (int(digest[-1], 16) % 2 == 0) == (part == "tune"):
                found[language].append((digest, source))
    queues = [iter(sorted(rows, key=lambda row: row[0])) for rows in found.values()]
    while queues:
        for queue in tuple(queues):
            for _, source in queue:
                if source.script(seed) is not None:
                    yield source
                    break
            else:
                queues.remove(queue)
