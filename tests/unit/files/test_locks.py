"""Locks among processes: who holds one, who waits, and who may take it twice."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nearfield.files.locks import LockHeld, locked


def test_a_held_lock_is_refused_by_its_name_and_free_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with locked(path), pytest.raises(LockHeld, match=r"a\.lock"), locked(path, 0):
        pass
    with locked(path, 0):
        assert os.name == "nt" or path.stat().st_mode & 0o077 == 0


def test_a_nested_lock_is_held_until_its_first_holder_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with locked(path, nested=True):
        with locked(path, nested=True):
            pass
        with pytest.raises(LockHeld), locked(path, 0):
            pass
    with locked(path, 0):
        pass
