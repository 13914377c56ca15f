"""What `scripts/setup` does about the engine, with a Python that only notes what it is asked."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="a POSIX shell script")

REPOSITORY = Path(__file__).parents[3]
PLAIN = ("sh", "dirname", "sed", "cat", "nproc", "env", "grep")
"""What the script uses and every machine has."""
COMPILERS = ("cmake", "make", "c++")
COMPILED = "-m pip install llama-cpp-python=="

# The environment's Python: pip is noted, modules are those of $MODULES, pip fails at $BREAKS.
PYTHON = """#!/bin/sh
case "$*" in
    *"pip --version"*) ;;
    *"pip uninstall"* | *"pip cache"*) echo "$*" >> "$NOTES" ;;
    *llama_print_system_info*) exit "${AMX_EXIT:-1}" ;;
    *"pip install"*)
        echo "$* ${CMAKE_ARGS:-}" >> "$NOTES"
        case "$*" in *"${BREAKS:-nothing}"*) exit 1 ;; esac ;;
    *find_spec*)
        for module in $MODULES; do
            case "$*" in *"'$module'"*) exit 0 ;; esac
        done
        exit 1 ;;
    *"-m pip"*) echo "not for the real pip: $*" >&2; exit 1 ;;
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
        (COMPILERS, "xllamacpp", "[dev]", 1, False, "did not succeed"),
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
    programs = dict.fromkeys(tools, "#!/bin/sh\nexit 1\n")
    done, installed = _set_up(tmp_path, programs, MODULES=modules, BREAKS=breaks)
    told = done.stdout + done.stderr
    assert done.returncode == code, told
    assert "[dev]" in installed[0]
    assert any(COMPILED in line for line in installed) == compiles
    assert said in told
    prebuilt = (code == 0 and not compiles) or breaks == "llama-cpp-python"
    assert ("the prebuilt engine runs" in told) == prebuilt
    assert ("usually faster" in told) == prebuilt


@pytest.mark.parametrize(
    ("flags", "compiler", "amx_exit", "again"),
    [
        ("avx512f amx_int8", "c++ (Debian 12.2.0-14+deb12u1) 12.2.0", "0", True),
        ("avx512f amx_int8", "c++ (Debian 12.2.0-14+deb12u1) 12.2.0", "1", False),
        ("avx512f amx_int8", "g++ (GCC) 11.4.1 20231218 (Red Hat 11.4.1-3)", "0", True),
        ("avx512f amx_int8", "g++ (Ubuntu 13.3.0-6ubuntu2~24.04) 13.3.0", "0", False),
        ("avx512f amx_int8", "g++ (GCC) 14.1.0", "0", False),
        ("avx512f amx_int8", "clang version 19.1.0", "0", False),
        ("avx512f", "c++ (Debian 12.2.0-14+deb12u1) 12.2.0", "0", False),
    ],
)
def test_an_engine_with_broken_amx_is_compiled_without_it(
    tmp_path: Path, flags: str, compiler: str, amx_exit: str, again: bool
) -> None:
    """`amx_exit` is what asking the engine exits with: 0 where it was compiled to use AMX."""
    (tmp_path / "cpuinfo").write_text(f"flags : {flags}\n")
    environ = {"CPUINFO": str(tmp_path / "cpuinfo"), "AMX_EXIT": amx_exit}
    compilers: dict[str, str] = dict.fromkeys(COMPILERS, f"#!/bin/sh\necho '{compiler}'\n")
    done, notes = _set_up(tmp_path, compilers, MODULES="xllamacpp llama_cpp", **environ)
    assert done.returncode == 0, done.stderr
    assert any("uninstall" in line for line in notes) == again
    assert any("cache remove llama_cpp_python" in line for line in notes) == again
    assert ("compiling it again" in done.stdout) == again
    if again:
        assert COMPILED in notes[-1] and "-mno-amx-int8" in notes[-1]


def _set_up(
    tmp_path: Path, programs: Mapping[str, str], **environ: str
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run the script where only `programs` and `PLAIN` are; return it and what pip was asked."""
    path = tmp_path / "path"
    path.mkdir()
    for name in PLAIN:
        (path / name).symlink_to(shutil.which(name) or f"/bin/{name}")
    for name, text in programs.items():
        _program(path / name, text)
    (tmp_path / "scripts").mkdir()
    shutil.copy(REPOSITORY / "scripts/setup", tmp_path / "scripts")
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    _program(tmp_path / ".venv/bin/python", PYTHON)
    notes = tmp_path / "notes"
    environ = {"CPUINFO": os.devnull, **environ}
    environ |= {"PATH": str(path), "REAL": sys.executable, "NOTES": str(notes)}
    done = subprocess.run(
        [tmp_path / "scripts/setup"], env=environ, capture_output=True, text=True, timeout=60
    )
    return done, notes.read_text().splitlines()


def _program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)
