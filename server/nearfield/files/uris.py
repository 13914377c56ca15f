"""Turn `file:` URIs into paths and back: on POSIX systems, on Windows and in WSL.

Editors write one file in several ways: `file:///c%3A/x` and `file:///C:/x`, `file://wsl%24/…` and
`file://wsl.localhost/…`, with two slashes or four. Each becomes one path, with the drive's letter
in upper case, so that a document is found below its folder. The functions are pure: a test names
the system, everybody else leaves it out. Bytes that are no UTF-8 survive the way there and back.

In WSL an editor on Windows names the files by `file://wsl.localhost/DISTRIBUTION/…` and the drives'
by `file:///C:/…`; here these are `/…` and `/mnt/c/…`. `uri_beside` gives such an editor URIs of its
own form.
"""

from __future__ import annotations

import base64
import functools
import os
import platform
import re
from enum import StrEnum
from pathlib import Path
from urllib.parse import quote, unquote


class System(StrEnum):
    """Whose paths are meant."""

    POSIX = "posix"
    WINDOWS = "windows"
    WSL = "wsl"


_URI = re.compile(
    r"file:(?://(?P<host>[^/?#]*)|(?!//))(?P<path>/[^?#]*)", re.IGNORECASE | re.DOTALL
)
_CELL = re.compile(
    r"(?P<scheme>vscode-notebook-cell|file):(?P<notebook>[^?#]+)(?:\?[^#]*)?#(?P<cell>.+)",
    re.IGNORECASE | re.DOTALL,
)
_DRIVE = re.compile(r"/(?P<letter>[A-Za-z])[:|](?P<rest>/.*|)\Z", re.DOTALL)
_WSL_HOSTS = frozenset({"wsl$", "wsl.localhost"})


@functools.cache
def here() -> System:
    """Return the system that this process runs on."""
    if os.name == "nt":
        return System.WINDOWS
    in_wsl = "WSL_DISTRO_NAME" in os.environ or "microsoft" in platform.release().lower()
    return System.WSL if in_wsl else System.POSIX


def path_of(uri: str, system: System | None = None) -> str | None:
    """Return the absolute path that the `file:` URI `uri` names, None for any other URI."""
    system = system or here()
    found = _URI.match(uri)
    if found is None:
        return None
    path = unquote(found["path"], errors="surrogateescape")
    host = unquote(found["host"] or "").lower()
    if "\0" in path or "\0" in host or "[" in host:
        return None
    host = "" if host == "localhost" else host
    if not host and path.startswith("//"):
        # Four slashes: the host is in the path, if it has one.
        host, _, path = path.lstrip("/").partition("/")
        path = f"/{path}"
        if system is System.POSIX or (system is System.WSL and host.lower() not in _WSL_HOSTS):
            host, path = "", f"/{host}{path}" if host else "/"
    if system is System.WINDOWS:
        return _windows_path(host, path)
    if system is System.WSL:
        if host.lower() in _WSL_HOSTS:
            _distribution, _, path = path.removeprefix("/").partition("/")
            return f"/{path}"
        if not host and (drive := _DRIVE.match(path)):
            return f"/mnt/{drive['letter'].lower()}{drive['rest'] or '/'}"
    return f"//{host}{path}" if host else path


def notebook_of(uri: str) -> str | None:
    """Return the URI of the notebook that holds the cell `uri`, None where that is no cell.

    VS Code's cells are `vscode-notebook-cell:/w/a.ipynb#W0sZmlsZQ%3D%3D`; others name them by
    `file:///w/a.ipynb#1`. The fragment of the first ends with the notebook's own scheme: with any
    other than `file`, the host is that of the connection, and an untitled notebook has no path.
    """
    found = _CELL.match(uri)
    if found is None:
        return None
    notebook = found["notebook"]
    if found["scheme"].lower() == "file":
        return f"file:{notebook}" if unquote(notebook).lower().endswith(".ipynb") else None
    if not notebook.startswith("/"):
        return f"untitled:{notebook}"
    if notebook.startswith("//") and _scheme_in(found["cell"]) == "vscode-remote":
        notebook = "/" + notebook[2:].partition("/")[2]
    return f"file:{notebook}" if notebook.startswith("//") else f"file://{notebook}"


def _scheme_in(cell: str) -> str:
    """The scheme that VS Code has written into the fragment of a cell's URI, "" for none."""
    _number, _, packed = unquote(cell).partition("s")
    try:
        return base64.b64decode(packed, validate=True).decode()
    except ValueError:
        return ""


def _windows_path(host: str, path: str) -> str:
    if host:
        path = f"//{host}{path}"
    elif drive := _DRIVE.match(path):
        path = f"{drive['letter'].upper()}:{drive['rest'] or '/'}"
    return path.replace("/", "\\")


def uri_of(path: str | Path, system: System | None = None) -> str:
    """Return the `file:` URI of an absolute path."""
    text = os.fspath(path)
    if (system or here()) is not System.WINDOWS:
        return f"file://{_quoted(text if text.startswith('/') else f'/{text}')}"
    text = text.replace("\\", "/")
    if text.startswith("//?/"):  # a long path
        text = text.removeprefix("//?/")
        text = f"//{text[4:]}" if text.upper().startswith("UNC/") else text
    if text.startswith("//"):
        host, _, rest = text[2:].partition("/")
        return f"file://{quote(host, safe='')}/{_quoted(rest)}"
    if drive := _DRIVE.match(f"/{text}"):
        return f"file:///{drive['letter'].upper()}:{_quoted(drive['rest'] or '/')}"
    return f"file:///{_quoted(text.lstrip('/'))}"


def uri_beside(path: str, known: str, known_uri: str, system: System | None = None) -> str:
    """Return the URI of `path` in the form that an editor has used for the path `known`, so that
    the editor recognises it: `known_uri` tells how it writes drives and hosts."""
    system = system or here()
    sign = "\\" if system is System.WINDOWS else "/"
    steps, below = known.rstrip(sign).split(sign), known_uri.rstrip("/").split("/")
    # What both end with names the same folders; the rest is the editor's own form.
    while (
        len(steps) > 1
        and len(below) > 1
        and unquote(below[-1], errors="surrogateescape") == (steps[-1])
    ):
        steps.pop()
        below.pop()
    base = sign.join(steps)
    if path_of("/".join([*below, "x"]), system) == f"{base}{sign}x" and path.startswith(
        base + sign
    ):
        return "/".join([*below, _quoted(path[len(base) + 1 :].replace(sign, "/"))])
    return uri_of(path, system)


def _quoted(path: str) -> str:
    return quote(path, errors="surrogateescape")
