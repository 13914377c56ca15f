"""Decide whether a workspace has its index in a team's database, and under which name.

Only the user's own settings decide (`index.store`); a repository cannot. The name must be the same
on every machine, so it is made from the repository's origin, not its location.
"""

from __future__ import annotations

import hashlib
import re
import time
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Literal, Protocol
from urllib.parse import urlsplit

from nearfield.config.schema import Config
from nearfield.files import git
from nearfield.index.interface import IndexStore, IndexUnusable, TeamReader

GROUP = "nearfield.index_stores"
"""Entry points that open shared indexes, named by the scheme of `index.store`."""
POSTGRES = EntryPoint("postgresql", "nearfield.index.postgres", GROUP)

Role = Literal["read", "build"]

REST_SECONDS = 5.0
"""Minimum pause after a failed connection…"""
REST_TIMES = 10
"""…and as a multiple of the time it took: at most a tenth of the time is spent waiting."""
SLUG_CHARS = 36
"""A name in PostgreSQL has at most 63 characters."""

# git@host:team/project, as ssh and git write it.
_SCP = re.compile(r"(?:[^@/]+@)?(?P<host>[^:/\\]{2,}):(?P<path>[^/\\].*)$")


@dataclass(slots=True)
class ConnectionBackoff:
    """Until when a database is not asked, and why; the clock is `time.monotonic`."""

    until: float = 0.0
    why: str = ""
    hint: str = ""

    def failed(self, why: str, hint: str, seconds: float = 0.0) -> None:
        """Record a failed connection; `seconds` is how long it took."""
        self.until = time.monotonic() + max(REST_SECONDS, REST_TIMES * seconds)
        self.why, self.hint = why, hint

    @property
    def is_resting(self) -> bool:
        """Return whether it is too early to try again."""
        return time.monotonic() < self.until


@dataclass(frozen=True, slots=True)
class Shared:
    """Location of a workspace's shared index. `url` may hold a user and a password: it is only for
    connecting, `where` is for display.
    """

    url: str = field(repr=False)
    name: str
    role: Role = "read"
    rest: ConnectionBackoff = field(default_factory=ConnectionBackoff, compare=False, repr=False)

    @property
    def where(self) -> str:
        """The database without user, password and options."""
        return shown(self.url)

    @property
    def schema(self) -> str:
        """The schema that holds this workspace alone."""
        slug = re.sub(r"[^a-z0-9]+", "_", self.name.lower()).strip("_")[-SLUG_CHARS:]
        key = hashlib.blake2b(self.name.encode(), digest_size=5).hexdigest()
        return f"nearfield_{slug}_{key}"


class SharedStores(Protocol):
    """Opens the shared indexes of one kind of database; the entry point names such an object."""

    def reader(self, shared: Shared) -> TeamReader:
        """Open the index for reading. Raises `NotShared`, `IndexUnusable`."""
        ...

    def taken(self, shared: Shared) -> IndexStore | None:
        """Open the index for writing, None while another builder does. Raises `IndexUnusable`."""
        ...


def stores_of(shared: Shared) -> SharedStores:
    """Load what opens indexes under the scheme of the address. Raises `IndexUnusable`."""
    scheme = shared.url.partition("://")[0]
    if scheme in (POSTGRES.name, "postgres", shared.url):
        return POSTGRES.load()
    found = entry_points(group=GROUP, name=scheme)
    if not found:
        raise IndexUnusable(
            "index.store is no address of a PostgreSQL database.",
            "Write postgresql://USER@HOST/DATABASE; the password belongs into PGPASSFILE.",
        )
    return next(iter(found)).load()


def shared_of(root: Path, config: Config) -> Shared | None:
    """The shared index of the workspace at `root`, None when the user wants none or the workspace
    has no name that holds on other machines. Runs git."""
    if not config.index.store:
        return None
    name = config.index.name or name_of(root)
    return Shared(config.index.store, name, config.index.role) if name else None


def name_of(root: Path) -> str:
    """The repository's `origin` with the folder in it, such as "github.com/team/shop" or
    "github.com/team/shop/server"; "" where there is none."""
    origin = plain(_git(root, "config", "--get", "remote.origin.url"))
    if not origin:
        return ""
    inside = _git(root, "rev-parse", "--show-prefix").strip("/")
    return f"{origin}/{inside}" if inside else origin


def plain(origin: str) -> str:
    """An address of a repository without what differs between people: protocol, user, password,
    port, ending. "" for a folder, which is another one elsewhere."""
    if "://" in origin:
        parts = urlsplit(origin)
        host, path = parts.hostname or "", parts.path
    elif scp := _SCP.match(origin):
        host, path = scp["host"].lower(), scp["path"]
    else:
        return ""
    path = path.strip("/").removesuffix(".git")
    return f"{host}/{path}" if host and path else ""


def shown(url: str) -> str:
    """The address of a database without user, password and options, for messages."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "the store"  # what does not read as an address may be anything, a password too
    if parts.scheme not in ("postgresql", "postgres"):
        return "the store"
    return f"postgresql://{parts.hostname or ''}{port}{parts.path}"


def _git(root: Path, *words: str) -> str:
    return (git.said(root, *words) or b"").decode("utf-8", "replace").strip()
