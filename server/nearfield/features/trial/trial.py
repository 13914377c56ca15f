"""A trial of two models for completions on the user's own work, kept in one private file.

Each document is served by one model a day. A keyed hash of the document and the date chooses it,
so that every process chooses alike, and the record tells neither path nor name of a document.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from pathlib import Path

import msgspec

from nearfield.config.paths import data_dir
from nearfield.errors import ConfigError
from nearfield.files.private import private_folder, read_private, write_private
from nearfield.files.read import UnreadableFile

FILE = "trial.json"
MAX_BYTES = 100_000
DAYS = 28
"""Days after which a trial ends by itself, decided or not."""
DAY = 86_400.0


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """A trial of the model that served completions at the start, `first`, against `second`: names
    of the catalogue or paths, and the names that records have for them. `ended` is 0 while it
    runs; `why` then says how it ended."""

    id: str
    seed: str
    first: str
    second: str
    first_name: str
    second_name: str
    started: float
    days: int = DAYS
    ended: float = 0.0
    why: str = ""

    @property
    def is_running(self) -> bool:
        """Return whether it goes on."""
        return not self.ended

    def arm(self, uri: str, now: float) -> int:
        """Return which model serves the document today: 0 for the first, 1 for the second."""
        day = datetime.fromtimestamp(now).strftime("%Y-%m-%d")
        return self._digest(uri, day)[0] & 1

    def mark(self, uri: str, now: float) -> str:
        """Return what a record has of the trial: its id, the arm and the hashed document."""
        return f"{self.id} {self.arm(uri, now)} {self._digest(uri).hex()[:12]}"

    def _digest(self, *parts: str) -> bytes:
        text = "\0".join(parts).encode("utf-8", "surrogateescape")
        return blake2b(text, key=self.seed.encode()[:64], digest_size=16).digest()


@dataclass(frozen=True, slots=True)
class MarkedRecord:
    """The arm and the hashed document of a record."""

    arm: int
    document: str


def read_mark(mark: str, trial: Trial) -> MarkedRecord | None:
    """Return what a record's mark says, None where it is of another trial."""
    parts = mark.split(" ")
    if len(parts) != 3 or parts[0] != trial.id or parts[1] not in ("0", "1"):
        return None
    return MarkedRecord(int(parts[1]), parts[2])


def new_trial(first: tuple[str, str], second: tuple[str, str], days: int = DAYS) -> Trial:
    """Return a trial that begins now; the models by value and name."""
    return Trial(
        id=secrets.token_hex(4),
        seed=secrets.token_hex(16),
        first=first[0],
        second=second[0],
        first_name=first[1],
        second_name=second[1],
        started=time.time(),
        days=days,
    )


def trial_file() -> Path:
    """Return the file that the last trial is kept in."""
    return data_dir() / FILE


def kept_trial() -> Trial | None:
    """Return the last trial; None if there was none, or where the file cannot be trusted."""
    try:
        return msgspec.json.decode(read_private(trial_file(), MAX_BYTES), type=Trial)
    except (OSError, UnreadableFile, msgspec.DecodeError):
        return None


def keep_trial(trial: Trial) -> None:
    """Keep a trial in the place of the last one. Raises `ConfigError`."""
    path = trial_file()
    try:
        private_folder(path.parent)
        write_private(path, msgspec.json.encode(trial))
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}.") from error


def end_trial(trial: Trial, why: str) -> Trial:
    """End a trial and keep it. Raises `ConfigError`."""
    ended = msgspec.structs.replace(trial, ended=time.time(), why=why)
    keep_trial(ended)
    return ended
