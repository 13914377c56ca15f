"""The folder of what models have evaluated: states of prompts on disk, with a proof beside each.

A state takes some 12 KB a token with the default model, in a folder that the user alone can read:
it holds code. The engine trusts what it reads, so a hash with a key of this user proves that
Nearfield wrote it. The states used longest ago are removed at the limit. Everything here blocks.
"""

from __future__ import annotations

import errno
import hashlib
import hmac
import os
import secrets
import time
from contextlib import suppress
from pathlib import Path

from nearfield.config.paths import data_dir
from nearfield.files.private import (
    is_private,
    private_draft,
    private_folder,
    read_private,
    write_private,
)
from nearfield.files.read import UnreadableFile

FOLDER = "prompts"
KEY_FILE = "key"
KEY_BYTES = 32
PROOF_BYTES = 32
DIGEST_BYTES = 16
ABOUT_BYTES = 16 << 20
"""What is noted beside a state is some hundred KB at most."""
ABANDONED_SECONDS = 600
"""A draft older than this was abandoned: writing one takes milliseconds."""


class StateFolder:
    """States by name, each with what its writer noted about it."""

    def __init__(self, folder: Path | None = None) -> None:
        self.path = folder or data_dir() / FOLDER

    def file(self, name: str) -> Path:
        """Return where the state of that name is."""
        return self.path / f"{name}.state"

    def read(self, name: str, limit: int) -> bytes | None:
        """Return what was noted about a state of at most `limit` bytes; None if it is missing, or
        was not written here."""
        state = self.file(name)
        try:
            kept = read_private(_about(state), ABOUT_BYTES)
            proof, rest = kept[:PROOF_BYTES], kept[PROOF_BYTES:]
            if not hmac.compare_digest(proof, self._proof(state, rest)):
                return None
            if rest[:DIGEST_BYTES] != _digest(read_private(state, limit)):
                return None
            os.utime(state)
        except (OSError, UnreadableFile):
            return None
        return rest[DIGEST_BYTES:]

    def draft(self) -> Path:
        """Return an empty file for the engine to write, private to the user. Raises `OSError`."""
        private_folder(self.path, sweep=True)
        if not is_private(self.path):
            raise PermissionError(errno.EACCES, "others can write there", str(self.path))
        return private_draft(self.path)

    def write(self, name: str, draft: Path, about: bytes, limit: int) -> None:
        """Move a written draft into place, note `about` beside it, and remove the states used
        longest ago. Raises `OSError`, and `UnreadableFile` for more than `limit` bytes."""
        state = self.file(name)
        rest = _digest(read_private(draft, limit)) + about
        # Two files cannot be replaced at once; the hash tells when they do not belong together.
        write_private(_about(state), self._proof(state, rest) + rest)
        draft.replace(state)
        self.prune(limit)

    def remove(self, name: str) -> None:
        """Remove a state, if there is one. Raises `OSError`."""
        _remove(self.file(name))

    def remove_all(self, beginning: str) -> None:
        """Remove every state whose name begins so. Raises `OSError`."""
        for state in self.path.glob(f"{beginning}*.state"):
            _remove(state)

    def prune(self, limit: int) -> None:
        """Remove the states used longest ago until the rest takes at most `limit` bytes, and what
        killed servers have left. Raises `OSError`."""
        newest = sorted(
            self.path.glob("*.state"), key=lambda file: file.stat().st_mtime, reverse=True
        )
        total = 0
        for state in newest:
            about = _about(state)
            total += state.stat().st_size + (about.stat().st_size if about.exists() else 0)
            if total > limit:
                _remove(state)
        long_ago = time.time() - ABANDONED_SECONDS
        for file in (*self.path.glob("*.about"), *self.path.glob("*.draft")):
            if not file.with_suffix(".state").exists() and file.stat().st_mtime < long_ago:
                file.unlink(missing_ok=True)

    def _proof(self, state: Path, rest: bytes) -> bytes:
        """Return a hash that only a reader of the user's key can compute. It covers the name, so
        files cannot be swapped. Raises `OSError`."""
        named = state.name.encode() + b"\0" + rest
        return hashlib.blake2b(named, key=self._key(), digest_size=PROOF_BYTES).digest()

    def _key(self) -> bytes:
        """Return the user's key; make one if there is none that can be trusted. Raises
        `OSError`."""
        if not is_private(self.path):
            raise PermissionError(errno.EACCES, "others can write there", str(self.path))
        path = self.path / KEY_FILE
        with suppress(FileNotFoundError, UnreadableFile):
            key = read_private(path, KEY_BYTES)
            if len(key) == KEY_BYTES:
                return key
        key = secrets.token_bytes(KEY_BYTES)
        write_private(path, key)
        return key


def _about(state: Path) -> Path:
    return state.with_suffix(".about")


def _remove(state: Path) -> None:
    for file in (state, _about(state)):
        with suppress(FileNotFoundError, NotADirectoryError):
            file.unlink()


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).digest()
