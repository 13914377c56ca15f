"""Code that is on every machine: Python's own library, under a licence for any use.

One part of it is read to see which weights matter, another part to compare models, so that a
variant is never judged by what it was made with. The files are named, so that the same code is seen
on every machine with the same Python.
"""

from __future__ import annotations

import sysconfig
from pathlib import Path

from nearfield.engine.optimise_frames import Case
from nearfield.errors import CatalogError
from nearfield.files.lines import split_lines

READ = (
    "argparse.py",
    "dataclasses.py",
    "pathlib.py",
    "tarfile.py",
    "http/client.py",
    "asyncio/tasks.py",
    "sqlite3/dbapi2.py",
    "unittest/case.py",
    "json/decoder.py",
    "heapq.py",
)
COMPARED = (
    "configparser.py",
    "csv.py",
    "zipfile.py",
    "zipfile/__init__.py",  # where it is since Python 3.12
    "shutil.py",
    "statistics.py",
    "difflib.py",
    "logging/__init__.py",
    "email/message.py",
    "urllib/parse.py",
    "fractions.py",
    "textwrap.py",
    "queue.py",
)
# Of each file that is read, from its middle: the beginnings are licences and documentation.
READ_CHARACTERS = 9_000
LINES_BEFORE, LINES_MISSING, LINES_AFTER = 14, 3, 9


def library() -> Path:
    """Where Python's own modules are."""
    return Path(sysconfig.get_paths()["stdlib"])


def texts(folder: Path | None = None) -> list[str]:
    """The code to be read for the importance matrix. Raises `CatalogError` when there is none."""
    found: list[str] = []
    for text in _files(folder or library(), READ):
        middle = max(0, (len(text) - READ_CHARACTERS) // 2)
        found.append(text[middle : middle + READ_CHARACTERS])
    return found


def cases(count: int, folder: Path | None = None) -> list[Case]:
    """`count` places in code, spread evenly, where some lines are missing; fewer where the files
    are short. Raises `CatalogError` when there is no code."""
    files = list(_files(folder or library(), COMPARED))
    each = -(-count // len(files))
    found = [case for text in files for case in _places(text, each)]
    return found[:: max(1, len(found) // count)][:count]


def _places(text: str, count: int) -> list[Case]:
    lines = split_lines(text, keepends=True)
    found: list[Case] = []
    last = LINES_BEFORE
    for i in range(count):
        at = max(last, len(lines) * (i + 1) // (count + 1))
        while at < len(lines) and not _is_code(lines[at]):
            at += 1
        end = at + LINES_MISSING
        if end + LINES_AFTER > len(lines):
            break
        before = "".join(lines[at - LINES_BEFORE : at])
        found.append(Case(before, "".join(lines[at:end]), "".join(lines[end : end + LINES_AFTER])))
        last = end
    return found


def _is_code(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _files(folder: Path, names: tuple[str, ...]) -> list[str]:
    paths = [folder / name for name in names if (folder / name).is_file()]
    if not paths:
        raise CatalogError(
            f"What is measured with, Python's own modules, is not in {folder} as files.",
            "Run it with a Python whose library is not packed into an archive.",
        )
    return [path.read_text(encoding="utf-8", errors="replace") for path in paths]
