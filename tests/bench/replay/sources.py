"""The files that are edited in the sessions: real ones, fetched once as packages."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Source:
    """Two files inside a published package, and the command that fetches it into a folder."""

    language: str
    package: str
    members: tuple[str, str]
    fetch: tuple[str, ...]


COBRA = "./usr/share/gocode/src/github.com/spf13/cobra"

SOURCES = (
    Source(
        "python",
        "flask-3.0.3-py3-none-any.whl",
        ("flask/app.py", "flask/cli.py"),
        (sys.executable, "-m", "pip", "download", "-q", "--no-deps", "flask==3.0.3"),
    ),
    Source(
        "typescript",
        "rxjs-7.8.1.tgz",
        ("package/src/internal/ajax/ajax.ts", "package/src/internal/Observable.ts"),
        ("npm", "pack", "--silent", "rxjs@7.8.1"),
    ),
    Source(
        "go",
        "golang-github-spf13-cobra-dev_*.deb",
        (f"{COBRA}/command.go", f"{COBRA}/completions.go"),
        ("apt-get", "download", "golang-github-spf13-cobra-dev"),
    ),
)


def fetch(source: Source, folder: Path) -> dict[str, str]:
    """The files' texts by name; the package is kept in `folder`. Raises `OSError` or
    `subprocess.CalledProcessError` where it cannot be had."""
    folder.mkdir(parents=True, exist_ok=True)
    if not list(folder.glob(source.package)):
        subprocess.run(source.fetch, cwd=folder, check=True, capture_output=True)
    package = next(folder.glob(source.package))
    return {
        member.rpartition("/")[2]: _member(package, member).decode().replace("\r\n", "\n")
        for member in source.members
    }


def _member(package: Path, member: str) -> bytes:
    if package.suffix == ".whl":
        return zipfile.ZipFile(package).read(member)
    data = package.read_bytes()
    if package.suffix == ".deb":
        unpacked = subprocess.run(
            ("dpkg-deb", "--fsys-tarfile", str(package)), check=True, capture_output=True
        )
        data = unpacked.stdout
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        file = archive.extractfile(member)
        if file is None:
            raise FileNotFoundError(member)
        return file.read()
