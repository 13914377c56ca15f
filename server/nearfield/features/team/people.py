"""The people of a team and their tokens: one file for the operator alone, without any token.

A token has 256 random bits, so its SHA-256 cannot be turned back and needs no salt. The file is
read again when it has changed, so a revoked token is refused at its next request.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import secrets
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import field, structs

from nearfield.config.paths import data_dir
from nearfield.errors import ConfigError
from nearfield.files.locks import locked
from nearfield.files.private import private_folder, read_private, write_private
from nearfield.files.read import UnreadableFile
from nearfield.files.stamped import Stamped

log = logging.getLogger(__name__)

FOLDER = "team"
FILE = "people.json"
MAX_BYTES = 10_000_000
MARK = "nft_"
"""Beginning of every token: scanners for secrets can know it."""
TOKEN_BYTES = 32
ID_BYTES = 4
DAY = 86_400.0
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")


class TokenRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A token that was made. `ends` is 0 for one without an end; times in seconds since the
    epoch."""

    id: str
    sha256: str
    made: float
    ends: float = 0.0

    def holds(self, now: float) -> bool:
        """Return whether it is still accepted."""
        return not self.ends or now < self.ends


class PersonRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A person, and the name of their role."""

    name: str
    role: str
    tokens: list[TokenRecord] = []


class TeamRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file. `salt` makes keys of names that say nothing about them."""

    salt: str = ""
    people: dict[str, PersonRecord] = field(default_factory=dict[str, PersonRecord])


class People:
    """See the module. Safe beside other processes; all calls block for a moment."""

    def __init__(self, folder: Path | None = None) -> None:
        self._path = (folder or data_dir() / FOLDER) / FILE
        self._kept = Stamped[TeamRecord](1)
        self._told = False

    @property
    def folder(self) -> Path:
        """Return where all that is kept for the team lies."""
        return self._path.parent

    def all(self) -> TeamRecord:
        """Return what is kept. Raises `ConfigError`."""
        try:
            return self._kept.get(self._path, self._read) or TeamRecord()
        except (UnreadableFile, OSError, msgspec.DecodeError) as error:
            raise ConfigError(
                f"The people of the team cannot be read: {self._path} ({type(error).__name__}).",
                "It must be a file that only you can write.",
            ) from error

    def find(self, shown: str) -> PersonRecord | None:
        """Return whose token `shown` is, None where it is none. Every token is compared, in a time
        that does not depend on where they differ. While the file is unreadable there is none."""
        digest = hashlib.sha256(shown.encode("utf-8", "replace")).hexdigest()
        now, found = time.time(), None
        try:
            people = self.all().people.values()
        except ConfigError as error:
            if not self._told:
                log.error("%s", error.message)  # noqa: TRY400 - no traceback: it says all
            self._told = True
            return None
        self._told = False
        for person in people:
            for token in person.tokens:
                if hmac.compare_digest(token.sha256, digest) and token.holds(now):
                    found = person
        return found

    def key(self, name: str) -> str:
        """Return a name's key, which keeps what is evaluated for people apart; the model's servers
        learn nothing from it."""
        said = f"{self.all().salt}\0{name}".encode()
        return hashlib.sha256(said).hexdigest()[:32]

    def add(self, name: str, role: str, days: int = 0) -> tuple[str, TokenRecord]:
        """Make a token for a person, new or known, and set their role; return it and its record.
        Raises `ConfigError`."""
        if not NAME.fullmatch(name):
            raise ConfigError(
                f"{name[:60]!r} is no name for a person here.",
                "Take up to 40 of a-z, 0-9, '.', '_' and '-', a letter or digit first.",
            )
        value, now = MARK + secrets.token_urlsafe(TOKEN_BYTES), time.time()
        token = TokenRecord(
            id=secrets.token_hex(ID_BYTES),
            sha256=hashlib.sha256(value.encode()).hexdigest(),
            made=now,
            ends=now + days * DAY if days else 0.0,
        )
        with self._changing() as team:
            known = team.people.get(name)
            tokens = [*(known.tokens if known else ()), token]
            team.people[name] = PersonRecord(name=name, role=role, tokens=tokens)
        return value, token

    def revoke(self, name: str, token: str = "") -> int:
        """Take a person's tokens away, or the one of that id; return how many. Raises `ConfigError`
        where there is none."""
        with self._changing() as team:
            known = team.people.get(name)
            kept = [one for one in known.tokens if token and one.id != token] if known else []
            gone = len(known.tokens) - len(kept) if known else 0
            if known is None or (token and not gone):
                raise ConfigError(
                    f"There is no token {token!r} of {name!r}." if token else f"No {name!r} here.",
                    "`nearfield team list` shows people and tokens.",
                )
            if kept:
                team.people[name] = structs.replace(known, tokens=kept)
            else:
                del team.people[name]
        return gone

    def _read(self) -> TeamRecord:
        return msgspec.json.decode(read_private(self._path, MAX_BYTES), type=TeamRecord)

    @contextmanager
    def _changing(self) -> Generator[TeamRecord]:
        """Yield what is kept, to be changed, and write it. Raises `ConfigError`."""
        try:
            private_folder(self._path.parent)
            with locked(self._path.with_suffix(".lock")):
                team = self.all()
                team = structs.replace(
                    team, salt=team.salt or secrets.token_hex(), people=dict(team.people)
                )
                yield team
                content = msgspec.json.format(msgspec.json.encode(team), indent=1)
                write_private(self._path, content)
        except OSError as error:
            raise ConfigError(
                f"The people of the team cannot be kept in {self._path}: {error.strerror}."
            ) from error
