"""The files of the servers that run: one a process, for the user alone, below the data directory.

A killed process leaves its file behind; those who find that nothing listens there remove it.
Everything here blocks.
"""

from __future__ import annotations

import os
import socket
import sys
from contextlib import suppress
from pathlib import Path

import msgspec

from nearfield.config.paths import data_dir
from nearfield.files.private import private_folder, read_private, write_private
from nearfield.files.read import UnreadableFile

FOLDER = "servers"
MAX_BYTES = 16_384
MAX_SOCKET_BYTES = 100
"""The longest path that a Unix socket may have, on the systems with the least room for it."""


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """A server. `kind` is "editor", "agent", "http" or "panel", `client` the name of the editor;
    `started` is in seconds since the epoch. It is asked at `socket`, or at `port` of loopback where
    there are no such sockets, with `token`. `address` is that of its HTTP APIs, "" for none.
    """

    id: str
    kind: str
    client: str
    pid: int
    started: float
    version: str
    socket: str = ""
    port: int = 0
    token: str = ""
    address: str = ""


def servers_folder() -> Path:
    """Return the folder of the files, which need not exist."""
    return data_dir() / FOLDER


def socket_of(name: str) -> Path | None:
    """Return where the server `name` may listen; None where there are no such sockets, or its path
    would be too long."""
    if not hasattr(socket, "AF_UNIX") or sys.platform == "win32":
        return None
    path = servers_folder() / f"{name}.sock"
    return path if len(os.fsencode(path)) <= MAX_SOCKET_BYTES else None


def register(one: Registration) -> None:
    """Write the file of a server that begins to listen. Raises `OSError`."""
    folder = private_folder(servers_folder())
    write_private(folder / f"{one.id}.json", msgspec.json.encode(one))


def forget(name: str) -> None:
    """Remove what a server has left; nothing happens when there is nothing."""
    for ending in (".json", ".sock"):
        with suppress(OSError):
            (servers_folder() / f"{name}{ending}").unlink(missing_ok=True)


def registered() -> list[Registration]:
    """Return the servers that have a file, the oldest first. Some of them may have ended."""
    found: list[Registration] = []
    with suppress(OSError):
        for path in sorted(servers_folder().glob("*.json")):
            with suppress(OSError, UnreadableFile, msgspec.DecodeError, UnicodeDecodeError):
                one = msgspec.json.decode(read_private(path, MAX_BYTES), type=Registration)
                if one.id == path.stem:
                    found.append(one)
    return sorted(found, key=lambda one: one.started)
