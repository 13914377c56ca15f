"""Fetch llama.cpp's vocabularies and chat templates: `python tests/engine/vocabularies.py`.

They are in the source distribution of llama-cpp-python, which pip fetches as it does to compile the
engine. Only the files that the tests read are kept, in Nearfield's cache folder.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

from nearfield.catalog.disk import cache_dir

VERSION = "0.3.36"
SHA256 = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"
MODELS = "vendor/llama.cpp/models/"
TEMPLATES = "templates"


def folder() -> Path:
    """Return the folder of the vocabularies, which is there once all of them are."""
    return cache_dir() / "vocabularies" / VERSION


def path(vocabulary: str) -> Path | None:
    """Return the file of a vocabulary, None for "". Without them the test is skipped, or fails
    under CI."""
    from tests.conftest import missing

    if not folder().is_dir():
        missing("There are no vocabularies: run `python tests/engine/vocabularies.py`.")
    return folder() / f"ggml-vocab-{vocabulary}.gguf" if vocabulary else None


def fetch() -> None:
    """Fetch them unless they are there."""
    if folder().is_dir():
        return
    folder().parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder().parent) as work:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", work]
        command += ["--no-binary", "llama-cpp-python", f"llama-cpp-python=={VERSION}"]
        subprocess.run(command, check=True)
        archive = Path(work) / f"llama_cpp_python-{VERSION}.tar.gz"
        if (found := hashlib.sha256(archive.read_bytes()).hexdigest()) != SHA256:
            sys.exit(f"{archive.name} is not the one that is known: its SHA-256 is {found}.")
        unpacked = Path(work) / "unpacked"
        (unpacked / TEMPLATES).mkdir(parents=True)
        with tarfile.open(archive) as tar:
            for member in tar:
                name = Path(member.name)
                file = tar.extractfile(member) if MODELS in member.name else None
                if file is not None and name.suffix in (".gguf", ".jinja"):
                    kind = TEMPLATES if name.suffix == ".jinja" else ""
                    (unpacked / kind / name.name).write_bytes(file.read())
        unpacked.rename(folder())


if __name__ == "__main__":
    fetch()
