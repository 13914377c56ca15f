"""What an indexer does where a team's database holds the workspace: nothing but say how it is.

There is nothing to build and nothing to watch. A database that cannot be reached is tried again; a
workspace that it does not hold is indexed here.
"""

from __future__ import annotations

import datetime
import queue
import time
from collections.abc import Callable

from nearfield.index.interface import IndexUnusable
from nearfield.index.messages import Buffer, Message, Status
from nearfield.index.postgres.schema_store import NotShared
from nearfield.index.postgres.search_store import PostgresReader
from nearfield.index.shared import Shared

LOOK_SECONDS = 30.0
"""How often it is looked what the builder has done."""
RETRY_SECONDS = 10.0


def follow(
    shared: Shared,
    inbox: queue.Queue[Message | None],
    say: Callable[[Status], None],
    look: float = LOOK_SECONDS,
    retry: float = RETRY_SECONDS,
) -> bool:
    """Say how the shared index is until the input ends; False, at once, when the database holds
    none of this workspace: then `inbox` has all that came in meanwhile."""
    kept: dict[tuple[type, str], Message] = {}
    told: Status | None = None
    while True:
        try:
            status, wait = _status(shared), look
        except NotShared:
            for message in kept.values():
                inbox.put(message)
            return False
        except IndexUnusable as error:
            status, wait = Status(state="failed", detail=str(error)), retry
        if status.state == "ready":
            kept.clear()  # it is there, and needs no word of ours
        if status != told:
            say(status)
            told = status
        if _ended(inbox, wait, kept):
            return True


def _status(shared: Shared) -> Status:
    reader = PostgresReader(shared)
    try:
        counts, built = reader.counts(), reader.fact("built")
    finally:
        reader.close()
    when = ""
    if built:
        moment = datetime.datetime.fromtimestamp(float(built), datetime.UTC)
        when = f", built {moment.astimezone():%Y-%m-%d %H:%M}"
    return Status(
        state="ready",
        detail=f"The team's index of {shared.name} in {shared.where}{when}.",
        files=counts.files,
        chunks=counts.chunks,
        vectors=counts.vectors,
    )


def _ended(
    inbox: queue.Queue[Message | None], seconds: float, kept: dict[tuple[type, str], Message]
) -> bool:
    """Wait; whether the input has ended. What came in goes to `kept`, the last of each kind and
    file."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        try:
            message = inbox.get(timeout=left)
        except queue.Empty:
            return False
        if message is None:
            return True
        kept[type(message), message.path if isinstance(message, Buffer) else ""] = message
    return False
