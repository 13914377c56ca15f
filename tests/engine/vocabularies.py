"""Fetch vocabularies and chat templates: `python tests/engine/vocabularies.py`.

llama.cpp's are in the source distribution of llama-cpp-python, which pip fetches as it does to
compile the engine, Mistral's is in the wheel of mistral-common. Only the files that the tests read
are kept, in Nearfield's cache folder.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

from nearfield.catalog.disk import cache_dir

VERSION = "0.3.36"
ENGINE = (
    f"llama-cpp-python=={VERSION}",
    "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e",
)
MISTRAL = (
    "mistral-common==1.13.1",
    "98b4d0755b8d90bf4691fa8f1b70cb3b4a8cd4dc1653c4ed08ef3d1c7d2c29af",
)
MODELS = "vendor/llama.cpp/models/"
MISTRAL_V3 = "mistral_common/data/mistral_instruct_tokenizer_240323.model.v3"
TEMPLATES = "templates"


def folder() -> Path:
    """Return the folder of the vocabularies, which is there once all of them are."""
    return cache_dir() / "vocabularies" / f"{VERSION}-1"


def path(vocabulary: str) -> Path | None:
    """Return the file of a vocabulary, None for "". Without them the test is skipped, or fails
    under CI."""
    from tests.conftest import missing

    if not folder().is_dir():
        missing("There are no vocabularies: run `python tests/engine/vocabularies.py`.")
    if not vocabulary:
        return None
    return next(folder().glob(f"{vocabulary}.*"))


def fetch() -> None:
    """Fetch them unless they are there."""
    if folder().is_dir():
        return
    folder().parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder().parent) as work:
        unpacked = Path(work) / "unpacked"
        (unpacked / TEMPLATES).mkdir(parents=True)
        with tarfile.open(_download(*ENGINE, work, "--no-binary=llama-cpp-python")) as tar:
            for member in tar:
                name = Path(member.name)
                file = tar.extractfile(member) if MODELS in member.name else None
                if file is not None and name.suffix in (".gguf", ".jinja"):
                    kind = TEMPLATES if name.suffix == ".jinja" else ""
                    target = unpacked / kind / name.name.removeprefix("ggml-vocab-")
                    target.write_bytes(file.read())
        with zipfile.ZipFile(_download(*MISTRAL, work, "--only-binary=:all:")) as wheel:
            (unpacked / "mistral-v3.model").write_bytes(wheel.read(MISTRAL_V3))
        unpacked.rename(folder())


def _download(requirement: str, sha256: str, work: str, kind: str) -> Path:
    """Let pip fetch one file. Exits if it is not the one that is known."""
    target = Path(work) / requirement
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", kind]
    if subprocess.run([*command, "--dest", str(target), requirement], check=False).returncode:
        sys.exit(f"{requirement} cannot be fetched from the package index; pip says why above.")
    (file,) = target.iterdir()
    if (found := hashlib.sha256(file.read_bytes()).hexdigest()) != sha256:
        sys.exit(f"{file.name} is not the one that is known: its SHA-256 is {found}.")
    return file


if __name__ == "__main__":
    fetch()
