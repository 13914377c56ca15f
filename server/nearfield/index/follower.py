"""The indexer of a workspace that a team's database holds: report its status, index the
differences.

A database that cannot be reached is tried again; a workspace that it does not hold is indexed here
as a whole.
"""

from __future__ import annotations

import contextlib
import datetime
import queue
import threading
import time
from collections.abc import Callable
from typing import Literal

from nearfield.index.here import index_time
from nearfield.index.interface import IndexUnusable, NotShared
from nearfield.index.messages import Changed, Message, OpenBuffer, Status
from nearfield.index.shared import Shared, stores_of
from nearfield.index.workspace import Workspace

LOOK_SECONDS = 30.0
"""Interval at which the builder's progress and git are checked."""
RETRY_SECONDS = 10.0

Inbox = queue.Queue[Message | None]
Ownership = Literal["here", "shared", "ended"]


def decided(shared: Shared, inbox: Inbox, say: Callable[[Status], None]) -> Ownership:
    """Return which index the workspace has; waits until the database answers, or the input ends.
    `inbox` keeps every message that arrived meanwhile.
    """
    kept: dict[tuple[type, str], Message] = {}
    told: Status | None = None
    while True:
        held: Ownership | None = None
        try:
            stores_of(shared).reader(shared).close()
            held = "shared"
        except NotShared:
            held = "here"
        except IndexUnusable as error:
            status = Status(state="failed", detail=str(error))
            if status != told:
                say(status)
                told = status
        if held is not None:
            for message in kept.values():
                inbox.put(message)
            return held
        if _has_ended(inbox, RETRY_SECONDS, kept):
            return "ended"


def _has_ended(inbox: Inbox, seconds: float, kept: dict[tuple[type, str], Message]) -> bool:
    """Wait; return whether the input has ended. New messages are put into `kept`, the last of each
    kind and file.
    """
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        try:
            message = inbox.get(timeout=left)
        except queue.Empty:
            return False
        if message is None:
            return True
        kept[type(message), message.path if isinstance(message, OpenBuffer) else ""] = message
    return False


class Follower:
    """Says how a team's index is; the indexer says through it how its part is. Any thread."""

    def __init__(self, workspace: Workspace, inbox: Inbox, say: Callable[[Status], None]) -> None:
        """`workspace` has its index in the database; `inbox` is the indexer's."""
        assert workspace.shared is not None  # noqa: S101 - the caller has looked
        self._shared = workspace.shared
        self._root = workspace.root
        self._inbox = inbox
        self._say = say
        self._lock = threading.Lock()
        self._team = Status(state="starting")
        self._here = Status(state="starting")
        self._told: Status | None = None
        self._seen: tuple[str, int] = ("", 0)

    def start(self) -> None:
        """Look now, and then again and again, as long as the process lives."""
        threading.Thread(target=self._run, name="index-team", daemon=True).start()

    def said(self, status: Status) -> None:
        """Take in the status of the indexer's own part."""
        with self._lock:
            self._here = status
            self._tell()

    def _tell(self) -> None:
        team, here = self._team, self._here
        status = team
        if team.state == "ready" and here.state in ("paused", "failed"):
            status = Status(
                state=here.state, detail=here.detail or team.detail,
                files=team.files, chunks=team.chunks, vectors=team.vectors,
            )  # fmt: skip
        if status != self._told and status.state != "starting":
            self._told = status
            self._say(status)

    def _run(self) -> None:
        while True:
            built, wait = self._look()
            seen = built, index_time(self._root)
            if seen != self._seen:
                self._seen = seen
                self._inbox.put(Changed(paths=()))
            time.sleep(wait)

    def _look(self) -> tuple[str, float]:
        """Say how it is; when it was built, and how long to wait."""
        built, wait = self._seen[0], RETRY_SECONDS
        try:
            reader = stores_of(self._shared).reader(self._shared)
            with contextlib.closing(reader):
                counts, built = reader.counts(), reader.fact("built")
            team, wait = (
                Status(
                    state="ready",
                    detail=f"The team's index of {self._shared.name} in {self._shared.where}"
                    f"{_when(built)}.",
                    files=counts.files, chunks=counts.chunks, vectors=counts.vectors,
                ),
                LOOK_SECONDS,
            )  # fmt: skip
        except IndexUnusable as error:
            team = Status(state="failed", detail=str(error))
        with self._lock:
            self._team = team
            self._tell()
        return built, wait


def _when(built: str) -> str:
    if not built:
        return ""
    moment = datetime.datetime.fromtimestamp(float(built), datetime.UTC)
    return f", built {moment.astimezone():%Y-%m-%d %H:%M}"
