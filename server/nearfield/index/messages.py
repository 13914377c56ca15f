"""Messages between a server and its indexer: one JSON object a line."""

from __future__ import annotations

from typing import Literal

import msgspec

State = Literal["starting", "reading", "building", "embedding", "ready", "paused", "failed"]
"""`reading`: another process builds. `embedding`: names and text are ready, vectors follow."""


class Start(msgspec.Struct, frozen=True, kw_only=True, tag="start"):
    """The first message: what to index, and how. `place` is the index's file, `kept` whether it
    outlives the server, `holder` the server's process; `store` is the team's database, "" mostly,
    and `name` the workspace's in it."""

    root: str
    place: str
    kept: bool
    exclude: tuple[str, ...]
    max_bytes: int
    vectors: bool
    on_battery: bool
    holder: int
    store: str = ""
    name: str = ""


class OpenBuffer(msgspec.Struct, frozen=True, kw_only=True, tag="buffer"):
    """The editor's text of a file; `text` None: the file on disk counts."""

    path: str
    text: str | None


class Near(msgspec.Struct, frozen=True, kw_only=True, tag="near"):
    """The files whose chunks get their vectors first."""

    paths: tuple[str, ...]


class Pause(msgspec.Struct, frozen=True, kw_only=True, tag="pause"):
    """Do nothing in the background while `on`; open buffers are still followed."""

    on: bool


class GiveWay(msgspec.Struct, frozen=True, kw_only=True, tag="give_way"):
    """Pause, as the user types or waits for an answer; `seconds` from now."""

    seconds: float


class Changed(msgspec.Struct, frozen=True, kw_only=True, tag="changed"):
    """Files that changed on disk, from the watcher in the indexer itself; none: look everywhere."""

    paths: tuple[str, ...]


Message = Start | OpenBuffer | Near | Pause | GiveWay | Changed


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """State of the index. `done` of `total` are files while building, vectors while embedding.
    `detail` is a sentence for the user, "" mostly.
    """

    state: State = "starting"
    detail: str = ""
    done: int = 0
    total: int = 0
    files: int = 0
    chunks: int = 0
    vectors: int = 0
