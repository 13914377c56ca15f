"""What `scripts/setup` does about the engine, with a Python that only notes what it is asked."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="a POSIX shell script")

REPOSITORY = Path(__file__).parents[3]
PLAIN = ("sh", "dirname", "sed", "cat", "nproc", "env")
"""What the script uses and every machine has."""
COMPILERS = ("cmake", "make", "c++")
COMPILED = "-m pip install llama-cpp-python=="

# The environment's Python: pip is noted, modules are those of $MODULES, pip fails at $BREAKS.
PYTHON = """#!/bin/sh
case "$*" in
    *"pip --version"*) ;;
    *"pip install"*)
        echo "$*" >> "$NOTES"
        case "$*" in *"${BREAKS:-nothing}"*) exit 1 ;; esac ;;
    *find_spec*)
        for module in $MODULES; do
            case "$*" in *"'$module'"*) exit 0 ;; esac
        done
        exit 1 ;;
    *) exec "$REAL" "$@" ;;
esac
"""


@pytest.mark.parametrize(
    ("tools", "modules", "breaks", "code", "compiles", "said"),
    [
        (COMPILERS, "xllamacpp", "", 0, True, "compiling llama.cpp"),
        (COMPILERS, "xllamacpp llama_cpp", "", 0, True, ""),
        ((), "xllamacpp llama_cpp", "", 0, True, ""),
        ((), "xllamacpp", "", 0, False, "sudo apt-get install cmake make g++"),
        (("make",), "xllamacpp", "", 0, False, "there is no cmake g++, so the prebuilt"),
        (("make", "cmake"), "xllamacpp", "", 0, False, "dnf install gcc-c++"),
        (COMPILERS, "xllamacpp", "llama-cpp-python", 0, True, "could not be compiled"),
        ((), "", "", 1, False, "There is no local engine"),
        (COMPILERS, "xllamacpp", "dev,prebuilt", 1, False, "did not succeed"),
    ],
)
def test_the_engine_that_this_machine_can_have(
    tmp_path: Path,
    tools: tuple[str, ...],
    modules: str,
    breaks: str,
    code: int,
    compiles: bool,
    said: str,
) -> None:
    path = tmp_path / "path"
    path.mkdir()
    for name in PLAIN:
        (path / name).symlink_to(shutil.which(name) or f"/bin/{name}")
    for name in tools:
        _program(path / name, "#!/bin/sh\nexit 1\n")
    (tmp_path / "scripts").mkdir()
    shutil.copy(REPOSITORY / "scripts/setup", tmp_path / "scripts")
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    _program(tmp_path / ".venv/bin/python", PYTHON)
    notes = tmp_path / "notes"
    environ = {
        "PATH": str(path), "REAL": sys.executable, "NOTES": str(notes),
        "MODULES": modules, "BREAKS": breaks,
    }  # fmt: skip
    done = subprocess.run(
        [tmp_path / "scripts/setup"], env=environ, capture_output=True, text=True, timeout=60
    )
    told = done.stdout + done.stderr
    assert done.returncode == code, told
    installed = notes.read_text().splitlines()
    assert "prebuilt" in installed[0]
    assert any(COMPILED in line for line in installed) == compiles
    assert said in told
    prebuilt = (code == 0 and not compiles) or breaks == "llama-cpp-python"
    assert ("the prebuilt engine runs" in told) == prebuilt
    assert ("usually faster" in told) == prebuilt


def _program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)
